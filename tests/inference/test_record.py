import json
from contextlib import suppress

import pytest

from pin_lightning.inference.record import RECORD, recorded

FILES = {"a": ["a.mrk.json", "a_TV.png"], "b": ["b.mrk.json"]}


def predict(folder, files=FILES, run="one", written=None, **settings):
    """Write what a prediction would, or some of it."""
    with recorded(folder, run, files, **settings):
        for name in ["landmarks.csv", *(one for own in files.values() for one in own)]:
            if written is None or name in written:
                (folder / name).write_text(run)


def left(folder):
    return {path.name: path.read_text("utf-8") for path in folder.iterdir() if path.name != RECORD}


def record(folder):
    return json.loads((folder / RECORD).read_text("utf-8"))


def test_a_volume_that_fails_this_time_keeps_no_file_of_before(tmp_path):
    predict(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    predict(tmp_path, run="two", written=["b.mrk.json", "landmarks.csv"])
    assert left(tmp_path) == {"b.mrk.json": "two", "landmarks.csv": "two", "notes.txt": "mine"}
    assert record(tmp_path) == {
        **{"format_version": 1, "run": "two", "finished": True, "volumes": FILES}
    }


def test_files_of_another_format_go(tmp_path):
    predict(tmp_path)
    predict(tmp_path, {"a": ["a.fcsv"], "b": ["b.fcsv"]})
    assert sorted(left(tmp_path)) == ["a.fcsv", "b.fcsv", "landmarks.csv"]


def test_predictions_of_other_volumes_are_not_removed_unless_asked(tmp_path):
    predict(tmp_path)
    before = left(tmp_path)
    with pytest.raises(
        ValueError, match=r"predictions of other volumes \(b\); give another folder"
    ):
        predict(tmp_path, {"a": ["a.mrk.json"]})
    assert left(tmp_path) == before
    predict(tmp_path, {"a": ["a.mrk.json"]}, replace=True)
    assert sorted(left(tmp_path)) == ["a.mrk.json", "landmarks.csv"]


def test_files_that_no_prediction_wrote_are_never_replaced(tmp_path):
    (tmp_path / "b.mrk.json").write_text("by hand")
    with pytest.raises(ValueError, match=r"holds b\.mrk\.json, which no prediction here recorded"):
        predict(tmp_path, replace=True)
    assert left(tmp_path) == {"b.mrk.json": "by hand"}
    assert not (tmp_path / RECORD).exists()


def test_an_ended_prediction_is_not_finished_and_its_files_are_known(tmp_path):
    with suppress(KeyboardInterrupt), recorded(tmp_path, "one", FILES):
        (tmp_path / "a.mrk.json").write_text("one")
        raise KeyboardInterrupt
    assert record(tmp_path)["finished"] is False
    predict(tmp_path, run="two", written=["b.mrk.json"])
    assert left(tmp_path) == {"b.mrk.json": "two"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({"format_version": 1, "volumes": {"a": ["../x"]}}),
        json.dumps({"format_version": 1, "volumes": {"a": ["/etc/passwd"]}}),
        json.dumps({"format_version": 2, "volumes": {}}),
    ],
)
def test_a_damaged_record_removes_nothing(text, tmp_path):
    (tmp_path / RECORD).write_text(text)
    (tmp_path / "a.mrk.json").write_text("one")
    with pytest.raises(ValueError, match=r"prediction\.json: is damaged"):
        predict(tmp_path)
    assert left(tmp_path) == {"a.mrk.json": "one"}
