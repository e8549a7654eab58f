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

log = logging.getLogger(__name__)


def one_after_the_other(hydra: Any) -> bool:
    """Tell whether the launcher runs jobs one by one, so that each can use the terminal."""
    return str(hydra.launcher._target_).endswith(".BasicLauncher")


def run_training(config: DictConfig, alone: str, here: str, split: str) -> float | None:
    """Train in the folder that Hydra made; a job of a sweep in a process of its own.

    Args:
        config: Config of the training or cross-validation.
        alone: Dotted name of the function for a job of a sweep.
        here: Dotted name of the function for a single run; imported late, as it is heavy.
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
    """Call a function, given by its dotted name, in a process of its own.

    With any launcher, a job then starts from a clean state, and one that the system kills does not
    end the others. Jobs that run one by one show their messages; otherwise all output goes to the
    log in the folder of the job.

    Raises:
        ValueError: The function failed, or its process was killed; the message gives the reason.
    """
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer"
        command = [sys.executable, "-m", "pin_lightning.cli.job_process", str(answer)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
            assert process.stdin is not None
            try:
                # Left open: its end tells the job that this process has ended.
                process.stdin.write(pickle.dumps((function, arguments, *_hydra_config())))
                process.stdin.flush()
                code = process.wait()
            except BaseException:  # asked to end: so is the job
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
