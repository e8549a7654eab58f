"""How a training that was cut off goes on by the command that began it."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.files import remove_leftovers
from pin_lightning.run_folder import CHECKPOINTS, LAST_CHECKPOINT, LOGS, RunRecord, read_checkpoint
from pin_lightning.same_training import FREE_SETTINGS, check_same_training

log = logging.getLogger(__name__)

LAST = "last"
# A quota and a limit on the size of files are full disks, too.
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
# A training may go on for longer, elsewhere or otherwise shared out.
_FREE_SETTINGS = (
    *FREE_SETTINGS,
    *("trainer", "strategy", "loader.num_workers", "loader.memory_gb"),
)


def find_checkpoint(config: DictConfig, run_dir: Path, record: RunRecord) -> Path | None:
    """The checkpoint that a training goes on from, none where it begins.

    Args:
        config: Settings; with ``ckpt_path=last`` it is the last one in the run folder.
        run_dir: The run folder.
        record: What the data decides.

    Raises:
        ValueError: The checkpoint is damaged or, with ``ckpt_path=last``, of another training.
    """
    if config.ckpt_path != LAST:
        return None if config.ckpt_path is None else Path(config.ckpt_path)
    path = run_dir / LAST_CHECKPOINT
    if not path.is_file():
        log.info("ckpt_path=last: %s is not there yet, training begins", path)
        return None
    check_same_training(run_dir, config, record, _FREE_SETTINGS)
    return path


def steps_done(checkpoint: Path | None) -> int:
    """Steps that a checkpoint has done.

    Raises:
        ValueError: It is damaged.
    """
    if checkpoint is None:
        return 0
    step = int(read_checkpoint(checkpoint)["global_step"])
    log.info("goes on after step %d, from %s", step, checkpoint)
    return step


def clear_leftovers(run_dir: Path) -> None:
    """Remove what a killed training left half-written in its run folder."""
    for folder in (run_dir, run_dir / CHECKPOINTS, run_dir / LOGS):
        remove_leftovers(folder)


@contextmanager
def full_disk_named(run_dir: Path) -> Iterator[None]:
    """Say what is kept, and how to go on, when the disk is full in the block.

    Raises:
        ValueError: Instead of the system's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f" ({error.filename})" if error.filename else ""
        reason = f"no space left to write to: {error.strerror}{where}"
        raise ValueError(f"run_dir={run_dir}: {reason}; {_kept(run_dir)}") from error


def _kept(run_dir: Path) -> str:
    path = run_dir / LAST_CHECKPOINT
    if not path.is_file():
        return "no checkpoint was saved yet; free space and start again"
    step = read_checkpoint(path)["global_step"]
    return f"the checkpoint of step {step} is kept; free space and go on with ckpt_path=last"
