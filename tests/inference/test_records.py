import json
from dataclasses import fields, replace

import numpy as np
import pytest

from pin_lightning.inference.records import RECORDS, Failed, Record, Records
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.doubts import Reviewed, ReviewedPose

NAMES = ["a", "b ß", "c", "d", ".e", "x" * 251, "y" * 255]


def volume(name, seed, radius=True):
    numbers = np.random.default_rng(seed).normal(size=(2, 5)) / 3
    numbers[0, 3] = [np.nan, np.inf][seed % 2]
    arrays = (numbers[:, :3], numbers[:, 3], numbers[:, 4] if radius else None)
    seen = (np.array([True, False]), seed / 7, ("size: ß",))
    one = Reviewed(name, f"/x/{name}.nii", *arrays, *seen)
    if seed == 0:
        return one
    to_world = [None, [[1 / 3, seed / 7, -1.0, 0.5]] * 4][seed % 2]
    pose = ReviewedPose(seed / 3, [np.inf, 1 / 7][seed % 2], seed % 2 == 0, to_world)
    return replace(one, near_border=np.array([False, True]), pose=pose)


@pytest.fixture
def volumes():
    found = [volume(name, seed, radius=seed != 2) for seed, name in enumerate(NAMES)]
    found[3] = Failed("d", "/x/d.nii", "is no image: \n é")
    return found


@pytest.fixture
def records(tmp_path, volumes):
    made = Records(tmp_path)
    for one in volumes:
        made.write(Record(one, f"/x/{one.name}", "stamp", "by"))
    return made


def assert_same(one, other):
    assert type(one) is type(other)
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_all_come_back_to_the_last_digit(records, volumes):
    for one in volumes:
        again = records.read(one.name)
        assert_same(one, again.one)
        assert (again.source, again.stamp, again.by) == (f"/x/{one.name}", "stamp", "by")
    assert sorted(records.names()) == sorted(NAMES)
    assert sorted(record.one.name for record in records) == sorted(NAMES)


def test_they_come_in_the_order_of_their_files(records):
    names = [record.one.name for record in records]
    assert [name for name in names if len(name) < 4 and name != ".e"] == ["a", "b ß", "c", "d"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"one": {"name": "a"}}', '{"one": 3}'])
def test_what_is_damaged_is_no_record(records, tmp_path, text):
    (tmp_path / RECORDS / "a.json").write_text(text)
    assert records.read("a") is None
    assert "a" not in [record.one.name for record in records]


def test_a_record_of_another_format_is_none(records, tmp_path):
    path = tmp_path / RECORDS / "a.json"
    content = json.loads(path.read_text("utf-8"))
    content["one"]["later"] = 1
    path.write_text(json.dumps(content))
    assert records.read("a") is None


@pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0]] * 2, [], 3.0, "x", [[1.0, 2.0, 3.0]] * 3])
@pytest.mark.parametrize("key", ["positions_world", "spread_mm", "radius_mm", "outside"])
def test_a_record_with_other_numbers_of_landmarks_is_none(records, tmp_path, key, value):
    path = tmp_path / RECORDS / "a.json"
    content = json.loads(path.read_text("utf-8"))
    content["one"][key] = value
    path.write_text(json.dumps(content))
    assert records.read("a") is None


@pytest.mark.parametrize("name", ["a 2", "../victim", "b ß"])
def test_a_record_of_another_volume_is_none(records, tmp_path, name):
    """Such as a copy, or one that somebody made to have other files removed."""
    content = json.loads((tmp_path / RECORDS / "a.json").read_text("utf-8"))
    content["one"]["name"] = name
    hidden = tmp_path / RECORDS / f".{'0' * 64}.json"
    for path in (tmp_path / RECORDS / "copy.json", hidden):
        path.write_text(json.dumps(content))
    assert sorted(records.names()) == sorted([*NAMES, "copy"])
    assert records.read("copy") is None
    assert sorted(record.one.name for record in records) == sorted(NAMES)


def test_slices_are_kept_and_go_with_the_record(records, tmp_path):
    slices = MiddleSlices.of(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.ones((2, 3)))
    assert records.slices("a") is None
    records.keep_slices("a", slices)
    again = records.slices("a")
    np.testing.assert_array_equal(again.landmarks_ijk, slices.landmarks_ijk)
    for one, other in zip(again.pictures, slices.pictures, strict=True):
        np.testing.assert_array_equal(one, other)
    for cut in (0, 100):
        whole = (tmp_path / RECORDS / "a.npz").read_bytes()
        (tmp_path / RECORDS / "a.npz").write_bytes(whole[:cut])
        assert records.slices("a") is None
        (tmp_path / RECORDS / "a.npz").write_bytes(whole)
    records.remove("a")
    assert records.read("a") is None
    assert records.slices("a") is None
