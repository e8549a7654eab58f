"""Landmarks that were missed: which, by how much, and from which error on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.pages.tables import Cell, Column, Table, barred, number, three_digits

_LARGEST, _SHORT, _MOST = 10, 8, 200


@dataclass(frozen=True)
class Failures:
    """Landmarks that failed, or the largest errors where none did.

    Attributes:
        limit_mm: Error from which a landmark has failed.
        limit: The limit in words.
        failed: Landmarks of all cases that failed.
        cases: Cases of which one failed.
        known: Landmarks of all cases whose truth is known.
        table: The failed ones, else the ten largest errors; largest first.
    """

    limit_mm: float
    limit: str
    failed: int
    cases: int
    known: int
    table: Table


def find_failures(
    evaluation: Evaluation,
    failure_mm: float | None,
    radii_mm: Float64[np.ndarray, "N L"] | None = None,
) -> Failures:
    """Landmarks that lie further from the truth than a limit.

    Args:
        evaluation: Predictions and truth.
        failure_mm: The limit, none for the mean error of the mean shape.
        radii_mm: Radii of the error bars, none without them.
    """
    errors = evaluation.errors_mm
    limit_mm = failure_mm
    if limit_mm is None:
        limit_mm = float(np.nanmean(evaluation.mean_shape_errors_mm))
    missed = errors > limit_mm
    return Failures(
        limit_mm=limit_mm,
        limit=_limit_text(limit_mm, failure_mm is None),
        failed=int(missed.sum()),
        cases=int(missed.any(axis=1).sum()),
        known=int(np.isfinite(errors).sum()),
        table=_table(evaluation, missed, radii_mm),
    )


def _limit_text(limit_mm: float, of_mean_shape: bool) -> str:
    if not of_mean_shape:
        return f"{three_digits(limit_mm)}\u00a0mm, as report.failure_mm asks"
    mean_shape = "the mean error of the mean shape, the guess that uses no image"
    return f"{three_digits(limit_mm)}\u00a0mm, {mean_shape}"


def _table(
    evaluation: Evaluation,
    missed: np.ndarray,
    radii_mm: Float64[np.ndarray, "N L"] | None,
) -> Table:
    errors = evaluation.errors_mm
    order = np.argsort(-np.nan_to_num(errors, nan=-1.0), axis=None, kind="stable")
    most = min(int(missed.sum()), _MOST) or min(_LARGEST, int(np.isfinite(errors).sum()))
    largest = float(np.nanmax(errors))
    rows = []
    for case, landmark in zip(*np.unravel_index(order[:most], errors.shape), strict=True):
        error_mm, spread_mm = errors[case, landmark], evaluation.spread_mm[case, landmark]
        cells = [Cell(evaluation.cases[case]), Cell(evaluation.names[landmark])]
        cells += [barred(float(error_mm), largest), number(float(spread_mm))]
        if radii_mm is not None:
            radius_mm = float(radii_mm[case, landmark])
            cells.append(number(radius_mm, tone="bad" if error_mm > radius_mm else ""))
        rows.append(tuple(cells))
    columns = (
        *(Column("Case", numeric=False), Column("Landmark", numeric=False)),
        *(Column("Error, mm"), Column("Spread, mm", "of the starts around their mean")),
        *(() if radii_mm is None else (Column("Radius, mm", "of its error bar"),)),
    )
    return Table("Largest errors", columns, tuple(rows), short=_SHORT)
