"""Evaluation of a trained run on new annotated cases, for example of another scanner."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from pin_lightning.common.names import did_you_mean
from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.settings import refuse_missing
from pin_lightning.data.checks import cases as checks
from pin_lightning.data.checks.aligned_shapes import align
from pin_lightning.data.checks.cases import Finding
from pin_lightning.data.checks.label_sets import label_sets
from pin_lightning.data.checks.naming import swapped
from pin_lightning.data.framing import scan_landmarks
from pin_lightning.data.inspection import AnnotatedCase, Inspected, annotate, inspect_cases
from pin_lightning.data.renaming import Renaming
from pin_lightning.data.skipped import (
    count_skipped,
    errors_by_case,
    left_out_findings,
    skips_errors,
    write_skipped,
)
from pin_lightning.data.splits import Split
from pin_lightning.data.survey import refuse_errors
from pin_lightning.evaluation.planes.groups import check_groups
from pin_lightning.evaluation.settings import ReportSettings, report_again
from pin_lightning.reports.run_report import report
from pin_lightning.runs.folder import CHECKPOINTS, RunRecord, clear_results, read_record, write_run
from pin_lightning.runs.folds import config_of, is_folds_folder, read_folds
from pin_lightning.runs.found import found_run
from pin_lightning.runs.other_methods import read_others
from pin_lightning.runs.predictor import Predictor

log = logging.getLogger(__name__)


def evaluate_new(config: DictConfig) -> dict[str, Any]:
    """Evaluate a run, or the mean of all folds, on the cases of a data set.

    Args:
        config: Composed from `conf/evaluate.yaml`.

    Returns:
        The contents of `metrics.json`, all cases under ``test``; with ``error_bars`` if the run has
        them.

    Raises:
        ValueError: A setting or a file is wrong; the message names it.
    """
    refuse_missing(config)
    run_dir, output = found_run(config.run), Path(config.output)
    if (output / CHECKPOINTS).exists() or is_folds_folder(output):
        raise ValueError(f"output={output}: is a trained run; give another folder")
    predictor = Predictor.load(run_dir, config.device, config.trust_run)
    shown = _settings(config_of(run_dir), config)
    settings = ReportSettings.of(shown.report, shown.data.planes)
    read_others(dict(settings.others))
    cases, skipped = _read_cases(shown, predictor, settings)
    folders = read_folds(run_dir) if is_folds_folder(run_dir) else [run_dir]
    records = [read_record(folder) for folder in folders]
    _warn_of_training_cases(cases, records)
    with owned_folder("output", output):
        clear_results(output, keep_checkpoints=True)  # it has none, see above
        tested = tuple(one.case.name for one in cases)
        split = Split(train=records[0].split.train, val=records[0].split.val, test=tested)
        write_run(output, shown, replace(records[0], split=split))
        write_skipped(output, skipped)
        log.info("%d cases, %d landmarks", len(cases), len(predictor.names))
        metrics = report(output, predictor, {"test": cases}, settings, config.data.on_error)
    if (bars := metrics["test"].get("error_bars")) is not None:
        shares = (100 * bars["coverage"], 100 * bars["coverage_asked"])
        log.info("%.1f %% of the landmarks lie within their radius, %g %% are asked", *shares)
    return metrics


def _settings(run: DictConfig, given: DictConfig) -> DictConfig:
    """Merge the config of the run with the data, report and output of the evaluation."""
    planes = given.data.planes or OmegaConf.select(run, "data.planes")
    before = {**run.get("report", {}), "others": {}}  # those files are of other cases
    report = report_again(before, given.report)
    shown = run.copy()
    OmegaConf.set_struct(shown, False)
    rename = OmegaConf.select(run, "data.rename")
    shown.data, shown.data.planes = given.data, planes
    if rename is not None and Renaming.of(given.data.rename) == Renaming():
        shown.data.rename = rename
    shown.report, shown.run_name = report, f"{run.run_name}_evaluated"
    shown.run_dir, shown.overrides, shown.method = str(given.output), [], None
    shown.evaluated_run = found_run(given.run).resolve().name
    return shown


def _read_cases(
    config: DictConfig, predictor: Predictor, settings: ReportSettings
) -> tuple[list[AnnotatedCase], dict[str, str]]:
    """Read the cases with the landmarks of the run, and the errors of skipped cases by name."""
    found_cases = Renaming.of(config.data.rename).cases(instantiate(config.data.source))
    inspected, failures = inspect_cases(found_cases)
    unread = [Finding("error", case, "", message) for case, message in failures.items()]
    labels_of = {one.case.name: one.landmarks.names for one in inspected}
    errors = [*unread, *label_sets(labels_of, predictor.names), *checks.outside(inspected)]
    skipped = errors_by_case(errors) if skips_errors(config.data.on_error) else {}
    inspected = [one for one in inspected if one.case.name not in skipped]
    if not skipped or not inspected:
        refuse_errors(errors)
    for finding in left_out_findings(skipped):
        log.warning("%s", finding)
    count_skipped(skipped, len(found_cases))
    found = dict.fromkeys(name for one in inspected for name in one.landmarks.names)
    check_groups(settings.planes, [*found, *predictor.names], predictor.names)
    _warn_of_shapes(inspected, predictor.names)
    cases = [annotate(one, predictor.names, predictor.localizer.grid) for one in inspected]
    known = [one for one in cases if one.landmarks.defined.any()]
    if not known:
        hint = did_you_mean(predictor.names[0], found)
        raise ValueError(
            f"data.root={config.data.root}: no case has a landmark of the run, such as "
            f"{predictor.names[0]}; {hint}"
        )
    if len(known) < len(cases):
        bare = [one.case.name for one in cases if not one.landmarks.defined.any()]
        log.warning("none of the landmarks in %s: left out", ", ".join(bare))
    return known, skipped


def _warn_of_shapes(inspected: Sequence[Inspected], names: Sequence[str]) -> None:
    """Point out exchanged names and mirrored cases, as a check of the data would."""
    shapes_mm = np.stack([scan_landmarks(one, names) for one in inspected])
    called = [one.case.name for one in inspected]
    if np.isfinite(shapes_mm).any():
        for finding in swapped(shapes_mm, called, names, align(shapes_mm)):
            log.warning("%s", finding)


def _warn_of_training_cases(cases: Sequence[AnnotatedCase], records: Sequence[RunRecord]) -> None:
    seen = {name for record in records for name in (*record.split.train, *record.split.val)}
    again = [one.case.name for one in cases if one.case.name in seen]
    if again:
        log.warning(
            "%d of %d cases have names of cases that the run was trained on (%s, ...): if they are "
            "the same scans, the errors are too small",
            *(len(again), len(cases), again[0]),
        )
