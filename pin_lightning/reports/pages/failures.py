"""Missed landmarks of a run's page: their number and the table of their errors."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.pages import tables
from pin_lightning.reports.pages.tables import Cell, Column, Table, barred, number, three_digits

_LARGEST, _SHORT, _MOST = 10, 8, 200


@dataclass(frozen=True)
class Failures:
    """Landmarks that failed, or the largest errors if none did.

    Attributes:
        limit_mm: Error from which a landmark has failed; `limit` says it in words.
        failed: Number of failed landmarks, in `cases` cases.
        known: Number of landmarks with a true position.
        table: The failed landmarks, else the ten largest errors; largest first.
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
    """Find the landmarks that lie further from the truth than a limit.

    The limit is `failure_mm`, else the mean error of the mean shape. `radii_mm` are of error bars.
    """
    errors = evaluation.errors_mm
    if failure_mm is None:
        limit_mm = float(np.nanmean(evaluation.mean_shape_errors_mm))
        source = "the mean error of the mean shape, the guess before landmarks are localised"
    else:
        limit_mm, source = failure_mm, "as report.failure_mm asks"
    missed = errors > limit_mm
    return Failures(
        limit_mm=limit_mm,
        limit=f"{three_digits(limit_mm)}\u00a0mm, {source}",
        failed=int(missed.sum()),
        cases=int(missed.any(axis=1).sum()),
        known=int(np.isfinite(errors).sum()),
        table=_table(evaluation, int(missed.sum()), radii_mm),
    )


def _table(
    evaluation: Evaluation, failed: int, radii_mm: Float64[np.ndarray, "N L"] | None
) -> Table:
    errors = evaluation.errors_mm
    order = np.argsort(-np.nan_to_num(errors, nan=-1.0), axis=None, kind="stable")
    most = min(failed, _MOST) or min(_LARGEST, int(np.isfinite(errors).sum()))
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
    spread = Column("Spread, mm", "of the starts around their mean")
    columns = [*tables.names("Case", "Landmark"), *tables.numbers("Error, mm"), spread]
    if radii_mm is not None:
        columns.append(Column("Radius, mm", "of its error bar"))
    return Table("Largest errors", tuple(columns), tuple(rows), short=_SHORT)
