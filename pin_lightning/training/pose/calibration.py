"""Calibration of a pose stage: when a pose that it finds is uncertain."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.precision import training_device
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.limits import NEVER_SURE, Judged, PoseLimits, calibrate, often_wrong
from pin_lightning.runs.folder import LAST_CHECKPOINT
from pin_lightning.runs.pose_stage import PoseRecord, load_weights
from pin_lightning.training.pose.fit import PoseCases, fit_pose_stage

log = logging.getLogger(__name__)

MOST_JUDGED = 40  # scans in which a trained stage is looked at
FEWEST_TO_HALVE = 4  # cases
# Of the steps, in trainings on a part of the cases: more where the first find too few poses, as of
# a nearly symmetric anatomy; not with few cases, of which a half may never be enough.
CALIBRATION_STEPS = (1 / 3, 2 / 3)
FEWEST_FOR_MORE = 10  # cases
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
    held_out = list[tuple[Judged, float]]()
    folds = config.pose.calibration_folds
    if folds >= 2 and len(cases.names) >= max(folds, FEWEST_TO_HALVE):
        held_out = _held_out(config, record, cases, folder)
    limits = calibrate(own, held_out)
    found = [one.is_right for one, _ in held_out] or [one.is_right for one in own]
    uncertain = f"uncertain from a score of {limits.score:.2f}, a lead below {limits.lead:.2f}"
    log.info(
        "pose stage: %d of %d scans right (%s); %s",
        *(sum(found), len(found), "held out" if held_out else "training scans"),
        uncertain if limits != PoseLimits(*NEVER_SURE) else "every pose will be uncertain",
    )
    return limits


def _held_out(
    config: DictConfig, record: PoseRecord, cases: PoseCases, folder: Path
) -> list[tuple[Judged, float]]:
    """Poses that stages find in scans that did not train them, as of `calibrate`."""
    number, folds = len(cases.names), config.pose.calibration_folds
    shares = CALIBRATION_STEPS if number >= FEWEST_FOR_MORE else CALIBRATION_STEPS[:1]
    order = np.random.default_rng(config.seed).permutation(number)
    held_out = list[tuple[Judged, float]]()
    for share in shares:
        steps, held_out = max(1, round(share * config.pose.steps)), []
        for fold in range(folds):
            tested = order[fold::folds].tolist()
            rest = [index for index in range(number) if index not in tested]
            other = _trained_on(
                rest, steps, config, record, cases, folder / f"without_{fold}_{steps}"
            )
            usual = float(np.median([one.score for one in judge(other, cases, rest)]))
            held_out += [(one, usual) for one in judge(other, cases, tested)]
            if often_wrong(held_out) and share != shares[-1]:
                log.info("pose stage: too few poses right in held-out scans, trained longer")
                break
        else:
            break
    return held_out


def _trained_on(
    members: Sequence[int],
    steps: int,
    config: DictConfig,
    record: PoseRecord,
    cases: PoseCases,
    folder: Path,
) -> PoseFinder:
    """A finder trained on some of the cases, in a folder that is removed."""
    alone = OmegaConf.merge(config, ALONE)
    assert isinstance(alone, DictConfig)
    finder = fit_pose_stage(alone, record, cases.part(members), folder, steps)
    finder = load_weights(finder, folder / LAST_CHECKPOINT)
    finder.choose_dtype(training_device(config.trainer.accelerator))
    shutil.rmtree(folder)
    return finder


def judge(finder: PoseFinder, cases: PoseCases, members: Sequence[int]) -> list[Judged]:
    """Find the poses of some cases, of many some, and compare them with the true ones."""
    judged = []
    for index in list(members)[:MOST_JUDGED]:
        found = finder([level[index] for level in cases.levels])[0]
        judged.append(Judged.of(found, cases.poses[index], cases.mean_mm, finder.extent_mm))
    return judged
