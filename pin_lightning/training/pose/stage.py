"""The pose stage of a training: trained, gone on with, or taken from another run."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.common.files import output_folder
from pin_lightning.data.survey import Survey
from pin_lightning.distributed.ranks import is_first
from pin_lightning.runs.folder import LAST_CHECKPOINT, UNFINISHED
from pin_lightning.runs.pose_stage import (
    PoseRecord,
    PoseStage,
    load_pose,
    load_weights,
    pose_folder,
    read_pose_record,
    write_pose_record,
)
from pin_lightning.training.pose.calibration import pose_limits
from pin_lightning.training.pose.choice import reused_run
from pin_lightning.training.pose.fit import fit_pose_stage, pose_cases

log = logging.getLogger(__name__)

MOST_SCANS = 200  # that train a pose stage: all of them are in memory


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
            _take_over(reused_run(config), run_dir)
        return load_pose(run_dir) if is_first() else None
    done = (folder / LAST_CHECKPOINT).is_file() and not (folder / UNFINISHED).exists()
    if goes_on and done:
        log.info("pose stage: finished before")
        return load_pose(run_dir) if is_first() else None
    spacings_mm = tuple(float(f"{one * anatomy.extent_mm:.2g}") for one in config.pose.spacings)
    record = PoseRecord(anatomy, spacings_mm, some_of(train))
    if is_first():
        if not goes_on:
            shutil.rmtree(folder, ignore_errors=True)
        output_folder("run_dir", folder)
        (folder / UNFINISHED).touch()
        write_pose_record(run_dir, record)
    return _train(config, surveyed, record, run_dir)


def some_of(names: Sequence[str]) -> tuple[str, ...]:
    """All names, of very many `MOST_SCANS` evenly spaced ones.

    >>> len(some_of([str(number) for number in range(1000)]))
    200
    """
    if len(names) <= MOST_SCANS:
        return tuple(names)
    return tuple(names[index * len(names) // MOST_SCANS] for index in range(MOST_SCANS))


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
    finder = fit_pose_stage(config, record, cases, folder, config.pose.steps)
    if not is_first():
        return None
    finder = load_weights(finder, folder / LAST_CHECKPOINT)
    limits = pose_limits(config, record, cases, finder, folder)
    write_pose_record(run_dir, replace(record, limits=limits))
    (folder / UNFINISHED).unlink()
    return PoseStage(finder, limits, record.anatomy)
