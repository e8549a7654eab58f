"""Run folders from elsewhere, as SECURITY.md describes them."""

import sys
from importlib import import_module

import pytest
import torch
from omegaconf import OmegaConf
from page_runs import write_page_run

from conftest import mark_as_version_1
from pin_lightning.compare import main as compare
from pin_lightning.report import main as report


@pytest.fixture
def hostile(tmp_path):
    """A run folder whose settings write a file, were they called, and that file."""
    run_dir, trace = write_page_run(tmp_path / "run"), tmp_path / "trace.txt"
    mark_as_version_1(run_dir)  # whose models are in config.yaml
    config = OmegaConf.load(run_dir / "config.yaml")
    call = {"_target_": "numpy.savetxt", "_args_": [str(trace), [1.0]]}
    for name in ("shape", "network", "update_rule", "trainer", "loader"):
        config[name] = call
    OmegaConf.save(config, run_dir / "config.yaml")
    (run_dir / "checkpoints").mkdir()
    torch.save({"state_dict": {}}, run_dir / "checkpoints" / "best.ckpt")
    return run_dir, trace


def test_report_and_compare_call_nothing_that_a_run_names(hostile, monkeypatch, capsys):
    run_dir, trace = hostile
    settings = [f"run={run_dir}", "report.bootstrap.resamples=100"]
    monkeypatch.setattr(sys, "argv", ["pin_lightning.report", *settings])
    report()
    assert (run_dir / "report.html").is_file()
    compare([str(run_dir), str(run_dir)])
    assert "12 test cases" in " ".join(capsys.readouterr().out.split())
    assert not trace.exists()


def test_programs_that_load_a_run_call_nothing_that_it_names(hostile, monkeypatch, capsys):
    run_dir, trace = hostile
    monkeypatch.chdir(run_dir.parent)
    settings = {
        "inference.__main__": ["input=x.nii.gz", "output=out"],
        "export": [],
        "evaluate": ["data=folder", "data.root=x", "output=out"],
    }
    for program, own in settings.items():
        monkeypatch.setattr(sys, "argv", [program, f"run={run_dir}", *own])
        with pytest.raises(SystemExit, match="2"):
            import_module(f"pin_lightning.{program}").main()
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "numpy.savetxt" in said
        assert not trace.exists()
