import shutil

import pytest
from page_runs import CONFIG, evaluation_of, write_page_run

from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.reports.pages import run_facts
from pin_lightning.reports.pages.run_facts import read_run_facts
from pin_lightning.runs.folds import write_folds


def test_a_run(tmp_path):
    run = read_run_facts(write_page_run(tmp_path / "run", val=evaluation_of(3, seed=1)))
    assert (run.name, run.part, run.folds) == ("short", "test", ())
    assert set(run.evaluations) == {"test", "val"}
    facts = dict(run_facts.training_facts(run))
    assert facts["Data"] == "skulls"
    assert facts["Cases"] == "2 training, 1 validation, 12 test"
    assert facts["Working grid"] == "20 \u00d7 30 \u00d7 25 voxels of 2 mm"
    assert facts["Iteration"] == "RuleB, 6 starts, at most 10 iterations"
    assert "Weights" not in facts


def test_without_test_cases_it_is_about_the_validation(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    write_predictions(run_dir / "predictions.csv", {"val": evaluation_of(3)})
    assert read_run_facts(run_dir).part == "val"
    write_predictions(run_dir / "predictions.csv", {})
    assert read_run_facts(run_dir).part is None


def test_folds_are_one_run(tmp_path):
    for number in range(2):
        write_page_run(tmp_path / f"fold{number}", evaluation_of(6, seed=number))
    write_folds(tmp_path, 2)
    shutil.copy(tmp_path / "fold0" / "predictions.csv", tmp_path)
    run = read_run_facts(tmp_path)
    assert [folder.name for folder in run.folds] == ["fold0", "fold1"]
    assert dict(run_facts.training_facts(run))["Cases"].startswith(
        "12, each tested once in 2 folds"
    )


def test_a_run_that_is_not_finished_is_refused(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    (run_dir / "predictions.csv").unlink()
    with pytest.raises(ValueError, match=r"has no predictions\.csv"):
        read_run_facts(run_dir)


def test_settings_name_no_folder_of_the_machine():
    shown = run_facts.without_folders(
        {**CONFIG, "others": ["/a/b.csv", r"C:\data\c.csv", "d/e.csv", "/"]}
    )
    assert shown["data"] == {"root": "skulls", "cache_dir": "cache"}
    assert shown["others"] == ["b.csv", "c.csv", "d/e.csv", "/"]
    assert shown["trainer"] == CONFIG["trainer"]
    assert shown["overrides"] == ["data.root=skulls", "first_stage=x y"]


def test_versions():
    assert {"python", "torch", "pin-lightning"} <= set(dict(run_facts.versions()))
