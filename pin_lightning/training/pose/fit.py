"""Training of one pose stage: its cases, and the fit of its network."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from jaxtyping import Float64
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.alignment import Pose, align_shapes, fit_pose
from pin_lightning.data.anatomy import Anatomy
from pin_lightning.data.framing import scan_landmarks
from pin_lightning.data.inspection import Inspected
from pin_lightning.data.scan_cache import cached_levels
from pin_lightning.data.survey import Survey
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.rigid import Poses
from pin_lightning.runs.folder import LAST_CHECKPOINT
from pin_lightning.runs.model_record import record_of_config
from pin_lightning.runs.pose_stage import PoseRecord, build_finder
from pin_lightning.training.callbacks.averaging import AveragedWeights
from pin_lightning.training.callbacks.checkpoints import KeepLast
from pin_lightning.training.callbacks.progress import TrainingProgress
from pin_lightning.training.callbacks.stop_together import AskedToEnd
from pin_lightning.training.fit import run_trainer
from pin_lightning.training.loggers import TrainingLog
from pin_lightning.training.pose.loader import PoseDataModule, PoseLoader
from pin_lightning.training.pose.module import PoseModule

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PoseCases:
    """Training cases of a pose stage.

    Attributes:
        names: Case names.
        levels: Their scans, at each spacing.
        landmarks_mm: Their landmarks in scan mm, NaN where missing.
        poses: Poses of the reference shape.
        mean_mm: Mean shape in the anatomical frame.
    """

    names: tuple[str, ...]
    levels: Sequence[Sequence[torch.Tensor]]
    landmarks_mm: Float64[np.ndarray, "M L 3"]
    poses: Sequence[Pose]
    mean_mm: Float64[np.ndarray, "L 3"]

    def part(self, members: Sequence[int]) -> "PoseCases":
        """Some of the cases; the mean shape stays."""
        return replace(
            self,
            names=tuple(self.names[index] for index in members),
            levels=[[level[index] for index in members] for level in self.levels],
            landmarks_mm=self.landmarks_mm[list(members)],
            poses=[self.poses[index] for index in members],
        )


def pose_cases(surveyed: Survey, record: PoseRecord, cache_dir: Path) -> PoseCases:
    """Read the scans of the training cases at coarse spacings, and fit their poses."""
    inspected = {one.case.name: one for one in surveyed.inspected}
    chosen: list[Inspected] = [inspected[name] for name in record.trained_on]
    landmarks_mm = np.stack([scan_landmarks(one, record.anatomy.names) for one in chosen])
    cases = [one.case for one in chosen]
    levels = cached_levels(cases, record.spacings_mm, cache_dir, surveyed.window)
    mean_mm = training_mean(landmarks_mm, record.anatomy)
    with_scale = record.anatomy.with_scale
    poses = [fit_pose(mean_mm, one, with_scale=with_scale) for one in landmarks_mm]
    return PoseCases(record.trained_on, levels, landmarks_mm, poses, mean_mm)


def training_mean(
    landmarks_mm: Float64[np.ndarray, "M L 3"], anatomy: Anatomy
) -> Float64[np.ndarray, "L 3"]:
    """Mean shape of training cases in the anatomical frame; what none of them has is the frame's.

    The frame is a convention that all cases share; the shape is that of the training cases alone.
    """
    mean_mm, _ = align_shapes(landmarks_mm, anatomy.with_scale)
    onto = fit_pose(mean_mm, anatomy.reference_mm, with_scale=anatomy.with_scale)
    placed = onto.place(mean_mm)
    return np.where(np.isfinite(placed), placed, anatomy.reference_mm)


def fit_pose_stage(
    config: DictConfig, record: PoseRecord, cases: PoseCases, folder: Path, steps: int
) -> PoseFinder:
    """Train a pose stage in a folder, from its last checkpoint if there is one."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    pose = config.pose
    finder = build_finder(record_of_config(config), record, cases.mean_mm)
    chosen = finder.chosen_.numpy()
    poses = Poses(
        torch.from_numpy(np.stack([one.scale * one.rotation for one in cases.poses])).float(),
        torch.from_numpy(np.stack([one.shift_mm for one in cases.poses])).float(),
    )
    landmarks_mm = torch.from_numpy(cases.landmarks_mm[:, chosen]).float()
    settings = (cases.levels, poses, landmarks_mm, pose.batch_size, config.seed)
    datamodule = PoseDataModule(partial(PoseLoader, finder, *settings))
    module = PoseModule(finder, instantiate(pose.optimizer), instantiate(pose.scheduler))
    trainer = OmegaConf.merge(config.trainer, {"max_steps": steps, "val_check_interval": steps})
    path = folder / LAST_CHECKPOINT
    every = config.checkpoint.every_steps or max(1, min(steps, 500))
    progress = TrainingProgress(config.trainer.log_every_n_steps)
    callbacks = [AveragedWeights(pose.ema_decay), AskedToEnd(), progress, KeepLast(path, every)]
    assert isinstance(trainer, DictConfig)
    checkpoint = path if path.is_file() else None
    first_step = 0
    if checkpoint is not None:
        first_step = int(torch.load(path, weights_only=True)["global_step"])
        log.info("pose stage: goes on after step %d", first_step)
    loggers = [TrainingLog(folder, first_step)]
    run_trainer(trainer, folder, module, datamodule, callbacks, loggers, checkpoint)
    return finder
