"""The process of one job of a sweep, started by `job.run_alone`."""

import logging
import os
import pickle
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf, open_dict

from pin_lightning.cli.job import JOBS, one_after_the_other
from pin_lightning.common.errors import user_mistake
from pin_lightning.common.files import whole_file
from pin_lightning.distributed.process import end_on_signals, importing, keep_freed_memory

log = logging.getLogger(__name__)

STDIN = 0


def main(answer: Path) -> None:
    """Call the function that standard input names; pickle its result and error line to a file."""
    with os.fdopen(os.dup(STDIN), "rb") as request:
        program, arguments, hydra_config, cache = pickle.load(request)
    Thread(target=_end_with_sweep, daemon=True).start()
    end_on_signals()
    # SLURM sends it to all processes; the sweep ends this one.
    if hasattr(signal, "SIGUSR2"):
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    keep_freed_memory()
    _set_up_logging(_restore_hydra(hydra_config, cache))
    outcome = _outcome(program, arguments)
    with whole_file(answer) as temporary:
        temporary.write_bytes(pickle.dumps(outcome))


def _restore_hydra(container: Any, cache: Any) -> DictConfig:
    """Set Hydra's state to that of the sweep's process; returns its part of the config."""
    setup_globals()
    config = OmegaConf.create({"hydra": OmegaConf.structured(HydraConf)})
    with open_dict(config.hydra):
        config.hydra.merge_with(container)
    OmegaConf.set_cache(config, cache)
    HydraConfig.instance().set_config(config)
    known: DictConfig = config.hydra
    return known


def _set_up_logging(hydra: DictConfig) -> None:
    """Show messages if jobs run one by one; otherwise send all output to the job's folder."""
    if one_after_the_other(hydra):
        configure_log(hydra.job_logging, hydra.verbose)
        return
    path = Path(hydra.runtime.output_dir) / f"{hydra.job.name}.log"  # Hydra's own log file
    with path.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


def _outcome(program: str, arguments: Any) -> tuple[Any, str | None]:
    """The result of a call and None, or None and the line of its failure."""
    try:
        with importing():
            function = get_method(JOBS[program][0])
        return function(*arguments), None
    except (Exception, SystemExit) as error:
        if (mistake := user_mistake(error)) is None:  # a defect, or no memory left
            log.exception("a defect in the job")
            mistake = f"{type(error).__name__}: {error}"
        return None, mistake


def _end_with_sweep() -> None:
    """End this process when the sweep's process has ended, which closes the pipe."""
    os.read(STDIN, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
