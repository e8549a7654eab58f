"""Table of a sweep: errors of every row with intervals, beside published numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pin_lightning.common.tables import csv_number
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.metrics import error_quantile, error_sd, mean_error
from pin_lightning.studies.sweeps.published import ALL, Published
from pin_lightning.studies.sweeps.rows import Row, paired

CSV_COLUMNS = (
    *("method", "landmark", "n", "mean_mm", "sd_mm", "median_mm", "p95_mm"),
    *("mean_low_mm", "mean_high_mm", "difference_mm", "difference_low_mm", "difference_high_mm"),
    *("seconds_per_volume", "published_mean_mm", "published_sd_mm", "published_seconds"),
    *("jobs", "jobs_sd_mm"),
)


@dataclass(frozen=True)
class Cell:
    """A method's errors at one landmark, or at all of them.

    Attributes:
        method: Name of the row.
        landmark: Name of the landmark, or `ALL`.
        n: Number of errors.
        mean: Mean error in mm.
        sd: Standard deviation.
        median: Median.
        p95: 95th percentile.
        interval: Interval of the mean, over cases; None with fewer than two.
        difference: Mean paired difference from the reference and its interval; None for itself.
        seconds: Time of a volume; of `ALL` only.
        published: Mean and SD of the paper.
        published_seconds: Seconds of the paper.
        jobs_sd: Number of jobs that predict the same, and the SD of their mean errors; of `ALL`
            only, None for a single job.
    """

    method: str
    landmark: str
    n: int
    mean: float
    sd: float
    median: float
    p95: float
    interval: Sequence[float] | None
    difference: Sequence[float] | None
    seconds: float | None
    published: tuple[float, float] | None
    published_seconds: float | None
    jobs_sd: tuple[int, float] | None = None


def cells_of(
    rows: Sequence[Row],
    reference: str | None,
    published: Mapping[str, Published],
    bootstrap: BootstrapSettings,
) -> list[Cell]:
    """Compute all cells: for every row each landmark, and all of them.

    Args:
        rows: Rows of the table.
        reference: Row that others are compared with; by default the first.
        published: Published numbers by row.
        bootstrap: Settings of the intervals.

    Raises:
        ValueError: The reference is not a row.
    """
    methods = [row.method for row in rows]
    chosen = methods[0] if reference is None else reference
    if chosen not in methods:
        raise ValueError(
            f"summary.reference={chosen}: is not a row; give one of {', '.join(methods)}"
        )
    other = rows[methods.index(chosen)]
    return [
        _cell(row, other, landmark, published.get(row.method), bootstrap)
        for row in rows
        for landmark in [*row.names, ALL]
    ]


def _cell(
    row: Row,
    reference: Row,
    landmark: str,
    published: Published | None,
    bootstrap: BootstrapSettings,
) -> Cell:
    whole = landmark == ALL
    names = list(row.names) if whole else [landmark]
    errors = row.errors_mm[:, [row.names.index(name) for name in names]]
    return Cell(
        method=row.method,
        landmark=landmark,
        n=int(np.isfinite(errors).sum()),
        mean=float(mean_error(errors)),
        sd=float(error_sd(errors)),
        median=float(error_quantile(errors, 0.5)),
        p95=float(error_quantile(errors, 0.95)),
        interval=bootstrap.interval(errors, np.mean),
        difference=_difference(row, reference, names, bootstrap),
        seconds=row.seconds if whole and np.isfinite(row.seconds) else None,
        published=None if published is None else published.errors.get(landmark),
        published_seconds=published.seconds if whole and published is not None else None,
        jobs_sd=_jobs_sd(row) if whole else None,
    )


def _jobs_sd(row: Row) -> tuple[int, float] | None:
    means = row.job_means_mm
    return (len(means), float(np.std(means, ddof=1))) if len(means) > 1 else None


def _difference(
    row: Row, reference: Row, names: Sequence[str], bootstrap: BootstrapSettings
) -> Sequence[float] | None:
    if row is reference:
        return None
    differences = paired(row, reference, names)
    interval = bootstrap.interval(differences, np.mean) if differences.size else None
    return None if interval is None else (float(np.nanmean(differences)), *interval)


def table_rows(
    cells: Sequence[Cell], level: float, hidden: Sequence[str] = ()
) -> tuple[list[str], list[list[str]]]:
    """Header and body of the table over all landmarks; `hidden` and empty columns are left out."""
    whole = [cell for cell in cells if cell.landmark == ALL]
    columns: dict[str, list[str]] = {
        "Method": [cell.method for cell in whole],
        "n": [str(cell.n) for cell in whole],
        "Mean ± SD, mm": [_plus_minus((cell.mean, cell.sd)) for cell in whole],
        f"{100 * level:g} % interval": [_ends(cell.interval) for cell in whole],
        "Median": [_number(cell.median) for cell in whole],
        "95th percentile": [_number(cell.p95) for cell in whole],
        "Jobs, SD of their means": [_jobs(cell.jobs_sd) for cell in whole],
        "Difference from the reference": [_signed(cell.difference) for cell in whole],
        "Seconds": [_seconds(cell.seconds) for cell in whole],
        "Published, mm": [_plus_minus(cell.published) for cell in whole],
        "Published, s": [_seconds(cell.published_seconds) for cell in whole],
    }
    shown = {name: body for name, body in columns.items() if any(body) and name not in hidden}
    return list(shown), [list(line) for line in zip(*shown.values(), strict=True)]


def landmark_rows(cells: Sequence[Cell]) -> tuple[list[str], list[list[str]]]:
    """Header and body of the table by landmark, methods across; empty for one landmark."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    found = {(cell.method, cell.landmark): cell for cell in cells}
    landmarks = list(dict.fromkeys(cell.landmark for cell in cells))
    if len(landmarks) < 3:  # one, and `ALL`
        return [], []
    beside = [name for name in methods if any(c.published for c in cells if c.method == name)]
    header = ["Landmark", *methods, *(f"{name}, published" for name in beside)]
    body = []
    for landmark in [*(name for name in landmarks if name != ALL), ALL]:
        own = [found.get((method, landmark)) for method in methods]
        paper = [found.get((method, landmark)) for method in beside]
        cells_own = ["" if one is None else _plus_minus((one.mean, one.sd)) for one in own]
        cells_paper = ["" if one is None else _plus_minus(one.published) for one in paper]
        body.append([landmark, *cells_own, *cells_paper])
    return header, body


def csv_rows(cells: Sequence[Cell]) -> Iterator[Sequence[object]]:
    """Header and rows of ``table.csv``; a cell is empty where there is no number."""
    yield CSV_COLUMNS
    for one in cells:
        numbers = (one.mean, one.sd, one.median, one.p95)
        pairs = (*(one.interval or (None, None)), *(one.difference or (None, None, None)))
        beside = (*(one.published or (None, None)), one.published_seconds)
        jobs, jobs_sd_mm = one.jobs_sd or ("", None)
        values = map(csv_number, (*numbers, *pairs, one.seconds, *beside))
        yield [one.method, one.landmark, one.n, *values, jobs, csv_number(jobs_sd_mm)]


def _ends(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}"


def _jobs(jobs_sd: tuple[int, float] | None) -> str:
    return "" if jobs_sd is None else f"{jobs_sd[0]}, {jobs_sd[1]:.2f}"


def _signed(difference: Sequence[float] | None) -> str:
    if difference is None:
        return ""
    mean, low, high = difference
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


def _plus_minus(numbers: tuple[float, float] | None) -> str:
    if numbers is None or not np.isfinite(numbers).all():
        return ""
    return f"{numbers[0]:.2f} ± {numbers[1]:.2f}"


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else ""


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2g}"
