"""Training samples along the model's own paths through the training volumes."""

from typing import Any

import pytorch_lightning as pl
import torch

from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.method.sampling import OnTrajectories
from pin_lightning.training.module import PINModule
from pin_lightning.training.samples.datamodule import LandmarkDataModule

MOST_CASES = 16  # followed at a time: more would cost more time than they are worth


class FollowTrajectories(pl.Callback):
    """Localise training cases every `every` steps and give the distances to the sampling.

    In each case one start is the mean shape and one is random. All iterations count alike. Before
    the first time, no samples lie on trajectories.
    """

    def __init__(self, sampling: OnTrajectories, every: int, seed: int) -> None:
        if every < 1:
            raise ValueError(f"model.trajectory_every={every}: give at least 1 step")
        self.sampling = sampling
        self.every = every
        self.generator = torch.Generator().manual_seed(seed)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """Follow the model, and let all processes have the distances of the first."""
        if trainer.global_step % self.every == 0 and trainer.global_step < trainer.max_steps:
            assert isinstance(pl_module, PINModule)
            offsets_mm: Any = None
            if trainer.is_global_zero:
                data = trainer.datamodule  # type: ignore[attr-defined]
                pl_module.eval()
                offsets_mm = self._offsets_mm(pl_module, data).cpu()
                pl_module.train()
            offsets_mm = trainer.strategy.broadcast(offsets_mm)
            assert offsets_mm is not None
            self.sampling.offsets_mm = offsets_mm.to(pl_module.device)

    def _offsets_mm(self, module: PINModule, data: LandmarkDataModule) -> Float[Tensor, "R L 3"]:
        localizer, device = module.localizer, module.device
        order = torch.randperm(len(data.train), generator=self.generator)[:MOST_CASES]
        offsets = []
        for index in order.tolist():
            volume = load_volume(data.volumes[data.train[index].case.name]).intensity
            starts = localizer.shape_model.starts(2, self.generator).to(device)
            paths = localizer(volume[None].to(device), starts[None]).landmarks_mm
            offsets.append((paths - data.shapes_mm[index].to(device)).flatten(0, 2))
        return torch.cat(offsets)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed training needs."""
        return {"offsets_mm": self.sampling.offsets_mm, "generator": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of `state_dict`."""
        self.sampling.offsets_mm = state_dict["offsets_mm"]
        self.generator.set_state(state_dict["generator"].cpu())
