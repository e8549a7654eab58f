import logging
import shutil
import threading

import nibabel as nib
import numpy as np
import pytest

from conftest import composed
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.checks.cases import Finding
from pin_lightning.data.inspection import annotate, inspect_cases
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
from pin_lightning.data.skipped import (
    count_skipped,
    errors_by_case,
    read_skipped,
    skips_errors,
    write_skipped,
)
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.survey import refuse_errors, survey
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.reports.data_check import check
from pin_lightning.reports.pages.run_facts import read_run_facts, training_facts
from pin_lightning.reports.run_report import evaluate
from pin_lightning.runs.folder import read_record
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.new_cases import evaluate_new
from pin_lightning.training.run import train

DAMAGED, LARGE, MOVED, UNREAD = (f"head_{number:03d}" for number in (1, 4, 6, 8))
BAD = {DAMAGED, LARGE, MOVED, UNREAD}


@pytest.fixture
def root(phantom_root, tmp_path):
    """Ten heads, four of which cannot be used."""
    root = shutil.copytree(phantom_root, tmp_path / "data")
    image = root / "images" / f"{DAMAGED}.nii.gz"
    image.write_bytes(image.read_bytes()[:-400])  # the header is whole
    path = root / "images" / f"{LARGE}.nii.gz"
    head = nib.load(path)
    nib.save(nib.Nifti1Image(head.get_fdata(), head.affine @ np.diag([50, 50, 50, 1])), path)
    marks = root / "landmarks" / f"{MOVED}.mrk.json"
    read = read_landmarks(marks)
    write_landmarks(marks, LandmarkSet.of(read.names, read.positions_world + 500))
    (root / "landmarks" / f"{UNREAD}.mrk.json").write_text("{,")
    return root


@pytest.fixture
def good_root(phantom_root, tmp_path):
    """The others alone."""
    root = shutil.copytree(phantom_root, tmp_path / "good")
    for name in BAD:
        (root / "images" / f"{name}.nii.gz").unlink()
        (root / "landmarks" / f"{name}.mrk.json").unlink()
    return root


def test_the_first_error_of_each_case_is_why():
    found = [
        Finding("warning", "a", "", "odd"),
        Finding("error", "b", "", "wrong"),
        Finding("error", "b", "nose", "also wrong"),
        Finding("error", "", "", "of all"),
    ]
    assert errors_by_case(found) == {"b": "wrong"}


def test_the_file_gives_back_what_was_left_out_and_is_not_there_for_nothing(tmp_path):
    skipped = {"ä, b": 'a "quoted"\nreason', "c": "d"}
    write_skipped(tmp_path, skipped)
    assert read_skipped(tmp_path) == skipped
    write_skipped(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    assert read_skipped(tmp_path) == {}
    (tmp_path / "skipped.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"skipped\.csv: line 1: lacks the column case"):
        read_skipped(tmp_path)


def test_choices():
    assert [skips_errors(one) for one in ("refuse", "skip")] == [False, True]
    with pytest.raises(ValueError, match=r"data\.on_error=True: give one of refuse, skip"):
        skips_errors(True)


def test_a_warning_counts_them(caplog):
    count_skipped({}, 10)
    assert caplog.text == ""
    count_skipped({"a": "b"}, 10)
    assert "data.on_error=skip: 1 of 10 cases left out; skipped.csv says why" in caplog.text


def test_the_others_are_as_if_bad_cases_were_not_there(root, good_root, tmp_path):
    found = survey(find_cases(root), tmp_path / "cache", on_error="skip")
    alone = survey(find_cases(good_root), tmp_path / "cache")
    assert found.grid == alone.grid  # not that of the large one
    assert found.names == alone.names
    assert set(found.volumes) == set(alone.volumes) == {one.case.name for one in found.cases}
    assert set(found.skipped) == BAD
    assert f"{DAMAGED}.nii.gz: cannot be read as an image" in found.skipped[DAMAGED]
    assert "landmarks lie outside the volume" in found.skipped[MOVED]
    assert "is the unit mm?" in found.skipped[LARGE]
    assert "not valid JSON" in found.skipped[UNREAD]
    warned = [one for one in found.findings if one.message.startswith("left out: ")]
    assert sorted(one.case for one in warned) == sorted(BAD)
    assert {one.level for one in found.findings} == {"warning"}
    # No volume was made for the grid that the large one would have asked for.
    assert len(list((tmp_path / "cache").iterdir())) == 6 + len(alone.volumes)


def test_errors_are_refused_unless_asked_otherwise(root, tmp_path):
    found = survey(find_cases(root), tmp_path / "cache")
    assert found.skipped == {}
    with pytest.raises(ValueError, match="the data has 4 errors"):
        refuse_errors(found.findings)


def test_what_concerns_the_data_set_as_a_whole_is_refused_all_the_same(root, tmp_path):
    with pytest.raises(ValueError, match="no case has nose"):
        survey(find_cases(root), tmp_path / "cache", ["nose"], on_error="skip")
    for path in (root / "images").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(ValueError, match="the data has 10 errors"):
        survey(find_cases(root), tmp_path / "cache", on_error="skip")


@pytest.mark.slow
def test_the_check_shows_what_would_be_left_out(root, tmp_path, capsys):
    settings = [f"data.root={root}", f"data.cache_dir={tmp_path}/cache", f"sheet={tmp_path}/s.png"]
    assert check(composed(*settings, config_name="check")) == 4
    assert check(composed(*settings, "data.on_error=skip", config_name="check")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "0 errors" in said
    assert "4 cases left out" in said
    assert "left out: " in said


@pytest.mark.slow
def test_new_cases_are_evaluated_without_bad_ones(short_run, root, tmp_path, caplog):
    settings = ["device=cpu", "report.pictures=false", "report.bootstrap.resamples=100"]
    settings += [f"run={short_run}", f"output={tmp_path}/out", "data=folder", f"data.root={root}"]
    config = composed(*settings, "data.on_error=skip", config_name="evaluate")
    # The large one is readable, and nothing here is compared with others.
    metrics = evaluate_new(config)["test"]
    assert metrics["num_cases"] == 7
    assert set(read_skipped(tmp_path / "out")) == BAD - {LARGE}
    assert set(metrics["per_case"]).isdisjoint(BAD - {LARGE})
    assert f"{UNREAD}: left out: " in caplog.text  # found by reading landmarks
    assert f"{DAMAGED}: left out: " in caplog.text  # found by predicting
    facts = dict(training_facts(read_run_facts(tmp_path / "out")))
    assert facts["Left out"].startswith("3 with errors: ")


def test_an_image_that_was_damaged_since_ends_an_evaluation_unless_skipped(short_run, root):
    predictor = Predictor.load(short_run, device="cpu")
    names, grid = predictor.names, predictor.localizer.grid
    wanted = [one for one in find_cases(root) if one.name in (DAMAGED, "head_000")]
    cases = [annotate(one, names, grid) for one in inspect_cases(wanted)[0]]
    before = threading.enumerate()
    with pytest.raises(ValueError, match=f"{DAMAGED}.nii.gz: cannot be read as an image"):
        evaluate(predictor, cases, "test")
    assert threading.enumerate() == before
    skipped = {}
    evaluation, convergence = evaluate(predictor, cases, "test", skipped)
    assert evaluation.cases == tuple(convergence) == ("head_000",)
    assert set(skipped) == {DAMAGED}
    with pytest.raises(ValueError, match=f"test: no image can be read, such as that of {DAMAGED}"):
        evaluate(predictor, cases[1:], "test", {})


@pytest.mark.slow
def test_a_training_leaves_them_out_and_says_so(short_settings, root, good_root, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    shared = [*short_settings, "trainer.max_steps=4", f"data.cache_dir={tmp_path}/cache"]
    settings = [*shared, f"data.root={root}", "data.on_error=skip"]
    train(composed(*settings), tmp_path / "run")
    train(composed(*shared, f"data.root={good_root}"), tmp_path / "alone")
    assert read_record(tmp_path / "run") == read_record(tmp_path / "alone")
    files = (tmp_path / one / "predictions.csv" for one in ("run", "alone"))
    found, alone = (read_predictions(file)["test"].predicted_world for file in files)
    assert np.array_equal(found, alone)
    assert set(read_skipped(tmp_path / "run")) == BAD
    assert caplog.text.count(f"{DAMAGED}: left out: ") == 1
    assert "data.on_error=skip: 4 of 10 cases left out; skipped.csv says why" in caplog.text
    assert not (tmp_path / "alone" / "skipped.csv").exists()
    facts = dict(training_facts(read_run_facts(tmp_path / "run")))
    assert facts["Left out"].startswith("4 with errors: ")


def test_a_working_volume_that_is_damaged_while_training_is_named(
    short_settings, tmp_path, monkeypatch
):
    def damaged(*given):
        found = survey(*given)
        for path in found.volumes.values():
            path.write_bytes(b"")
        return found

    monkeypatch.setattr("pin_lightning.training.run.survey", damaged)
    config = composed(*short_settings, f"data.cache_dir={tmp_path}/cache")
    words = r"\.nii: this working volume was removed or damaged while it was needed"
    with pytest.raises(ValueError, match=words) as refused:
        train(config, tmp_path / "run")
    assert "\n" not in str(refused.value)
