"""Trainings of a command line: a single run in this process, jobs of a sweep in new ones."""

import logging
import os
import pickle
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from pin_lightning.cli.failures import in_sweep
from pin_lightning.distributed.process import importing, postpone_end

log = logging.getLogger(__name__)

# Functions of each program: for a job of a sweep, and for a single run. No other can be a job.
JOBS = {
    "train": ("pin_lightning.training.run.train_job", "pin_lightning.training.run.train"),
    "cross_validate": ("pin_lightning.studies.cross_validation.cross_validate",) * 2,
}
PROCESS = ("-m", "pin_lightning.cli.job_process")


def one_after_the_other(hydra: Any) -> bool:
    """Tell whether the launcher runs jobs one by one, so that each can use the terminal."""
    return str(hydra.launcher._target_).endswith(".BasicLauncher")


def run_training(program: str, config: DictConfig, split: str) -> float | None:
    """Train in the folder that Hydra made; a job of a sweep in a process of its own.

    Args:
        program: One of `JOBS`.
        config: Its config.
        split: Cases whose mean error is returned.

    Returns:
        Mean radial error in mm; None where the split has no cases.
    """
    hydra_config = HydraConfig.get()
    config.overrides = list(hydra_config.overrides.task)
    run_dir = Path(hydra_config.runtime.output_dir)
    with importing():
        run = partial(run_alone, program) if in_sweep() else get_method(JOBS[program][1])
    metrics = run(config, run_dir)
    return metrics[split]["radial_error_mm"]["mean"] if split in metrics else None


def run_alone(program: str, *arguments: object) -> Any:
    """Call the function of a program's jobs in a process of its own.

    With any launcher, a job then starts from a clean state, and one that the system kills does not
    end the others. Jobs that run one by one show their messages; otherwise all output goes to the
    log in the folder of the job.

    Raises:
        ValueError: The function failed, or its process was killed; the message gives the reason.
    """
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        command = [sys.executable, *PROCESS, str(answer)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
            assert process.stdin is not None
            try:
                # Left open: its end tells the job that this process has ended.
                process.stdin.write(pickle.dumps((program, arguments, *_hydra_config())))
                process.stdin.flush()
                code = process.wait()
            except BaseException:  # asked to end: so is the job
                postpone_end(until_saved=True)
                process.terminate()
                process.wait()
                postpone_end(until_saved=False)
                raise
        known = answer.is_file()
        result, mistake = pickle.loads(answer.read_bytes()) if known else (None, _ended(code))
    hydra = HydraConfig.get()
    if mistake is not None:
        log.error("job %s: %s", hydra.job.num, mistake)
        raise ValueError(mistake)
    if not one_after_the_other(hydra):
        log.info("job %s: finished", hydra.job.num)
    return result


def _hydra_config() -> tuple[Any, Any]:
    """Hydra's config and the time of the sweep, without classes of Hydra's plugins."""
    config: Any = HydraConfig.instance().cfg
    return OmegaConf.to_container(config.hydra, enum_to_str=True), OmegaConf.get_cache(config)


def _ended(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    return (
        f"its process was killed ({signal.Signals(-code).name}), as the system does where memory "
        "runs out; let fewer jobs run at once, or lower loader.memory_gb"
    )
