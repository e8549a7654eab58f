"""One job of a sweep: a process of its own, and a file that says why where it fails."""

import logging
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

log = logging.getLogger(__name__)


def one_after_the_other(hydra: Any) -> bool:
    """Whether no two jobs of a sweep run at once, so that each can have the terminal."""
    return str(hydra.launcher._target_).endswith(".BasicLauncher")


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
        command = [sys.executable, "-m", "pin_lightning.studies.sweeps.process", str(answer)]
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
