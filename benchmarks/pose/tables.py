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


def with_interval(errors_mm: np.ndarray) -> str:
    """Mean of errors [N, L], with its 95 % interval over cases."""
    if not np.isfinite(errors_mm).any():
        return "-"
    low, high = cluster_interval(errors_mm, np.mean, np.random.default_rng(0))
    return f"{np.nanmean(errors_mm):.3f} ({low:.3f} to {high:.3f})"


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def median_and_most(values: Sequence[float], digits: int) -> str:
    """Median and largest value."""
    if not len(values):
        return "-"
    return f"{np.median(values):.{digits}f}, {np.max(values):.{digits}f}"
