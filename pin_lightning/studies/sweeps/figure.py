"""Figure of a sweep: mean errors with intervals, beside published ones."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from pin_lightning.reports.figures.plots import BLUE, ORANGE, PALE_BLUE, Figure, new_figure, tidy
from pin_lightning.studies.sweeps.published import ALL
from pin_lightning.studies.sweeps.table import Cell

MOST_LETTERS = 40


def sweep_figure(cells: Sequence[Cell], level: float, title: str) -> Figure:
    """Draw errors of all landmarks against the value that a sweep sets, or by method."""
    whole = [cell for cell in cells if cell.landmark == ALL]
    interval = f"{100 * level:g} % interval"
    values = swept_values([cell.method for cell in whole])
    if values is not None:
        figure = new_figure(6.0, 3.6)
        _line(figure.add_subplot(), whole, interval, *values)
    else:
        figure = new_figure(6.5, 1.5 + 0.32 * len(whole))
        _dots(figure.add_subplot(), whole, interval)
    figure.suptitle(textwrap.fill(title, 80), fontsize=9, parse_math=False)
    return figure


def swept_values(methods: Sequence[str]) -> tuple[str, list[float]] | None:
    """Setting and values if rows differ in the number of one setting, else None.

    >>> swept_values(["model.alpha=0", "model.alpha=0.5"])
    ('model.alpha', [0.0, 0.5])
    >>> swept_values(["PIN1", "PIN2"])
    """
    parts = [method.split("=") for method in methods]
    settings = {part[0] for part in parts}
    if len(methods) < 2 or len(settings) != 1 or any(len(part) != 2 for part in parts):
        return None
    try:
        return settings.pop(), [float(value) for _, value in parts]
    except ValueError:
        return None


def _line(
    axes: Axes, cells: Sequence[Cell], interval: str, setting: str, values: Sequence[float]
) -> None:
    order = np.argsort(values)
    x = np.array(values)[order]
    means = np.array([cell.mean for cell in cells])[order]
    medians = np.array([cell.median for cell in cells])[order]
    ends = np.array([cell.interval or (np.nan, np.nan) for cell in cells])[order]
    axes.fill_between(x, *ends.T, color=PALE_BLUE, label=f"{interval} of the mean")
    axes.plot(x, means, "o-", color=BLUE, ms=4, label="mean")
    axes.plot(x, medians, "s--", color="black", ms=3, linewidth=0.9, label="median")
    axes.set(xlabel=setting, ylabel="Radial error (mm)")
    if means.min() > 0 and means.max() > 5 * means.min():  # else one bad value hides the rest
        axes.set_yscale("log")
        axes.set_yticks(_steps(means.min(), max(means.max(), np.nanmax(ends))))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, None)
    tidy(axes)
    axes.legend(fontsize=8, frameon=False)


def _steps(low: float, high: float) -> list[float]:
    """Ticks at 1, 2 and 5 times a power of ten."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [step for step in steps if low / 2.5 <= step <= 2.5 * high]


def _dots(axes: Axes, cells: Sequence[Cell], interval: str) -> None:
    rows = np.arange(len(cells))
    means = np.array([cell.mean for cell in cells])
    ends = np.array([cell.interval or (cell.mean, cell.mean) for cell in cells])
    axes.hlines(rows, ends[:, 0], ends[:, 1], BLUE, linewidth=2, label=f"mean, {interval}")
    axes.plot(means, rows, "o", color=BLUE, ms=6)
    medians = [cell.median for cell in cells]
    axes.plot(medians, rows, "|", color="black", ms=11, mew=1.5, label="median")
    published = [(row, cell.published[0]) for row, cell in enumerate(cells) if cell.published]
    if published:
        at, values = zip(*published, strict=True)
        axes.plot(values, at, "D", mfc="none", color=ORANGE, ms=5, label="published, other data")
    axes.set_yticks(rows, [_short(cell.method) for cell in cells], parse_math=False)
    axes.set(xlim=(0, None), ylim=(len(cells) - 0.4, -0.6), xlabel="Radial error (mm)")
    tidy(axes)
    axes.figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _short(name: str) -> str:
    """Cut the beginning of a long name: those of a sweep differ at the end."""
    return name if len(name) <= MOST_LETTERS else f"\u2026{name[1 - MOST_LETTERS :]}"
