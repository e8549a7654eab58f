"""The pose stage of a training: trained, gone on with, or taken from another run."""

import logging
import shutil
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
from pin_lightning.common.files import output_folder
from pin_lightning.common.precision import training_device
from pin_lightning.data.anatomy import Anatomy
from pin_lightning.data.framing import scan_landmarks
from pin_lightning.data.inspection import Inspected
from pin_lightning.data.scan_cache import cached_levels
from pin_lightning.data.survey import Survey
from pin_lightning.distributed.ranks import is_first
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.limits import Judged, PoseLimits, calibrate
from pin_lightning.method.pose.rigid import Poses
from pin_lightning.runs.folder import LAST_CHECKPOINT, UNFINISHED
from pin_lightning.runs.model_record import ModelRecord
from pin_lightning.runs.pose_stage import (
    PoseRecord,
    PoseStage,
    build_finder,
    load_finder,
    load_pose,
    load_weights,
    pose_folder,
    read_pose_record,
    write_pose_record,
)
from pin_lightning.training.callbacks.averaging import AveragedWeights
from pin_lightning.training.callbacks.checkpoints import KeepLast
from pin_lightning.training.callbacks.progress import TrainingProgress
from pin_lightning.training.callbacks.stop_together import AskedToEnd
from pin_lightning.training.fit import run_trainer
from pin_lightning.training.loggers import TrainingLog
from pin_lightning.training.pose.loader import PoseDataModule, PoseLoader
from pin_lightning.training.pose.module import PoseModule

log = logging.getLogger(__name__)

MOST_JUDGED = 40  # scans in which a trained stage is looked at, for its limits
FEWEST_TO_HALVE = 4  # cases
CALIBRATION_STEPS = 1 / 3  # of the steps, in trainings on a part of the cases


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


def pose_stage(
    config: DictConfig, surveyed: Survey, train: Sequence[str], run_dir: Path, goes_on: bool
) -> PoseStage | None:
    """Make the pose stage of a run; None if volumes are taken as scanned.

    Args:
        config: Resolved settings.
        surveyed: The data.
        train: Names of the training cases.
        run_dir: The run folder.
        goes_on: Keep a finished stage, and go on with an unfinished one.

    Returns:
        The stage in the first process; None in the others, too.
    """
    anatomy = surveyed.framed.anatomy
    if anatomy is None:
        return None
    folder = pose_folder(run_dir)
    if config.pose.run is not None:
        if is_first():
            _take_over(Path(config.pose.run), run_dir)
        return load_pose(run_dir) if is_first() else None
    done = (folder / LAST_CHECKPOINT).is_file() and not (folder / UNFINISHED).exists()
    if goes_on and done:
        log.info("pose stage: finished before")
        return load_pose(run_dir) if is_first() else None
    spacings_mm = tuple(float(f"{one * anatomy.extent_mm:.2g}") for one in config.pose.spacings)
    record = PoseRecord(anatomy, spacings_mm, tuple(train))
    if is_first():
        if not goes_on:
            shutil.rmtree(folder, ignore_errors=True)
        output_folder("run_dir", folder)
        (folder / UNFINISHED).touch()
        write_pose_record(run_dir, record)
    return _train(config, surveyed, record, run_dir)


def _take_over(source: Path, run_dir: Path) -> None:
    """Copy the pose stage of another run."""
    if source.resolve() == run_dir.resolve():
        return
    load_pose(source)  # refuses what is damaged or not finished
    target = pose_folder(run_dir)
    shutil.rmtree(target, ignore_errors=True)
    (target / LAST_CHECKPOINT).parent.mkdir(parents=True)
    write_pose_record(run_dir, read_pose_record(source))
    shutil.copy(pose_folder(source) / LAST_CHECKPOINT, target / LAST_CHECKPOINT)


def _train(
    config: DictConfig, surveyed: Survey, record: PoseRecord, run_dir: Path
) -> PoseStage | None:
    cases = pose_cases(surveyed, record, Path(config.data.cache_dir))
    folder = pose_folder(run_dir)
    log.info(
        "pose stage: %d scans at %s mm%s",
        *(len(cases.names), " and ".join(f"{one:g}" for one in record.spacings_mm)),
        ", sizes found" if record.anatomy.with_scale else "",
    )
    fit_pose_stage(config, record, cases, folder, config.pose.max_steps)
    if not is_first():
        return None
    finder = load_finder(run_dir)
    assert finder is not None
    limits = _limits(config, record, cases, finder, folder)
    write_pose_record(run_dir, replace(record, limits=limits))
    (folder / UNFINISHED).unlink()
    return PoseStage(finder, limits, record.anatomy)


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
    finder = build_finder(ModelRecord.of_config(config), record, cases.mean_mm)
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


def _limits(
    config: DictConfig, record: PoseRecord, cases: PoseCases, finder: PoseFinder, folder: Path
) -> PoseLimits:
    """Set when a pose is uncertain, by stages that were trained without a part of the cases."""
    finder.choose_dtype(training_device(config.trainer.accelerator))
    own = judge(finder, cases, range(len(cases.names)))
    folds, held_out = config.pose.calibration_folds, list[tuple[Judged, float]]()
    if folds >= 2 and len(cases.names) >= max(folds, FEWEST_TO_HALVE):
        order = np.random.default_rng(config.seed).permutation(len(cases.names))
        steps = max(1, round(CALIBRATION_STEPS * config.pose.max_steps))
        for number in range(folds):
            tested = order[number::folds].tolist()
            rest = [index for index in range(len(cases.names)) if index not in tested]
            part, place = cases.part(rest), folder / f"without_{number}"
            alone = OmegaConf.merge(config, ALONE)
            assert isinstance(alone, DictConfig)
            other = fit_pose_stage(alone, record, part, place, steps)
            other = load_weights(other, place / LAST_CHECKPOINT)
            other.choose_dtype(training_device(config.trainer.accelerator))
            usual = float(np.median([one.score for one in judge(other, cases, rest)]))
            held_out += [(one, usual) for one in judge(other, cases, tested)]
            shutil.rmtree(place)
    limits = calibrate(own, held_out)
    found = [one.is_right for one, _ in held_out] or [one.is_right for one in own]
    log.info(
        "pose stage: %d of %d scans right (%s); uncertain from a score of %.2f, a lead below %.2f",
        *(sum(found), len(found), "held out" if held_out else "training scans"),
        *(limits.score, limits.lead),
    )
    return limits


# Trainings of the calibration, in this process alone: they are short.
ALONE = {
    "trainer": {"devices": 1, "num_nodes": 1, "strategy": "auto"},
    "checkpoint": {"every_steps": None},
}


def judge(finder: PoseFinder, cases: PoseCases, members: Sequence[int]) -> list[Judged]:
    """Find the poses of some cases, of many some, and compare them with the true ones."""
    judged = []
    for index in list(members)[:MOST_JUDGED]:
        found = finder([level[index] for level in cases.levels])[0]
        judged.append(Judged.of(found, cases.poses[index], cases.mean_mm, finder.extent_mm))
    return judged
