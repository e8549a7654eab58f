from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pin_lightning.distributed.ranks import Shard
from pin_lightning.inference.parts import Failed, read_parts, without_parts, writing_part
from pin_lightning.runs.doubts import Reviewed, ReviewedPose

NAMES = ["a", "b ß", "c", "d", "e"]


def volume(name, seed, radius=True):
    numbers = np.random.default_rng(seed).normal(size=(2, 5)) / 3
    numbers[0, 3] = [np.nan, np.inf][seed % 2]
    arrays = (numbers[:, :3], numbers[:, 3], numbers[:, 4] if radius else None)
    seen = (np.array([True, False]), seed / 7, ("size: ß",))
    one = Reviewed(name, Path(f"/x/{name}.nii"), *arrays, *seen)
    if seed == 0:
        return one
    pose = ReviewedPose(seed / 3, [np.inf, 1 / 7][seed % 2], seed % 2 == 0)
    return replace(one, near_border=np.array([False, True]), pose=pose)


@pytest.fixture
def volumes():
    found = [volume(name, seed, radius=seed != 2) for seed, name in enumerate(NAMES)]
    found[3] = Failed("d", Path("/x/d.nii"), "is no image: \n é")
    return found


def write(folder, volumes, count):
    for rank in range(count):
        with writing_part(folder, rank) as add:
            for one in Shard(rank, count).of(volumes):
                add(one)


def assert_same(one, other):
    assert type(one) is type(other)
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_all_come_back_in_order_and_to_the_last_digit(tmp_path, volumes, count):
    write(tmp_path, volumes, count)
    again = list(read_parts(tmp_path, count, NAMES))
    assert [one.name for one in again] == NAMES
    for one, other in zip(volumes, again, strict=True):
        assert_same(one, other)


def test_a_part_that_is_not_there_is_named(tmp_path, volumes):
    write(tmp_path, volumes, 2)
    with pytest.raises(ValueError, match=r"lacks \.landmarks\.part2\.jsonl of another process"):
        list(read_parts(tmp_path, 3, NAMES))


@pytest.mark.parametrize("cut", [1, 200, 10**6])
def test_a_volume_that_is_lost_is_named(tmp_path, volumes, cut):
    write(tmp_path, volumes, 2)
    part = tmp_path / ".landmarks.part1.jsonl"
    text = part.read_text("utf-8")
    last = text.rstrip().rindex("\n") + 1
    part.write_text(text[: max(last, len(text) - cut)])  # the last line cut short, or away
    with pytest.raises(ValueError, match=r"part1\.jsonl: lacks d; start again"):
        list(read_parts(tmp_path, 2, NAMES))


def test_a_volume_in_the_wrong_place_is_refused(tmp_path, volumes):
    write(tmp_path, volumes, 1)
    with pytest.raises(ValueError, match="lacks b; start again"):
        list(read_parts(tmp_path, 1, ["a", "b"]))


def test_nothing_is_left_of_attempts_that_were_broken_off(tmp_path, volumes):
    write(tmp_path, volumes, 3)
    (tmp_path / "landmarks.csv").touch()

    def fail():
        with without_parts(tmp_path):
            assert [path.name for path in tmp_path.iterdir()] == ["landmarks.csv"]
            write(tmp_path, volumes, 2)
            raise KeyError("a defect")

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["landmarks.csv"]
