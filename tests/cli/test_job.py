"""Jobs of a sweep as real processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from conftest import composed
from pin_lightning.cli import job as module
from pin_lightning.cli.failures import Failure, in_sweep, read_failure, write_failure
from pin_lightning.cli.job import run_alone

HERE = Path(__file__).parent


def test_a_failure_in_one_line():
    failure = Failure(3, ("data=phantom", "model.alpha=7", "seed=1"), "alpha: give less")
    assert failure.line(["data=phantom"]) == "job 3 (model.alpha=7, seed=1): alpha: give less"
    assert Failure(3, (), "alpha").line() == "job 3: alpha"


def test_a_failure_is_read_as_it_was_written(tmp_path):
    assert read_failure(tmp_path / "12") is None
    overrides = ("data.root=köpfe (1)", "seed=1")
    write_failure(tmp_path / "12", overrides, "two\n  lines")
    assert read_failure(tmp_path / "12") == Failure(12, overrides, "two lines")


def begin_job(folder, *overrides):
    """Let Hydra know a job of a sweep in this process."""
    config = composed("run_name=x", "hydra.mode=MULTIRUN", *overrides, with_hydra=True)
    with open_dict(config.hydra):
        config.hydra.runtime.output_dir = str(folder)
        config.hydra.job.num = 5
        config.hydra.job.name = "train"
    HydraConfig.instance().set_config(config)
    module.PROCESS = (str(HERE.parent / "any_job.py"),)
    return config


@pytest.fixture
def job(tmp_path):
    before, process = HydraConfig.instance().cfg, module.PROCESS
    begin_job(tmp_path, "hydra/launcher=joblib")
    yield tmp_path
    HydraConfig.instance().cfg, module.PROCESS = before, process


def told(config):
    """The process, run folder and number of a job, as it knows them."""
    print("printed")
    return os.getpid(), config.run_dir, HydraConfig.get().job.num, in_sweep()


@pytest.mark.slow
def test_a_job_has_a_process_that_knows_its_sweep(job, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    config = OmegaConf.create({"choice": "${hydra:runtime.choices.model}", "run_dir": "${.choice}"})
    pid, run_dir, number, sweeps = run_alone("test_job.told", config)
    assert pid != os.getpid()
    assert (run_dir, number, sweeps) == ("shared", 5, True)
    assert (job / "train.log").read_text("utf-8") == "printed\n"


@pytest.mark.slow
def test_only_programs_are_jobs(job, monkeypatch):
    monkeypatch.setattr(module, "PROCESS", ("-m", "pin_lightning.cli.job_process"))
    with pytest.raises(ValueError, match=r"^KeyError: 'math\.sqrt'"):
        run_alone("math.sqrt", 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "arguments", "line"),
    [
        ("math.sqrt", (-1,), "math domain error"),
        ("operator.truediv", (1, 0), "ZeroDivisionError: division by zero"),
        ("sys.exit", (3,), "SystemExit: 3"),
        ("os._exit", (3,), "its process ended with exit code 3"),
        ("os.abort", (), r"its process was killed \(SIGABRT\), as the system does where memory"),
    ],
)
def test_a_job_that_fails_says_why(job, function, arguments, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        run_alone(function, *arguments)
    said = (job / "train.log").read_text("utf-8")
    assert ("Traceback" in said) == (function in ("operator.truediv", "sys.exit"))


def beat(folder):
    """Go on until the process is ended."""
    while True:
        (folder / "beat").write_text(str(time.monotonic()))
        time.sleep(0.05)


def sweep_with_an_endless_job(folder):
    begin_job(folder, "hydra/launcher=joblib")
    run_alone("test_job.beat", Path(folder))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_job_ends_with_its_sweep(tmp_path, how):
    code = f"import test_job; test_job.sweep_with_an_endless_job({str(tmp_path)!r})"
    paths = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as sweep:
        while not (tmp_path / "beat").is_file():
            assert sweep.poll() is None
            time.sleep(0.1)
        getattr(sweep, how)()
    last = None
    for _ in range(30):
        before, last = last, (tmp_path / "beat").read_text("utf-8")
        if before == last:
            break
        time.sleep(1)
    assert before == last
