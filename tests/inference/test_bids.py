"""The BIDS App: derivatives of participants, going on, the group, refusals."""

import csv
import json
import shutil

import numpy as np
import pytest
from bids_data import IMAGES, path_of, write_bids

from conftest import composed
from pin_lightning import bids
from pin_lightning.common.ownership import owned_folder
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.sources.bids import bids_cases
from pin_lightning.inference.merging import merge
from pin_lightning.runs import predictor

FEW = ("sub-01_ses-a_T1w", "sub-01_ses-b_T1w", "sub-02_T1w", "sub-02_T2w")


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return write_bids(tmp_path_factory.mktemp("bids") / "heads", FEW)


@pytest.fixture
def root(heads, tmp_path):
    return shutil.copytree(heads, tmp_path / "heads")


@pytest.fixture
def output(root):
    return root / "derivatives" / "pin"


@pytest.fixture
def app(short_run, root, output, monkeypatch, capsys):
    """Run the app; returns its exit code, the images that were read, and its error lines."""
    read, read_image = [], predictor.read_image

    def noted(path, *others):
        read.append(path.name.split(".")[0])
        return read_image(path, *others)

    monkeypatch.setattr(predictor, "read_image", noted)

    def run(level, *options, with_run=True):
        read.clear()
        capsys.readouterr()
        own = ["--run", str(short_run), "--device", "cpu"] if with_run else []
        code = 0
        try:
            bids.main.__wrapped__([str(root), str(output), level, *own, *options])
        except SystemExit as error:
            code = error.code
        errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
        return code, sorted(read), errors

    return run


def files(folder):
    """Contents of all files but those of the predictions."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "predictions" not in path.relative_to(folder).parts
    }


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def derivative(output, name, ending):
    start, _, suffix = name.rpartition("_")
    return path_of(output, f"{start}_space-{suffix}_desc-pin_afids", ending)


def test_participants_then_the_group(app, root, output):
    assert app("participant", "--participant-label", "02", "sub-01") == (0, sorted(FEW), [])
    expected = {str(derivative(output, name, end).relative_to(output)) for name in FEW
                for end in (".fcsv", ".tsv", ".json")}  # fmt: skip
    data_set = {"dataset_description.json", "descriptions.tsv", "README.md", ".bidsignore"}
    assert set(files(output)) == expected | data_set
    assert not (output / "predictions" / "landmarks.csv").exists()
    assert app("group", with_run=False) == (0, [], [])
    group = rows(output / "group_afids.tsv")
    assert len(group) == 10 * len(FEW)
    for name in FEW:
        own = rows(derivative(output, name, ".tsv"))
        session = "n/a" if "ses-" not in name else name.split("_")[1]
        image = path_of(root, name).relative_to(root).as_posix()
        first = {"participant_id": name[:6], "session_id": session, "image": image}
        assert [row for row in group if row["image"] == image] == [{**first, **row} for row in own]
        about = json.loads(derivative(output, name, ".json").read_text("utf-8"))
        assert about["Sources"] == [f"bids:raw:{image}"]
        assert set(own[0]) <= set(about)
    for name in ("landmarks.csv", "failed.csv", "review.html"):
        assert (output / "predictions" / name).is_file()
    assert merge(composed(f"output={output / 'predictions'}", config_name="merge"))


def test_table_markups_and_data_set_agree(app, root, output):
    assert app("participant")[0] == 0
    for suffix, expected in (("T1w", FEW[:3]), ("T2w", FEW[3:])):
        cases = bids_cases(root, suffix=suffix)
        assert [case.name for case in cases] == list(expected)
        for case in cases:
            landmarks = case.read()
            table = rows(derivative(output, case.name, ".tsv"))
            assert [row["label"] for row in table] == list(landmarks.names)
            for row, position in zip(table, landmarks.positions_world, strict=True):
                found = [np.nan if row[axis] == "n/a" else float(row[axis]) for axis in "xyz"]
                np.testing.assert_allclose(found, position, atol=1e-4)
            markups = output / "predictions" / f"{case.name}.mrk.json"
            np.testing.assert_array_equal(
                read_landmarks(markups).positions_world, landmarks.positions_world
            )


def test_it_goes_on(app, root, output):
    assert app("participant", "--participant-label", "01") == (0, sorted(FEW[:2]), [])
    assert app("participant") == (0, sorted(FEW[2:]), [])
    before = files(output)
    assert app("participant") == (0, [], [])
    assert files(output) == before
    assert app("group", with_run=False)[0] == 0
    for ending in (".fcsv", ".tsv", ".json"):  # killed before they were written
        derivative(output, FEW[0], ending).unlink()
    (output / "sub-01" / "ses-a" / "anat" / ".part-0.tsv").touch()
    assert app("participant", "--participant-label", "01") == (0, [], [])
    assert files(output) == before  # the group's table is no longer of these files
    shutil.copy(path_of(root, FEW[2]), path_of(root, FEW[0]))
    assert app("participant") == (0, [FEW[0]], [])
    assert files(output) != before
    assert app("participant", "--overwrite", "--session-label", "b") == (0, [FEW[1]], [])
    assert derivative(output, FEW[0], ".tsv").is_file()


def test_an_image_that_cannot_be_read_is_named_and_has_no_derivatives(app, root, output):
    assert app("participant")[0] == 0
    path_of(root, FEW[2]).write_bytes(b"no image")
    assert app("participant", "--participant-label", "02") == (2, [FEW[2]], [])
    assert not derivative(output, FEW[2], ".tsv").exists()
    assert derivative(output, FEW[3], ".tsv").is_file()
    assert app("participant") == (2, [], [])
    assert app("participant", "--retry-failed") == (2, [FEW[2]], [])
    assert app("group", with_run=False)[0] == 2
    assert len(rows(output / "group_afids.tsv")) == 30
    assert FEW[2] in (output / "predictions" / "failed.csv").read_text("utf-8")


def test_what_is_missing_is_said(app, output, caplog):
    assert app("participant", "--participant-label", "01")[0] == 0
    assert app("group", with_run=False)[0] == 2
    assert f"missing: 1 images, {FEW[2]}" in caplog.text
    assert app("group", "--participant-label", "01", with_run=False)[0] == 0


def test_another_run_is_refused_and_overwritten(app, root, output, short_run, tmp_path):
    assert app("participant")[0] == 0
    other = shutil.copytree(short_run, tmp_path / "other")
    config = other / "config.yaml"
    config.write_text(config.read_text("utf-8") + "\n# trained again\n")
    code, read, (line,) = app("participant", "--run", str(other))
    assert (code, read) == (2, [])
    assert "holds results of run short" in line
    assert line.endswith("or --overwrite to remove them")
    path_of(root, FEW[3]).unlink()
    assert app("participant", "--run", str(other), "--overwrite") == (0, sorted(FEW[:3]), [])
    assert not derivative(output, FEW[3], ".tsv").exists()
    said = json.loads((output / "dataset_description.json").read_text("utf-8"))
    assert said["GeneratedBy"][0]["Description"].startswith("Run other, ")


def test_the_suffix_of_the_training_is_taken(app, root, short_run, tmp_path):
    path_of(root, FEW[3]).rename(path_of(root, "sub-02_PDw"))
    own = shutil.copytree(short_run, tmp_path / "own")
    config = own / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("data:\n", "data:\n  suffix: PDw\n", 1))
    only = ("--participant-label", "02")
    assert app("participant", "--run", str(own), *only)[1] == ["sub-02_PDw", "sub-02_T1w"]
    assert app("participant", *only, "--filter", "T1w", "--overwrite")[1] == ["sub-02_T1w"]


@pytest.mark.parametrize(
    ("level", "options", "message"),
    [
        ("participant", ["--participant-label", "9"], "--participant-label 9: there is no sub-9"),
        ("participant", ["--batch-size", "0"], "batch_size=0"),
        ("participant", ["--device", "abacus"], "device=abacus"),
        ("participant", ["--run", "absent"], "run=absent"),
        ("group", [], "has no predictions/prediction.json; run the participant level"),
        ("group", ["--review-page", "-1"], "--review-page=-1"),
    ],
)
def test_wrong_options_are_one_line_and_change_nothing(app, output, level, options, message):
    code, read, (line,) = app(level, *options)
    assert (code, read) == (2, [])
    assert message in line
    assert not output.exists()


def test_a_command_line_without_a_run_or_a_level_is_refused(app, output, capsys):
    assert app("participant", with_run=False)[2] == [
        "error: --run: is not given; give the folder of a training"
    ]
    assert app("everything")[0] == 2
    assert not output.exists()


def test_a_folder_that_says_nothing_is_taken_if_asked(app, root):
    (root / "dataset_description.json").unlink()
    code, _, (line,) = app("participant")
    assert code == 2
    assert "has no dataset_description.json" in line
    assert app("participant", "--skip-bids-validation", "--filter", "T2w")[0] == 0


def test_other_participants_may_be_at_work_and_the_same_one_may_not(app, output):
    with owned_folder("OUTPUT_DIR", output, "sub-01"):
        assert app("participant", "--participant-label", "02")[0] == 0
        for options in ([], ["--participant-label", "01"]):
            code, read, (line,) = app("participant", *options)
            assert (code, read) == (2, [])
            assert "works in it; wait for it" in line
        assert app("group", with_run=False)[0] == 2  # sub-01 is missing
        assert len(rows(output / "group_afids.tsv")) == 20


def test_all_names_are_there():
    assert set(FEW) <= set(IMAGES)
