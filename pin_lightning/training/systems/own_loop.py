"""Training of a system by a loop of its own: its cases, its log, and one checkpoint at the end."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger
from rich.console import Console
from rich.progress import Progress

from pin_lightning.baselines.base import Batch, Log, OwnLoopSystem, TrainingCases
from pin_lightning.common.types import Tensor, UInt8
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.method.pyramid import coarser
from pin_lightning.runs.folder import LAST_CHECKPOINT
from pin_lightning.runs.model import LOCALIZER_PREFIX, load_weights, read_checkpoint
from pin_lightning.training.callbacks.checkpoints import WholeCheckpoints
from pin_lightning.training.samples.resident import ResidentLoader

log = logging.getLogger(__name__)


class CoarseVolumes(Sequence[UInt8[Tensor, "X Y Z"]]):
    """Cached working volumes at a coarser spacing, each read when it is asked for."""

    def __init__(self, files: Sequence[Path], factor: int) -> None:
        self.files = files
        self.factor = factor

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> UInt8[Tensor, "X Y Z"]:  # type: ignore[override]
        return coarser(load_volume(self.files[index]).intensity[None], self.factor)[0]


def fit_own_loop(
    config: DictConfig,
    run_dir: Path,
    system: OwnLoopSystem,
    loader: ResidentLoader,
    device: torch.device,
    loggers: Sequence[Logger],
) -> None:
    """Train a system by its own loop, and save it; one that was saved is loaded.

    Args:
        config: Resolved settings.
        run_dir: The run folder.
        system: The system, not trained.
        loader: Draws augmented volumes.
        device: Device that trains.
        loggers: Loggers of the training.

    Raises:
        ValueError: Several processes are asked for.
    """
    trainer, path = config.trainer, run_dir / LAST_CHECKPOINT
    if trainer.devices not in (1, "1", "auto") or trainer.num_nodes != 1:
        raise ValueError(
            f"trainer.devices={trainer.devices}: model={system.name} trains in one process; give "
            f"trainer.devices=1 and trainer.num_nodes=1"
        )
    if config.ckpt_path is not None and read_checkpoint(path)["global_step"] == trainer.max_steps:
        log.info("model=%s: finished before", system.name)
        load_weights(system, path)
        return
    volumes = CoarseVolumes(loader.volumes, system.input_factor)

    def draw(count: int) -> Batch:
        drawn = loader.draw(count)
        return drawn["volumes"], drawn["landmarks_mm"]

    cases = TrainingCases(volumes, loader.shapes_mm.cpu(), draw)
    system.choose_dtype(device)
    system.to(device).train()
    with _shown(trainer.max_steps, loggers) as log_values:
        system.fit(cases, trainer.max_steps, log_values)
    system.eval()
    state = {f"{LOCALIZER_PREFIX}{name}": one for name, one in system.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"state_dict": state, "global_step": trainer.max_steps}
    WholeCheckpoints().save_checkpoint(content, path)


@contextmanager
def _shown(steps: int, loggers: Sequence[Logger]) -> Iterator[Log]:
    """Show a bar on a terminal, and give what writes to it and to the loggers."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=steps)

        def log_values(step: int, values: Mapping[str, float]) -> None:
            bar.update(task, completed=step)
            for logger in loggers:
                logger.log_metrics({f"train/{name}": one for name, one in values.items()}, step)

        yield log_values
    for logger in loggers:
        logger.save()
