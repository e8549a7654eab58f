"""Cross-validation: a run for each fold, and a report on the test cases of all folds."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.files import write_text
from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.settings import asked_settings, check_count, refuse_missing
from pin_lightning.data.survey import Survey
from pin_lightning.distributed.strategies import Several
from pin_lightning.evaluation.conformal import ConformalSettings
from pin_lightning.evaluation.contradictions_csv import read_contradictions
from pin_lightning.evaluation.evaluation import Evaluation, join_cases
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.evaluation.poses import PoseResult, read_poses
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.reports.convergence_report import report_fold_convergence
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.case_pictures import case_pictures
from pin_lightning.reports.figures.shown_cases import ShownCase, read_case, trace_pose
from pin_lightning.reports.fold_report import report_folds
from pin_lightning.reports.pages.run_page import write_run_page
from pin_lightning.runs.folder import (
    CONFIG,
    CONTRADICTIONS,
    FIGURES,
    POSES,
    PREDICTIONS,
    RECORD,
    RunRecord,
)
from pin_lightning.runs.folds import fold_folder, is_finished, read_folds, write_folds
from pin_lightning.runs.other_methods import read_others
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.concurrent import run_at_once
from pin_lightning.training.combinations import AnyParts
from pin_lightning.training.loggers import name_group
from pin_lightning.training.plan import plan_run, prepare_run
from pin_lightning.training.prepared import Prepared
from pin_lightning.training.resume import LAST, begun, check_same_training
from pin_lightning.training.run import survey_data, train_prepared

log = logging.getLogger(__name__)

MOST_LISTED = 10  # contradicted annotations in the log

# Settings of the cross-validation itself; the others are those of a training.
OWN_SETTINGS = ("calibration", "folds_at_once")


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold that is to be trained, or was.

    Attributes:
        folder: Its run folder.
        config: Config of its training.
        prepared: What the data decide.
    """

    folder: Path
    config: DictConfig
    prepared: Prepared

    @property
    def record(self) -> RunRecord:
        """Record of the run, kept beside its config."""
        return self.prepared.record


def cross_validate(config: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Train all folds that are not finished, and report on their test cases together.

    Args:
        config: Composed from `conf/cross_validate.yaml`.
        run_dir: Folder of the folds ``fold0``, ``fold1``, ...

    Returns:
        The contents of `metrics.json`.

    Raises:
        ValueError: A setting or a data file is wrong, or a fold in the folder was trained with
            other settings or cases; the message names it.
    """
    refuse_missing(config)
    calibration = None
    if config.calibration.coverage is not None:
        calibration = ConformalSettings(**config.calibration)
    asked = asked_settings(config)
    settings = ReportSettings.of(config.report, config.data.planes)
    read_others(dict(settings.others))  # fails now rather than after all folds
    check_count("folds_at_once", config.folds_at_once)
    _check_settings(config, run_dir)
    training = OmegaConf.masked_copy(
        config, [str(key) for key in config if key not in OWN_SETTINGS]
    )
    several = Several("a cross-validation", within_process=True)
    shared, surveyed, parts = survey_data(training, several)
    if "data.split.folds" not in asked:
        _fewer_folds(shared, surveyed)
    folds = list(_prepare(shared, surveyed, parts, run_dir))
    if calibration is not None:
        try:
            _check_calibration(calibration, folds, surveyed)
        except ValueError as error:
            if "calibration.coverage" in asked:
                raise
            log.warning("no error bars: %s", error)
            calibration = None
    with owned_folder("run_dir", run_dir):
        _train(folds, surveyed, run_dir, config.folds_at_once)
        joint = OmegaConf.merge(shared, {"run_dir": str(run_dir)})
        write_text(run_dir / CONFIG, OmegaConf.to_yaml(joint, resolve=True))
        return _report(folds, surveyed, run_dir, calibration, settings)


def _report(
    folds: Sequence[Fold],
    surveyed: Survey,
    run_dir: Path,
    calibration: ConformalSettings | None,
    settings: ReportSettings,
) -> dict[str, Any]:
    """Report on the test cases of all folds together."""
    evaluation = out_of_fold(run_dir)
    poses = poses_out_of_fold(run_dir)
    metrics = report_folds(run_dir, evaluation, calibration, settings, poses)
    _log_contradictions(run_dir)
    folders = [fold.folder for fold in folds]
    report_fold_convergence(run_dir, folders, evaluation, settings.pictures)
    if settings.pictures:
        _draw(run_dir, evaluation, folds, surveyed, settings.planes)
        log.info("%s", write_run_page(run_dir, settings))
    return metrics


def _log_contradictions(run_dir: Path) -> None:
    """List the annotations to look at again, the most severe first."""
    found = read_contradictions(run_dir / CONTRADICTIONS)
    if found:
        path = run_dir / CONTRADICTIONS
        log.warning("annotations that predictions contradict: %d, in %s", len(found), path)
    for one in found[:MOST_LISTED]:
        log.warning("%s: %s", one.case, one.message)


def out_of_fold(run_dir: Path) -> Evaluation:
    """Read the predictions of all cases, each by the fold that did not see it.

    Raises:
        ValueError: A fold is not finished, or the folds differ in their landmarks.
    """
    parts = [read_predictions(folder / PREDICTIONS) for folder in read_folds(run_dir)]
    return join_cases([part["test"] for part in parts if "test" in part])


def poses_out_of_fold(run_dir: Path) -> list[PoseResult]:
    """Read the poses of all cases, each by the fold that did not see it; empty without any."""
    parts = [read_poses(folder / POSES) for folder in read_folds(run_dir)]
    return [one for part in parts for one in part.get("test", [])]


def _fewer_folds(config: DictConfig, surveyed: Survey) -> None:
    """Lower the default number of folds to that of the subjects, if there are at least two."""
    subjects, split = {one.case.subject for one in surveyed.cases}, config.data.split
    if 2 <= len(subjects) < split.folds:
        log.info("data.split.folds=%d: one for each subject", len(subjects))
        split.folds = len(subjects)


def _check_calibration(
    calibration: ConformalSettings, folds: Sequence[Fold], surveyed: Survey
) -> None:
    """Raise a ValueError if the cases that folds test are too few for the coverage."""
    tested = {name for fold in folds for name in fold.record.split.test}
    known = [one.landmarks.defined for one in surveyed.cases if one.case.name in tested]
    calibration.check_cases(np.array(known), surveyed.names)


def _check_settings(config: DictConfig, run_dir: Path) -> None:
    split = config.data.split
    if split.folds is None:
        raise ValueError("data.split.folds=null: give the number of folds, data.split.folds=5")
    if split.fold is not None:
        raise ValueError(
            f"data.split.fold={split.fold}: all folds are trained here; leave it out, or take "
            f"train.py for one"
        )
    if config.ckpt_path not in (None, LAST):
        raise ValueError(
            f"ckpt_path={config.ckpt_path}: folds are not continued from a checkpoint; leave it "
            f"out, finished folds are kept"
        )
    if (run_dir / RECORD).exists():
        raise ValueError(f"run_dir={run_dir}: is the folder of a single run; give another folder")


def _prepare(
    config: DictConfig, surveyed: Survey, parts: AnyParts, run_dir: Path
) -> Iterator[Fold]:
    """Prepare all folds, so that a wrong setting is found before the first is trained."""
    first = _prepare_fold(config, surveyed, parts, run_dir, 0)  # checks the number of folds
    plan_run(first.config, first.prepared)  # checks the settings of the network
    yield first
    for number in range(1, config.data.split.folds):
        yield _prepare_fold(config, surveyed, parts, run_dir, number)


def _prepare_fold(
    config: DictConfig, surveyed: Survey, parts: AnyParts, run_dir: Path, number: int
) -> Fold:
    own = config.copy()
    own.data.split.fold = number
    own.report.others = {}  # compared on all cases together
    own.run_name = f"{config.run_name}_fold{number}"
    name_group(own, run_dir.name)
    fold = Fold(fold_folder(run_dir, number), own, prepare_run(own, surveyed, parts))
    if is_finished(fold.folder):
        check_same_training(fold.folder, own, fold.record)
    return fold


def _train(folds: Sequence[Fold], surveyed: Survey, run_dir: Path, at_once: int) -> None:
    write_folds(run_dir, len(folds))
    unfinished = [fold for fold in folds if not is_finished(fold.folder)]
    for fold in folds:
        if fold not in unfinished:
            log.info("%s: finished before", fold.folder.name)
    for fold in unfinished:
        fold.config.ckpt_path = LAST if _can_go_on(fold) else None
    if at_once == 1:
        for fold in unfinished:
            log.info("%s of %d", fold.folder.name, len(folds))
            train_prepared(fold.config, surveyed, fold.prepared, fold.folder)
    elif unfinished:
        settings = [(fold.config, surveyed, fold.prepared, fold.folder) for fold in unfinished]
        run_at_once(train_prepared, settings, [fold.folder for fold in unfinished], at_once)


def _can_go_on(fold: Fold) -> bool:
    """True if a fold was interrupted in a training of the same settings and cases."""
    if not begun(fold.folder):
        return False
    try:
        check_same_training(fold.folder, fold.config, fold.record)
    except ValueError as error:
        log.info("%s: begins anew (%s)", fold.folder.name, error)
        return False
    return True


def _draw(
    run_dir: Path,
    evaluation: Evaluation,
    folds: Sequence[Fold],
    surveyed: Survey,
    groups: Sequence[PlaneGroup],
) -> None:
    """Draw figures of all cases, each localised by the fold that did not see it."""
    figures = run_dir / FIGURES
    plots.save(plots.error_figure(evaluation), figures / "test_errors.png")
    cases = {one.case.name: one for one in surveyed.cases}
    folders = {name: fold.folder for fold in folds for name in fold.record.split.test}

    load = cache(partial(Predictor.load, trust_run=folds[0].config.trust_run))

    def show(name: str) -> ShownCase:
        return read_case(load(folders[name]), cases[name], groups)

    trace = lambda name: trace_pose(load(folders[name]), cases[name])  # noqa: E731
    case_pictures(figures, evaluation, "test", show, trace)
