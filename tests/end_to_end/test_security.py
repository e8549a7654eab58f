"""What SECURITY.md says of run folders from elsewhere."""

import sys
from contextlib import suppress

import numpy as np
import pytest
from omegaconf import OmegaConf
from page_runs import write_page_run

from pin_lightning.compare import main as compare
from pin_lightning.report import main as report
from pin_lightning.runs.predictor import Predictor


@pytest.fixture
def hostile(tmp_path):
    """A run folder whose settings write a file, were they called, and that file."""
    run_dir, trace = write_page_run(tmp_path / "run"), tmp_path / "trace.txt"
    config = OmegaConf.load(run_dir / "config.yaml")
    call = {"_target_": "numpy.savetxt", "_args_": [str(trace), [1.0]]}
    for name in ("shape", "network", "update_rule", "trainer", "loader"):
        config[name] = call
    OmegaConf.save(config, run_dir / "config.yaml")
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


def test_a_run_that_is_loaded_calls_what_it_names(hostile):
    run_dir, trace = hostile
    with suppress(Exception):  # what comes back is no shape model
        Predictor.load(run_dir)
    assert np.loadtxt(trace) == 1
