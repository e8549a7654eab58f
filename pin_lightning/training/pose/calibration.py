"""Calibration of a pose stage: when a pose that it finds is uncertain."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.precision import training_device
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.limits import Judged, PoseLimits, calibrate
from pin_lightning.runs.folder import LAST_CHECKPOINT
from pin_lightning.runs.pose_stage import PoseRecord, load_weights
from pin_lightning.training.pose.fit import PoseCases, fit_pose_stage

log = logging.getLogger(__name__)

MOST_JUDGED = 40  # scans in which a trained stage is looked at
FEWEST_TO_HALVE = 4  # cases
CALIBRATION_STEPS = 1 / 3  # of the steps, in trainings on a part of the cases
# Trainings of the calibration, in this process alone: they are short.
ALONE = {
    "trainer": {"devices": 1, "num_nodes": 1, "strategy": "auto"},
    "checkpoint": {"every_steps": None},
}


def pose_limits(
    config: DictConfig, record: PoseRecord, cases: PoseCases, finder: PoseFinder, folder: Path
) -> PoseLimits:
    """Set when a pose is uncertain, by stages that were trained without a part of the cases."""
    finder.choose_dtype(training_device(config.trainer.accelerator))
    own = judge(finder, cases, range(len(cases.names)))
    folds, held_out = config.pose.calibration_folds, list[tuple[Judged, float]]()
    if folds >= 2 and len(cases.names) >= max(folds, FEWEST_TO_HALVE):
        order = np.random.default_rng(config.seed).permutation(len(cases.names))
        steps = max(1, round(CALIBRATION_STEPS * config.pose.steps))
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


def judge(finder: PoseFinder, cases: PoseCases, members: Sequence[int]) -> list[Judged]:
    """Find the poses of some cases, of many some, and compare them with the true ones."""
    judged = []
    for index in list(members)[:MOST_JUDGED]:
        found = finder([level[index] for level in cases.levels])[0]
        judged.append(Judged.of(found, cases.poses[index], cases.mean_mm, finder.extent_mm))
    return judged
