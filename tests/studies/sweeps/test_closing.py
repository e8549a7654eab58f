import os
from contextlib import ExitStack

import pytest
from omegaconf import OmegaConf

from pin_lightning.cli import ending
from pin_lightning.cli.failures import Failure, write_failure
from pin_lightning.studies.sweeps import closing
from pin_lightning.studies.sweeps.closing import CloseSweep, job_folders


def sweep_config(folder, *overrides):
    hydra = {"sweep": {"dir": str(folder)}, "overrides": {"task": list(overrides)}}
    return OmegaConf.create({"hydra": hydra})


def test_what_all_jobs_have_is_what_is_not_swept_over():
    config = sweep_config("x", "report.pictures=false", "seed=0,1", "a='b c'")
    as_given, as_passed_on = "report.pictures=false", "report.pictures=False"
    assert closing.shared_overrides(config) == {as_given, as_passed_on, "a='b c'"}


def test_folders_of_jobs_by_number_without_those_of_an_earlier_sweep(tmp_path):
    for name in ("10", "9", "logs", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.log").touch()
    os.utime(tmp_path / "2" / "train.log", (0, 0))
    assert [folder.name for folder in job_folders(tmp_path)] == ["2", "9", "10"]
    (tmp_path / "multirun.yaml").touch()
    os.utime(tmp_path / "multirun.yaml", (1, 1))
    assert [folder.name for folder in job_folders(tmp_path)] == ["9", "10"]
    write_failure(tmp_path / "10", ["seed=1"], "no memory")
    assert closing.failures_of(tmp_path) == [Failure(10, ("seed=1",), "no memory")]


@pytest.mark.parametrize("ends", [lambda: None, lambda: 1 / 0])
def test_a_sweep_is_closed_however_it_ends(tmp_path, ends, monkeypatch, capsys):
    monkeypatch.setattr(ending, "failed_jobs", [])
    at_end = ExitStack()
    monkeypatch.setattr(closing, "at_end", at_end)
    config = sweep_config(tmp_path / "sweep", "data=phantom", "seed=0,1")
    try:
        with at_end:
            CloseSweep().on_multirun_start(config)
            assert (tmp_path / "sweep" / "multirun.yaml").is_file()
            write_failure(tmp_path / "sweep" / "1", ["data=phantom", "seed=1"], "no memory")
            ends()
    except ZeroDivisionError:
        pass
    assert capsys.readouterr().err == "error: job 1 (seed=1): no memory\n"
    assert ending.failed_jobs == ["job 1 (seed=1): no memory"]


@pytest.mark.parametrize("kept", [[], ["notes.txt"], ["multirun.yaml", "0"]])
def test_a_sweep_refused_before_its_first_job_leaves_nothing(tmp_path, kept, monkeypatch, capsys):
    at_end = ExitStack()
    monkeypatch.setattr(closing, "at_end", at_end)
    folder = tmp_path / "sweep"
    folder.mkdir()
    for name in kept:
        (folder / name).touch() if "." in name else (folder / name).mkdir()

    def refused():
        with at_end:
            CloseSweep().on_multirun_start(sweep_config(folder, "model=mutli"))
            raise ValueError("model=mutli: there is no such option")

    with pytest.raises(ValueError, match="no such option"):
        refused()
    assert capsys.readouterr().err == ""
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == ({"sweep", *kept} if kept else set())
    if "multirun.yaml" in kept:  # the jobs of the earlier sweep are still newer than its record
        assert [one.name for one in job_folders(folder)] == ["0"]
