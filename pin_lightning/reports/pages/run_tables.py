"""Tables of a run's page: methods, landmarks, cases, planes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.contradictions import Contradiction
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.metrics import error_quantile, error_sd, mean_error, within
from pin_lightning.evaluation.poses import PoseResult
from pin_lightning.evaluation.settings import OWN, ReportSettings
from pin_lightning.evaluation.summary import p95
from pin_lightning.reports.pages import tables
from pin_lightning.reports.pages.methods import Comparison, MethodErrors
from pin_lightning.reports.pages.tables import Cell, Column, Table, barred, count, number, share


def method_table(comparison: Comparison, settings: ReportSettings) -> Table:
    """Errors of this run, of the mean shape and of other methods, with intervals."""
    level = f"{100 * settings.bootstrap.level:g} % interval below, over cases"
    columns = (
        Column("Method", numeric=False),
        Column("Mean, mm", level),
        Column("SD, mm"),
        Column("Median, mm", level),
        Column("95th percentile, mm", level),
        *(Column(f"≤ {radius:g} mm, %", level) for radius in settings.radii_mm),
        Column("Farther than this run, mm", "mean over the same landmarks, " + level),
        Column("Seconds a volume", "median"),
    )
    rows = [_method_row(comparison, one, settings) for one in comparison.methods]
    return Table("Errors of all methods", columns, tuple(rows))


def _method_row(
    comparison: Comparison, method: MethodErrors, settings: ReportSettings
) -> tuple[Cell, ...]:
    errors, interval = method.errors_mm, settings.bootstrap.interval
    close = [within(errors, radius) for radius in settings.radii_mm]
    difference = comparison.difference_mm(method)
    own = method.name == OWN
    farther = None if own else float(np.nanmean(difference))
    return (
        Cell(method.name, tone="own" if own else ""),
        number(float(mean_error(errors)), interval(errors, np.mean)),
        number(float(error_sd(errors))),
        number(float(error_quantile(errors, 0.5)), interval(errors, np.median)),
        number(float(error_quantile(errors, 0.95)), interval(errors, p95)),
        *(share(float(mean_error(one)), interval(one, np.mean)) for one in close),
        number(farther, None if own else interval(difference, np.mean)),
        number(method.seconds),
    )


def landmark_table(
    evaluation: Evaluation,
    failure_mm: float,
    covered: Float64[np.ndarray, "N L"] | None = None,
    radii_mm: Float64[np.ndarray, "N L"] | None = None,
) -> Table:
    """Errors of each landmark that has a true position in some case.

    Landmarks fail from `failure_mm` on. With error bars, `covered` says whether each landmark lies
    within its radius.
    """
    errors, guess = evaluation.errors_mm, evaluation.mean_shape_errors_mm
    shown = np.flatnonzero(evaluation.defined.any(axis=0))
    largest = float(np.nanmax(np.nanmean(errors[:, shown], axis=0), initial=0))
    rows = []
    for index in shown:
        column, worst = errors[:, index], int(np.nanargmax(errors[:, index]))
        cells = [Cell(evaluation.names[index]), *_spread_of(column, largest)]
        cells += [number(float(np.nanmean(guess[:, index]))), _failed(column, failure_mm)]
        if covered is not None and radii_mm is not None:
            held = float(np.nanmean(covered[:, index]))
            cells += [share(held), number(float(np.median(radii_mm[:, index])))]
        rows.append((*cells, Cell(evaluation.cases[worst], float(column[worst]))))
    bars = () if covered is None else ("Within radius, %", "Median radius, mm")
    columns = (
        *tables.names("Landmark"),
        *tables.numbers("Cases", "Mean, mm", "Median, mm", "95th pct., mm", "Mean shape, mm"),
        *tables.numbers("Failed", *bars),
        Column("Worst case", "sorts by its error", numeric=False),
    )
    return Table("Errors of each landmark", columns, tuple(rows))


def _spread_of(errors: Float64[np.ndarray, " N"], largest: float) -> list[Cell]:
    known = errors[np.isfinite(errors)]
    mean = barred(float(known.mean()), largest)
    median = number(float(np.median(known)))
    return [count(int(known.size)), mean, median, number(p95(known))]


def _failed(errors: Float64[np.ndarray, " N"], failure_mm: float) -> Cell:
    return tables.failures(int((errors > failure_mm).sum()))


def case_table(evaluation: Evaluation, failure_mm: float) -> Table:
    """Errors of each case that has any true position, largest mean first."""
    errors, guess = evaluation.errors_mm, evaluation.mean_shape_errors_mm
    known = np.flatnonzero(evaluation.defined.any(axis=1))
    means = np.nanmean(errors[known], axis=1)
    largest = float(means.max(initial=0))
    rows = []
    for case in known[np.argsort(-means, kind="stable")]:
        row, worst = errors[case], int(np.nanargmax(errors[case]))
        cells = [Cell(evaluation.cases[case]), *_spread_of(row, largest)[:3]]
        cells += [number(float(row[worst])), Cell(evaluation.names[worst])]
        rows.append((*cells, number(float(np.nanmean(guess[case]))), _failed(row, failure_mm)))
    columns = (
        *tables.names("Case"),
        *tables.numbers("Landmarks", "Mean, mm", "Median, mm", "Largest, mm"),
        *tables.names("Farthest landmark"),
        *tables.numbers("Mean shape, mm", "Failed"),
    )
    return Table("Errors of each case", columns, tuple(rows), short=10)


def contradiction_table(found: Sequence[Contradiction]) -> Table:
    """Annotated landmarks that out-of-fold predictions contradict, the most severe first."""
    columns = (
        *tables.names("Case", "What to look at"),
        Column("Off, mm", "largest distance between annotation and prediction"),
        Column("Expected, mm", "distance that one in a thousand right annotations exceeds"),
    )
    rows = []
    for one in found:
        worst = max(range(len(one.landmarks)), key=lambda place: one.error_mm[place])
        numbers = (number(one.error_mm[worst]), number(one.limit_mm[worst]))
        rows.append((Cell(one.case), Cell(one.message), *numbers))
    return Table("Annotations that predictions contradict", columns, tuple(rows), short=10)


def plane_table(planes: Mapping[str, Any]) -> Table:
    """Errors of planes through landmarks.

    Args:
        planes: By name, ``n``, and ``angle_degrees`` and ``offset_mm`` with ``mean``, ``sd`` and
            ``median``, as in `metrics.json`.
    """
    keys = {"angle_degrees": "Angle, °", "offset_mm": "Offset, mm"}
    kinds = {"mean": "mean", "sd": "SD", "median": "median"}
    titles = [f"{keys[key]}: {kinds[kind]}" for key in keys for kind in kinds]
    rows = []
    for name, found in planes.items():
        values = [number((found.get(key) or {}).get(kind)) for key in keys for kind in kinds]
        rows.append((Cell(name), count(int(found["n"])), *values))
    columns = (*tables.names("Plane"), *tables.numbers("Cases", *titles))
    return Table("Errors of planes", columns, tuple(rows))


def pose_table(poses: Sequence[PoseResult]) -> Table:
    """Found poses beside the true ones, the wrong and the farthest off first."""
    columns = (
        *tables.names("Case", "Pose"),
        Column("Rotation off, °"),
        Column("Landmarks off, mm", "mean over the landmarks of the mean shape, placed"),
        *tables.names("Called"),
        Column("Score", "minus the log odds that it is right: the lower, the surer"),
        Column("Lead", "over the second best pose: the higher, the surer"),
        *tables.numbers("Seconds"),
    )
    rows = []
    for one in sorted(poses, key=_how_wrong):
        wrong, bad = one.right is False, one.right is False and not one.uncertain
        judged = {True: "right", False: "wrong", None: tables.UNKNOWN}[one.right]
        row = (
            Cell(one.case),
            Cell(judged, tone="bad" if wrong else ""),
            number(one.rotation_degrees),
            number(one.position_mm),
            Cell("uncertain" if one.uncertain else "sure", tone="bad" if bad else ""),
            Cell(f"{one.score:.2f}", one.score),
            Cell(f"{one.lead:.2f}", one.lead) if math.isfinite(one.lead) else number(None),
            number(one.seconds),
        )
        rows.append(row)
    return Table("Found poses", columns, tuple(rows), short=10)


def _how_wrong(one: PoseResult) -> tuple[int, float]:
    """Sort key: wrong, then right, then unknown; the farthest off first."""
    place = {False: 0, True: 1, None: 2}[one.right]
    return place, 0.0 if one.right is None else -one.position_mm
