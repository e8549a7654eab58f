"""Sweeps by each launcher and sweeper, as a user types them: real jobs in real processes."""

import json
import os
import re
import stat
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from programs import run

from conftest import REPOSITORY, composed
from pin_lightning.studies.sweeps.gather import check_choice

TESTS = REPOSITORY / "tests"
ADAM, KILLED, COUNTED = "torch.optim.AdamW", "deadly.killed", "deadly.counted"
OPTIMISER = "model.optimizer._target_"
MEMORY = "its process was killed (SIGKILL), as the system does where memory runs out; let fewer"


@pytest.fixture
def sweep(short_settings, tmp_path):
    """Runs a sweep in a folder; gives what it ended with and its folder."""
    folder = tmp_path / "sweep"
    settings = [one for one in short_settings if not one.startswith("run_dir")]
    fewer = ["trainer.max_steps=2", "trainer.val_check_interval=2", f"hydra.sweep.dir={folder}"]

    def run_sweep(*overrides, path=None):
        own = {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": None}
        if path is not None:
            own["PATH"] = f"{path}{os.pathsep}{os.environ['PATH']}"
        return run("train.py", "-m", *settings, *fewer, *overrides, timeout=600, **own), folder

    return run_sweep


def errors_of(done):
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def methods_of(folder):
    lines = (folder / "table.md").read_text("utf-8").splitlines()
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[2 : lines.index("")]]


@pytest.mark.slow
def test_joblib_keeps_the_others_whatever_happens_to_a_job(sweep):
    swept = f"{OPTIMISER}={ADAM},{KILLED},{COUNTED}"
    done, folder = sweep("hydra/launcher=joblib", swept)
    assert done.returncode == 2
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    first, second = errors_of(done)
    assert first.startswith(f"error: job 1 ({OPTIMISER}={KILLED}): {MEMORY}")
    assert second == f"error: job 2 ({OPTIMISER}={COUNTED}): threads={threads}"
    assert methods_of(folder) == [f"{OPTIMISER}={ADAM}"]
    assert "step 2: validation error" in (folder / "0" / "train.log").read_text("utf-8")
    assert "step 2: validation error" not in done.stdout  # two at once would mix
    assert f"threads={threads}" in (folder / "2" / "train.log").read_text("utf-8")
    assert "was killed" in (folder / "1" / "train.log").read_text("utf-8")


@pytest.mark.slow
def test_joblib_with_a_list_of_jobs_and_a_sweep_of_the_command_line(sweep):
    jobs = "hydra.sweeper.jobs=[[method=all,model=multi],[method=wrong,model.alpha=7]]"
    done, folder = sweep("hydra/launcher=joblib", "hydra/sweeper=listed", jobs, "seed=0,1")
    assert [line.split(": ")[1] for line in errors_of(done)] == [
        f"job {number} (seed={seed}, method=wrong, model.alpha=7)"
        for number, seed in ((1, 0), (3, 1))
    ]
    assert "model.alpha=7: give a weight between 0 and 1" in done.stderr
    assert methods_of(folder) == ["all"]  # two seeds


@pytest.mark.slow
def test_submitit_here(sweep):
    done, folder = sweep("hydra/launcher=submitit_local", f"{OPTIMISER}={ADAM},{KILLED}")
    (error,) = errors_of(done)
    assert error.startswith(f"error: job 1 ({OPTIMISER}={KILLED}): {MEMORY}")
    assert done.returncode == 2
    assert methods_of(folder) == [f"{OPTIMISER}={ADAM}"]
    assert len(list(folder.glob(".submitit/*/*_submitted.pkl"))) == 2


# What SLURM does with an array of two jobs, of which the second runs out of time at once. It runs
# a copy of the script, as submitit moves the script once it is sent.
SBATCH = """#!/bin/sh
cp "$1" {folder}/script.sh
SLURM_JOB_ID=4711 SLURM_ARRAY_JOB_ID=4711 SLURM_ARRAY_TASK_ID=0 SLURM_NTASKS=1 SLURM_PROCID=0 \\
  SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NAME=train sh {folder}/script.sh > {folder}/out 2>&1 &
echo "Submitted batch job 4711"
"""
SRUN = """#!/bin/sh
shift 5
exec "$@"
"""
SACCT = """#!/bin/sh
printf 'JobID|State\\n4711_0|RUNNING\\n4711_1|TIMEOUT\\n'
"""


@pytest.fixture
def slurm(tmp_path):
    """A folder of programs that stand for those of a cluster."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {"sbatch": SBATCH.format(folder=folder), "srun": SRUN, "sacct": SACCT}
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    return folder


@pytest.mark.slow
def test_slurm_gets_an_array_of_jobs_and_a_lost_one_does_not_lose_the_others(sweep, slurm):
    asked = ("partition=gpu", "timeout_min=90", "mem_gb=8", "cpus_per_task=2")
    asked = [f"hydra.launcher.{one}" for one in (*asked, "setup=['export A=1']")]
    more = "+hydra.launcher.additional_parameters.mail-user=me"
    done, folder = sweep("hydra/launcher=submitit_slurm", *asked, more, "seed=0,1", path=slurm)
    assert done.returncode == 2
    (error,) = errors_of(done)
    lost = "error: job 1 (seed=1): job 4711_1 of slurm left no result (state TIMEOUT); look at "
    assert error.startswith(lost)
    assert methods_of(folder) == ["seed=0"]
    script = (slurm / "script.sh").read_text("utf-8")
    given = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", script, re.MULTILINE))
    expected = {"partition": "gpu", "time": "90", "mem": "8GB", "cpus-per-task": "2"}
    expected |= {"ntasks-per-node": "1", "gpus-per-node": "1", "nodes": "1", "mail-user": "me"}
    expected |= {"array": "0-1%2", "signal": "USR2@120", "job-name": "train"}
    assert {key: given.get(key) for key in expected} == expected
    assert given["output"].startswith(f"{folder}/.submitit/")
    assert "\nexport A=1\n" in script
    assert f"{sys.executable} -u -m submitit.core._submit {folder}/.submitit/" in script


@pytest.mark.slow
def test_slurm_is_missed_in_one_line(sweep, tmp_path):
    done, _ = sweep("hydra/launcher=submitit_slurm", "seed=0,1", path=tmp_path)
    assert done.returncode == 2
    assert 'error: hydra/launcher=submitit_slurm: Could not detect "srun"' in errors_of(done)[-1]
    assert "Traceback" not in done.stderr


def test_slurm_jobs_have_a_task_and_a_card_for_each_device():
    given = ("hydra/launcher=submitit_slurm", "trainer.devices=4", "hydra.sweep.dir=s")
    launcher = composed(*given, with_hydra=True).hydra.launcher
    assert launcher._target_ == "hydra_plugins.submitit_jobs.SlurmJobs"
    assert (launcher.tasks_per_node, launcher.gpus_per_node, launcher.nodes) == (4, 4, 1)
    assert launcher.submitit_folder == "s/.submitit/%j"
    assert launcher.max_num_timeout == 0


@pytest.mark.parametrize(
    ("setting", "value"), [("n_jobs", "many"), ("n_jobs", None), ("batch_size", [1])]
)
def test_settings_of_plugins_keep_their_types(setting, value):
    with pytest.raises(HydraException, match=f"hydra.launcher.{setting}"):
        composed("hydra/launcher=joblib", f"hydra.launcher.{setting}={value}")


def test_joblib_does_not_take_the_whole_machine():
    launcher = composed("hydra/launcher=joblib", with_hydra=True).hydra.launcher
    assert (launcher.n_jobs, launcher.batch_size, launcher.pre_dispatch) == (2, "1", "all")


def test_the_search_has_validation_cases_and_one_seed():
    config = composed("run_name=x", "run_dir=x", "experiment=tune", with_hydra=True)
    check_choice(config)
    assert config.hydra.mode.name == "MULTIRUN"
    assert config.hydra.sweeper.sampler.seed == 0
    searched = [f"{key}={value}" for key, value in config.hydra.sweeper.params.items()]
    values = [one.value() for one in OverridesParser.create().parse_overrides(searched)]
    assert [(one.start, one.end) for one in values] == [(0, 1), (1e-4, 1e-2)]
    assert "log" in values[1].tags


@pytest.mark.slow
def test_optuna_goes_on_after_a_failed_job_and_keeps_its_study(sweep, tmp_path):
    study = [f"hydra.sweeper.storage=sqlite:///{tmp_path}/study.db", "hydra.sweeper.study_name=a"]
    searched = ["model.alpha=interval(0,1)", f"{OPTIMISER}=choice({ADAM},{KILLED})"]
    own = ["hydra/sweeper=optuna", *study, *searched, "data.split.val_fraction=0.2"]
    done, folder = sweep(*own, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2")
    failed = [line for line in errors_of(done) if MEMORY in line]
    jobs = [path for path in folder.iterdir() if path.name.isdigit()]
    assert len(jobs) == 4
    assert 0 < len(failed) < 4, done.stderr
    assert len(methods_of(folder)) == 4 - len(failed)
    best = OmegaConf.load(folder / "optimization_results.yaml")
    assert best["best_params"][OPTIMISER] == ADAM
    errors = {
        OmegaConf.load(path.with_name("config.yaml")).model.alpha: (
            json.loads(path.read_text("utf-8"))["val"]["radial_error_mm"]["mean"]
        )
        for path in folder.glob("*/metrics.json")
    }
    assert best["best_value"] == pytest.approx(min(errors.values()))
    assert errors[best["best_params"]["model.alpha"]] == pytest.approx(best["best_value"])
    record = OmegaConf.load(folder / "multirun.yaml")
    assert record.hydra.sweeper.n_trials == 4  # for python -m pin_lightning.gather
