"""A prediction goes on where it was broken off, alone or in parts, and mixes nothing."""

import csv
import errno
import json
import os
import shutil
import tarfile

import fsspec
import nibabel as nib
import pytest

from conftest import composed
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.inference import outputs
from pin_lightning.inference.merging import merge
from pin_lightning.inference.records import RECORDS
from pin_lightning.inference.run import infer
from pin_lightning.runs import predictor

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for seed, name in enumerate(NAMES):
        head = make_phantom(seed, (27, 18, 24), (6.0, 6.0, 6.0))
        nib.save(nib.Nifti1Image(head.volume, head.affine), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def folder(heads, tmp_path):
    return shutil.copytree(heads, tmp_path / "in")


@pytest.fixture
def predict(short_run, folder, tmp_path, monkeypatch):
    """Predict into ``out``; returns the names of the files that were read, and of what failed."""
    read, read_image = [], predictor.read_image

    def noted(path, *others):
        read.append(path.name.split(".")[0])
        return read_image(path, *others)

    monkeypatch.setattr(predictor, "read_image", noted)

    def run(*settings, source=folder, output=tmp_path / "out"):
        read.clear()
        given = [f"run={short_run}", f"input={source}", f"output={output}", "device=cpu"]
        failed = infer(composed(*given, *settings, config_name="infer"))
        return sorted(read), failed

    return run


def table(folder, name="landmarks.csv"):
    """Rows without times."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return [{key: cell for key, cell in row.items() if key != "seconds"} for row in rows]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.mrk.json")}


def test_only_what_is_not_done_is_done(predict, folder, tmp_path):
    out = tmp_path / "out"
    assert predict() == ([*NAMES], 0)
    before, rows = contents(out), table(out)
    assert predict() == ([], 0)
    (out / "a.mrk.json").unlink()
    (out / RECORDS / "b.json").write_text("torn")
    os.utime(folder / "c.nii.gz", (0, 0))
    assert predict() == (["a", "b", "c"], 0)
    assert contents(out) == before
    assert table(out) == rows
    assert predict("overwrite=true") == ([*NAMES], 0)
    assert contents(out) == before


def test_a_file_that_changed_is_done_anew_and_a_new_one_joins(predict, folder, tmp_path):
    predict()
    before = contents(tmp_path / "out")
    shutil.copy(folder / "b.nii.gz", folder / "a.nii.gz")
    shutil.copy(folder / "b.nii.gz", folder / "e.nii.gz")
    assert predict() == (["a", "e"], 0)
    after = contents(tmp_path / "out")
    assert after["a.mrk.json"] == after["b.mrk.json"] == after["e.mrk.json"]
    assert {name: after[name] for name in before if name[0] != "a"} == {
        name: before[name] for name in before if name[0] != "a"
    }
    assert [row["volume"] for row in table(tmp_path / "out")[::10]] == [*NAMES, "e"]


def test_the_same_volumes_elsewhere_are_done_and_others_of_the_same_name_refused(
    predict, folder, tmp_path
):
    predict()
    elsewhere = tmp_path / "mounted" / "elsewhere"
    shutil.copytree(folder, elsewhere)  # with its times
    assert predict(source=elsewhere) == ([], 0)
    shutil.copy(folder / "b.nii.gz", elsewhere / "a.nii.gz")
    os.utime(elsewhere / "a.nii.gz", (1, 1))
    with pytest.raises(ValueError, match=r"holds results of another a, \S+in/a\.nii\.gz; give"):
        predict(source=elsewhere)
    assert predict("overwrite=true", source=elsewhere) == ([*NAMES], 0)


def test_what_cannot_be_found_now_stays(predict, folder, tmp_path, caplog):
    """A disk that is not mounted for a while must cost nothing."""
    (tmp_path / "list").write_text("".join(f"{folder}/{name}.nii.gz\n" for name in NAMES))
    predict(f"input=@{tmp_path}/list")
    before, rows = contents(tmp_path / "out"), table(tmp_path / "out")
    folder.rename(tmp_path / "away")
    caplog.clear()
    assert predict(f"input=@{tmp_path}/list") == ([], 0)
    assert contents(tmp_path / "out") == before
    assert table(tmp_path / "out") == rows
    assert f"cannot be found now and are left alone: {folder}/a.nii.gz, " in caplog.text
    (tmp_path / "away").rename(folder)
    assert predict(f"input=@{tmp_path}/list") == ([], 0)


def test_errors_that_may_pass_are_tried_again(predict, tmp_path, monkeypatch):
    own, failing = predictor.read_image, [MemoryError(), OSError(errno.EIO, "no answer")]

    def fails(path, *others):
        if path.name.startswith("b") and failing:
            raise failing.pop()
        return own(path, *others)

    monkeypatch.setattr(predictor, "read_image", fails)
    assert predict()[1] == 1
    assert [row["volume"] for row in table(tmp_path / "out", "failed.csv")] == ["b"]
    assert predict()[1] == 1
    assert predict() == (["b"], 0)
    assert predict() == ([], 0)


def test_two_models_in_one_folder_are_refused(predict, short_run, folder, tmp_path):
    predict()
    other = shutil.copytree(short_run, tmp_path / "other")
    assert predict(f"run={other}") == ([], 0)  # the same, moved
    config = other / "config.yaml"
    config.write_text(config.read_text("utf-8") + "\n# trained again\n")
    with pytest.raises(ValueError, match=r"holds results of run other \(trained again, or another"):
        predict(f"run={other}")
    with pytest.raises(ValueError, match=r"holds results of format=mrk\.json"):
        predict("format=fcsv")
    assert predict(f"run={other}", "format=fcsv", "overwrite=true") == ([*NAMES], 0)
    assert not contents(tmp_path / "out")


def test_parts_do_together_what_one_process_does(predict, folder, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    (folder / "bad.nii.gz").write_bytes(b"no image")
    assert predict(output=whole) == (["a", "b", "bad", "c", "d"], 1)
    reads, fails = [], 0
    for number in (2, 3, 1, 2):
        read, failed = predict(f"part={number}/3")
        reads, fails = reads + read, fails + failed
        assert not (out / "landmarks.csv").exists()
    assert sorted(reads) == ["a", "b", "bad", "c", "d"]
    assert fails in (1, 2)  # part 2 says again what failed before
    assert merge(composed(f"output={out}", config_name="merge")) is False
    assert contents(out) == contents(whole)
    for name in ("landmarks.csv", "failed.csv"):
        assert table(out, name) == table(whole, name)
    pages = [(one / "review.html").read_text("utf-8") for one in (out, whole)]
    assert pages[0].count("data:image/png") == pages[1].count("data:image/png") == 12


def test_volumes_in_archives_and_at_addresses_are_the_same(predict, folder, tmp_path, capfd):
    whole, out = tmp_path / "whole", tmp_path / "out"
    (folder / "bad.nii.gz").write_bytes(b"no image")
    predict(output=whole)
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for path in folder.iterdir():
            tar.add(path, path.name)
    files = fsspec.filesystem("memory")
    files.put(str(tmp_path / "all.tar"), "/bucket/all.tar")
    files.put(str(folder / "a.nii.gz"), "/bucket/scans/a.nii.gz")
    try:
        source = ["memory://bucket/*.tar", "memory://bucket/scans"]
        given = f"input=[{','.join(source)}]"
        assert predict(given, output=out)[1] == 1
        assert predict(given, output=out) == ([], 1)
    finally:
        files.store.clear()
    here = {(row["volume"], row["landmark"]): row for row in table(whole)}
    for row in table(out):
        own = here[row["volume"].removeprefix("all_"), row["landmark"]]
        assert row["file"] == (
            "memory:///bucket/scans/a.nii.gz"
            if row["volume"] == "a"
            else f"memory:///bucket/all.tar/{row['volume'][4:]}.nii.gz"
        )
        assert [row[key] for key in "xyz"] == [own[key] for key in "xyz"]
    [failed] = table(out, "failed.csv")
    assert failed["reason"].startswith("memory:///bucket/all.tar/bad.nii.gz: cannot be read")
    assert len({row["volume"] for row in table(out)}) == 5


def test_what_failed_is_tried_again_only_if_asked_or_changed(predict, folder, tmp_path):
    path = folder / "bad.nii.gz"
    path.write_bytes(b"no image")
    assert predict()[1] == 1
    assert predict() == ([], 1)
    assert predict("retry=failed") == (["bad"], 1)
    assert [row["volume"] for row in table(tmp_path / "out", "failed.csv")] == ["bad"]
    shutil.copy(folder / "a.nii.gz", path)
    assert predict() == (["bad"], 0)
    assert table(tmp_path / "out", "failed.csv") == []
    path.write_bytes(b"no image")
    assert predict() == (["bad"], 1)
    assert not (tmp_path / "out" / "bad.mrk.json").exists()


def test_after_a_full_disk_it_goes_on(predict, tmp_path, monkeypatch):
    own, calls = outputs.write_landmarks, []

    def fails_once(path, *others, **more):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        own(path, *others, **more)

    monkeypatch.setattr(outputs, "write_landmarks", fails_once)
    with pytest.raises(OSError, match="No space left"):
        predict("batch_size=1")
    assert len(contents(tmp_path / "out")) == 2
    assert not (tmp_path / "out" / "landmarks.csv").exists()
    read, failed = predict("batch_size=1")
    assert (len(read), failed, len(contents(tmp_path / "out"))) == (2, 0, 4)


def test_a_line_of_json_for_each_volume(predict, folder, tmp_path, capsys):
    (folder / "bad.nii.gz").write_bytes(b"no image")
    capsys.readouterr()
    predict("log=json", "part=1/1")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line.get("volume"): line["state"] for line in lines} == {
        **dict.fromkeys(NAMES, "predicted"),
        **{"bad": "failed", None: "finished"},
    }
    end = {"part": "1/1", "volumes": 5, "predicted": 4, "failed": 1}
    assert {key: lines[-1][key] for key in end} == end


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("part=5/4", "part=5/4: give its number"),
        ("retry=all", "retry=all: give one of none, failed"),
        ("log=xml", "log=xml: give one of text, json"),
        ("overwrite=3", "overwrite=3: "),
    ],
)
def test_wrong_settings_are_refused(predict, tmp_path, setting, said):
    with pytest.raises(ValueError, match=said):
        predict(setting)
    assert not (tmp_path / "out").exists()
