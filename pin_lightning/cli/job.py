"""Trainings that a command line asks for: here, or as jobs of a sweep in processes of their own."""

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

log = logging.getLogger(__name__)


def one_after_the_other(hydra: Any) -> bool:
    """Whether no two jobs of a sweep run at once, so that each can have the terminal."""
    return str(hydra.launcher._target_).endswith(".BasicLauncher")


def run_training(config: DictConfig, alone: str, here: str, split: str) -> float | None:
    """Train in the folder that Hydra made, in a process of its own where it is a job of a sweep.

    Args:
        config: Of the training or cross-validation.
        alone: Dotted name of the function for a job of a sweep.
        here: The same for a single run; imported only now, as it is heavy.
        split: Cases whose mean error is returned.

    Returns:
        Mean radial error in mm; None where the split has no cases.
    """
    hydra_config = HydraConfig.get()
    config.overrides = list(hydra_config.overrides.task)
    run_dir = Path(hydra_config.runtime.output_dir)
    run = partial(run_alone, alone) if in_sweep() else get_method(here)
    metrics = run(config, run_dir)
    return metrics[split]["radial_error_mm"]["mean"] if split in metrics else None


def run_alone(function: str, *arguments: object) -> Any:
    """Call a function in a process of its own, as a program of its own would.

    Nothing is left of the job before, whichever launcher runs the jobs, and a job that the system
    kills takes no other with it. Messages are shown where jobs follow one another; otherwise, with
    what is printed, they go to the log in the folder of the job.

    Args:
        function: Dotted name.
        arguments: What it is called with.

    Raises:
        ValueError: It failed, or its process was killed; the message says why.
    """
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        command = [sys.executable, "-m", "pin_lightning.cli.job_process", str(answer)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
            assert process.stdin is not None
            try:
                # It stays open: the process ends where this one does.
                process.stdin.write(pickle.dumps((function, arguments, *_hydra_config())))
                process.stdin.flush()
                code = process.wait()
            except BaseException:  # this process is asked to end, and so is the job
                process.terminate()
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
    """What Hydra knows of this job and of the time of its sweep, without classes of its plugins."""
    config: Any = HydraConfig.instance().cfg
    return OmegaConf.to_container(config.hydra, enum_to_str=True), OmegaConf.get_cache(config)


def _ended(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    return (
        f"its process was killed ({signal.Signals(-code).name}), as the system does where memory "
        f"runs out; let fewer jobs run at once, or lower loader.memory_gb"
    )
