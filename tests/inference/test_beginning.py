import json
import time
from threading import Thread

import numpy as np
import pytest
from inference.headers import header_of

from pin_lightning.common.ownership import owned_folder
from pin_lightning.inference.beginning import (
    PARTS,
    TABLES,
    at_work,
    begin,
    beginning,
    part_lists,
    remove_unfinished,
)
from pin_lightning.inference.header import HEADER
from pin_lightning.inference.part import Part
from pin_lightning.inference.records import RECORDS, Failed, Record, Records
from pin_lightning.runs.doubts import Reviewed

VOLUMES = {"a": "a.nii", "b": "b.nii"}
PLANES = header_of(planes=("TV",))


def predict(folder, header=PLANES, part=None, volumes=VOLUMES, done=("a", "b"), overwrite=False):
    """Begin, and write what a prediction would of some volumes, and the tables."""
    begin(folder, header, Part.of(part), volumes, overwrite)
    for name in done:
        for file in header.files(name):
            (folder / file).write_text(header.run)
        arrays = (np.zeros((2, 3)), np.zeros(2), None, np.zeros(2, dtype=bool))
        one = Reviewed(name, f"{name}.nii", *arrays)
        Records(folder).write(Record(one, f"/{name}.nii", "stamp", header.by))
    for name in TABLES:
        (folder / name).write_text(header.run)


def left(folder):
    inside = {HEADER, RECORDS}
    return {path.name for path in folder.iterdir() if path.name not in inside}


def of(*names, planes=True):
    slices = {f"{name}_TV{ending}" for name in names for ending in (".nii.gz", ".png")}
    return {f"{name}.mrk.json" for name in names} | (slices if planes else set())


def test_what_is_there_stays_and_names_are_known_before_any_file(tmp_path):
    predict(tmp_path, done=())
    assert [(str(one.part), one.volumes) for one in part_lists(tmp_path)] == [("1/1", VOLUMES)]
    predict(tmp_path, done=("a",))
    begin(tmp_path, PLANES, Part(), VOLUMES, overwrite=False)
    assert left(tmp_path) == of("a") | {*TABLES}
    assert list(Records(tmp_path).names()) == ["a"]


def test_another_run_or_other_settings_are_refused_and_change_nothing(tmp_path):
    predict(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for other, said in (
        (header_of(run="two", fingerprint="0"), "run one"),
        (header_of(), r"planes=\['TV'\]"),
        (header_of(planes=("TV",), format="fcsv"), r"format=mrk\.json"),
    ):
        with pytest.raises(
            ValueError, match=f"holds results of {said}; give another folder, or overwrite=true"
        ):
            predict(tmp_path, other)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_of_another_run_all_goes_if_asked_also_for_a_part(tmp_path):
    predict(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    two = header_of(run="two", fingerprint="0")
    predict(tmp_path, two, "1/2", {"b": "b.nii"}, ["b"], overwrite=True)
    assert left(tmp_path) == of("b", planes=False) | {"notes.txt", *TABLES}
    assert (tmp_path / "b.mrk.json").read_text() == "two"
    assert [str(one.part) for one in part_lists(tmp_path)] == ["1/2"]


def test_of_the_same_run_a_part_removes_its_own_and_the_whole_all(tmp_path):
    predict(tmp_path, part="1/2", volumes={"a": "a.nii"}, done=["a"])
    predict(tmp_path, part="2/2", volumes={"b": "b.nii"}, done=["b"])
    begin(tmp_path, PLANES, Part(2, 2), {"b": "b.nii"}, overwrite=True)
    assert left(tmp_path) == of("a")
    assert [str(one.part) for one in part_lists(tmp_path)] == ["1/2", "2/2"]
    begin(tmp_path, PLANES, Part(), {"c": "c.nii"}, overwrite=True)
    assert left(tmp_path) == set()
    assert [str(one.part) for one in part_lists(tmp_path)] == ["1/1"]


def test_nothing_goes_while_another_part_is_at_work(tmp_path):
    predict(tmp_path, part="1/2", volumes={"a": "a.nii"}, done=["a"])
    two = header_of(run="two", fingerprint="0")
    with owned_folder("output", tmp_path, "1-of-2"):
        with pytest.raises(ValueError, match="works in it; wait for it"):
            begin(tmp_path, two, Part(2, 2), {"b": "b.nii"}, overwrite=True)
        begin(tmp_path, PLANES, Part(2, 2), {"b": "b.nii"}, overwrite=True)
    assert of("a") <= left(tmp_path)


def test_two_volumes_that_would_write_one_file_are_refused(tmp_path):
    header = header_of(planes=("TV", "b_TV"))
    with pytest.raises(ValueError, match=r"would both write a_b_TV\.nii\.gz, a_b_TV\.png"):
        begin(tmp_path, header, Part(), {"a": "a", "a_b": "a_b"}, overwrite=False)


def test_parts_that_wait_are_in_nobodys_way(tmp_path):
    """All parts of an array are started at once, to overwrite what another run predicted."""
    predict(tmp_path)
    two, began = header_of(run="two", fingerprint="0"), []

    def work(number):
        with at_work(tmp_path, two, Part(number, 8), {f"v{number}": ""}, overwrite=True):
            began.append(number)

    with beginning(tmp_path):
        threads = [Thread(target=work, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert not list(tmp_path.glob(".lock-part-*"))
    for thread in threads:
        thread.join()
    assert sorted(began) == list(range(1, 9))
    assert len(list(part_lists(tmp_path))) == 8
    assert left(tmp_path) == set()


def test_the_whole_stands_for_parts_and_forgets_what_failed_and_is_gone(tmp_path):
    predict(tmp_path, part="1/2", volumes={"a": "a.nii", "b": "b.nii"}, done=["a"])
    (tmp_path / "b.mrk.json").write_text("without a record")
    for name in ("c", "d"):
        one = Failed(name, f"{name}.nii", "is no image")
        Records(tmp_path).write(Record(one, f"/{name}.nii", "stamp", PLANES.by))
    begin(tmp_path, PLANES, Part(), {"a": "a.nii", "d": "d.nii"}, overwrite=False)
    assert [str(one.part) for one in part_lists(tmp_path)] == ["1/1"]
    assert sorted(Records(tmp_path).names()) == ["a", "d"]
    assert left(tmp_path) - {*TABLES} == of("a")


def test_files_that_no_prediction_wrote_are_never_replaced(tmp_path):
    (tmp_path / "b.mrk.json").write_text("by hand")
    for overwrite in (False, True):
        with pytest.raises(
            ValueError, match=r"holds b\.mrk\.json, which no prediction here recorded"
        ):
            predict(tmp_path, overwrite=overwrite)
    assert not (tmp_path / HEADER).exists()
    (tmp_path / "b.mrk.json").rename(tmp_path / "landmarks.csv")
    with pytest.raises(ValueError, match=r"holds landmarks\.csv, which no prediction"):
        predict(tmp_path)
    assert (tmp_path / "landmarks.csv").read_text() == "by hand"


def test_files_of_a_killed_prediction_are_known_whoever_goes_on(tmp_path):
    predict(tmp_path, part="1/2", volumes={"a": "a.nii"}, done=())
    (tmp_path / "a.mrk.json").write_text("torn off before its record")
    predict(tmp_path, volumes={"a": "a.nii"}, done=["a"])
    assert (tmp_path / "a.mrk.json").read_text() == "one"


def test_what_was_begun_and_is_asked_for_no_more_goes(tmp_path):
    predict(tmp_path, done=["b"])
    (tmp_path / "a.mrk.json").write_text("without a record")
    begin(tmp_path, PLANES, Part(), {"c": "c.nii"}, overwrite=False)
    assert left(tmp_path) == of("b")


def test_of_an_earlier_version_all_goes_if_asked(tmp_path):
    content = {"format_version": 1, "run": "one", "finished": True, "volumes": {"a": ["a.fcsv"]}}
    (tmp_path / HEADER).write_text(json.dumps(content))
    for name in ("a.fcsv", *TABLES[:2]):
        (tmp_path / name).write_text("of before")
    with pytest.raises(ValueError, match="holds results of an earlier version of this program"):
        begin(tmp_path, PLANES, Part(), VOLUMES, overwrite=False)
    begin(tmp_path, PLANES, Part(), VOLUMES, overwrite=True)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("text", ["{", "[]", '{"part": "1/1"}', '{"part": "0/1", "volumes": {}}'])
def test_a_damaged_list_is_named(tmp_path, text):
    predict(tmp_path)
    (tmp_path / PARTS / "1-of-1.json").write_text(text)
    with pytest.raises(ValueError, match=r"1-of-1\.json: is damaged .*; remove it"):
        predict(tmp_path)


def test_a_list_names_no_file_elsewhere(tmp_path):
    predict(tmp_path)
    text = json.dumps({"part": "1/1", "volumes": {"../a": "a.nii"}})
    (tmp_path / PARTS / "1-of-1.json").write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        predict(tmp_path, overwrite=True)


def test_temporary_files_of_killed_processes_go(tmp_path):
    predict(tmp_path)
    for folder in ("", RECORDS, PARTS):
        (tmp_path / folder / ".part-0123.a.mrk.json").touch()
    remove_unfinished(tmp_path)
    assert not list(tmp_path.rglob(".part-*"))
    assert of("a", "b") <= left(tmp_path)
