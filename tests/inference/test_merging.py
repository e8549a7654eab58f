import csv
import os

import numpy as np
import pytest
from inference.headers import header_of

from conftest import composed
from pin_lightning.common.ownership import owned_folder
from pin_lightning.inference import merging
from pin_lightning.inference.beginning import PARTS, begin
from pin_lightning.inference.header import HEADER
from pin_lightning.inference.merging import merge, merge_folder
from pin_lightning.inference.part import Part
from pin_lightning.inference.records import Failed, Record, Records
from pin_lightning.runs.doubts import Reviewed, usual_of

OWN = header_of()


def volume(name, spread=(1.0, 1.0)):
    arrays = (np.zeros((2, 3)), np.array(spread), None, np.zeros(2, dtype=bool))
    return Reviewed(name, f"{name}.nii", *arrays)


def write(folder, *volumes, by=OWN.by):
    for one in volumes:
        Records(folder).write(Record(one, f"/{one.name}.nii", "stamp", by))


def rows(folder, table):
    with (folder / table).open(encoding="utf-8", newline="") as file:
        return [row["volume"] for row in csv.DictReader(file)]


def test_all_that_is_done_and_what_is_missing(tmp_path, caplog):
    begin(tmp_path, OWN, Part(1, 3), {"b": "b", "a": "a", "x": "x"}, overwrite=False)
    begin(tmp_path, OWN, Part(3, 3), {"c": "c", "d": "d"}, overwrite=False)
    failed = Failed("d", "/in/d.nii", "/in/d.nii: is no image")
    write(tmp_path, volume("b"), volume("a"), volume("c", (9.0, 1.0)), failed)
    write(tmp_path, volume("x"), by="another")
    caplog.set_level("INFO")
    settings = [f"output={tmp_path}"]
    assert merge(composed(*settings, config_name="merge")) is False
    assert rows(tmp_path, "landmarks.csv") == ["a", "a", "b", "b", "c", "c"]
    assert rows(tmp_path, "failed.csv") == ["d"]
    page = (tmp_path / "review.html").read_text("utf-8")
    assert "1 of 6 landmarks in 1 of 3 volumes is flagged" in page
    assert page.index("<h2>c</h2>") < page.index("<h2>a</h2>") < page.index("<h2>b</h2>")
    assert caplog.messages == [
        f"3 volumes predicted, 1 failed, in {tmp_path}",
        "failed: d; failed.csv has the reasons",
        "missing: 1 volumes, x",
        "missing: part 2/3, not begun",
    ]


def test_parts_that_began_last_count(tmp_path):
    """After a whole prediction some parts for new scans; the others may not begin at all."""
    begin(tmp_path, OWN, Part(), {"a": "a"}, overwrite=False)
    write(tmp_path, volume("a"))
    begin(tmp_path, OWN, Part(1, 3), {"b": "b"}, overwrite=False)
    for name, when in (("1-of-1", 1), ("1-of-3", 2)):
        os.utime(tmp_path / PARTS / f"{name}.json", (when, when))
    assert merge_folder(tmp_path, 0).not_begun == ("2/3", "3/3")
    os.utime(tmp_path / PARTS / "1-of-3.json", (0, 0))
    assert merge_folder(tmp_path, 0).not_begun == ()


def test_two_at_once_are_refused(tmp_path):
    begin(tmp_path, OWN, Part(), {"a": "a"}, overwrite=False)
    with owned_folder("output", tmp_path, "merge"):
        with pytest.raises(ValueError, match="works in it; wait for it"):
            merge(composed(f"output={tmp_path}", config_name="merge"))
        with pytest.raises(ValueError, match="works in it"), owned_folder("output", tmp_path):
            pass
    with owned_folder("output", tmp_path, "1-of-3"):  # beside parts it may
        (tmp_path / ".part-0123.a").touch()
        merge(composed(f"output={tmp_path}", config_name="merge"))
        assert (tmp_path / ".part-0123.a").exists()  # it is theirs
    merge(composed(f"output={tmp_path}", config_name="merge"))
    assert not (tmp_path / ".part-0123.a").exists()


def test_all_is_well_once_all_parts_of_one_number_are_done(tmp_path):
    begin(tmp_path, OWN, Part(1, 3), {"a": "a"}, overwrite=False)
    begin(tmp_path, OWN, Part(), {"a": "a", "b": "b"}, overwrite=False)
    write(tmp_path, volume("a"), volume("b"))
    assert merge(composed(f"output={tmp_path}", "review_page=0", config_name="merge")) is True
    assert not (tmp_path / "review.html").exists()
    assert rows(tmp_path, "failed.csv") == []


def test_of_very_many_volumes_some_tell_what_is_usual(tmp_path, monkeypatch):
    """Always the same ones, in whatever order they come."""
    monkeypatch.setattr(merging, "MOST_COMPARED", 9)
    spreads = np.random.default_rng(0).uniform(1, 2, (100, 2))
    volumes = [volume(f"{number:03}", spread) for number, spread in enumerate(spreads)]
    usual, again = (merging._usual_mm(iter(some), 2) for some in (volumes, volumes[::-1]))
    np.testing.assert_array_equal(usual, again)
    assert abs(usual - usual_of(spreads)).max() < 0.3
    monkeypatch.setattr(merging, "MOST_COMPARED", 100)
    np.testing.assert_array_equal(merging._usual_mm(iter(volumes), 2), np.median(spreads, axis=0))


def test_a_tenth_of_a_voxel_is_nothing_to_look_at(tmp_path):
    """Spreads of the rounding of numbers would differ many times."""
    begin(tmp_path, OWN, Part(), {"a": "a", "b": "b", "c": "c"}, overwrite=False)
    write(tmp_path, volume("a", (1e-4, 0.1)), volume("b", (1e-4, 0.1)), volume("c", (0.19, 0.21)))
    merge_folder(tmp_path, 50)
    text = (tmp_path / "review.html").read_text("utf-8")
    assert "1 of 6 landmarks in 1 of 3 volumes is flagged" in text
    assert "Spread 2.10 times the usual, at base" in text


def test_nothing_predicted(tmp_path):
    begin(tmp_path, OWN, Part(), {"a": "a"}, overwrite=False)
    assert merge_folder(tmp_path, 50).missing == ("a",)
    assert "No volume was predicted" in (tmp_path / "review.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), r"output=\S+: has no prediction\.json; give a folder that infer has written"),
        (("review_page=-1",), "review_page=-1: "),
    ],
)
def test_refusals(tmp_path, settings, said):
    config = composed(f"output={tmp_path / 'none'}", *settings, config_name="merge")
    with pytest.raises(ValueError, match=said):
        merge(config)
    assert not (tmp_path / "none").exists()


def test_a_prediction_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / HEADER).write_text('{"format_version": 1, "run": "one", "volumes": {}}')
    with pytest.raises(ValueError, match="was predicted by an earlier version; predict again"):
        merge_folder(tmp_path, 50)
