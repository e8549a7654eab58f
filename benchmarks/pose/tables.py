"""Tables in the terminal, and as Markdown in a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from pin_lightning.common.files import write_text
from pin_lightning.common.shown_table import print_table
from pin_lightning.evaluation.bootstrap import cluster_interval


def show(path: Path, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, and write it."""
    table = Table(*header, title=title)
    for cells in rows:
        table.add_row(*cells)
    print_table(table)
    lines = (header, ("---",) * len(header), *rows)
    write_text(path, f"{title}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines))


def with_interval(values: np.ndarray, digits: int = 3) -> str:
    """Mean of errors or other values [N, L], with its 95 % interval over cases."""
    if not np.isfinite(values).any():
        return "-"
    ends = cluster_interval(values, np.mean, np.random.default_rng(0))
    mean, low, high = (f"{one:.{digits}f}" for one in (np.nanmean(values), *ends))
    return f"{mean} ({low} to {high})"


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def median_and_most(values: Sequence[float], digits: int) -> str:
    """Median and largest value."""
    if not len(values):
        return "-"
    return f"{np.median(values):.{digits}f}, {np.max(values):.{digits}f}"
