"""Forest plot of a comparison: the difference of each landmark with its intervals."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pin_lightning.reports.figures.plots import BLUE, MAX_NAME, ORANGE, new_figure, tidy
from pin_lightning.studies.comparison.paired import Comparison, Difference, LandmarkDifference

UNCLEAR = "#777777"
_LOOK: dict[str, Any] = {"ncols": 3, "frameon": False, "fontsize": 8, "title_fontsize": 9}


def comparison_figure(comparison: Comparison, title: str) -> Figure:
    """Draw differences of the mean radial error, B - A: all landmarks on top, then one by one.

    Landmarks are ordered from those that B improves most to those it makes worse. The colour shows
    the closer run where the runs differ clearly.
    """
    landmarks = sorted(comparison.landmarks.items(), key=lambda item: item[1].difference)
    rows: list[tuple[str, Difference]] = [("All landmarks", comparison.numbers["mean"]), *landmarks]
    figure = new_figure(6.5, 1.5 + 0.18 * len(rows))
    axes = figure.add_subplot()
    axes.axvline(0, color="black", linewidth=0.8)
    _lines(axes, [one for _, one in rows])
    for row, (_, one) in enumerate(rows):
        told = one.told_apart if isinstance(one, LandmarkDifference) else comparison.told_apart
        marker, size = ("o", 4) if row else ("D", 6)
        axes.plot(one.difference, row, marker, color=_colour(one, told), ms=size)
    axes.axhline(0.5, color="#999999", linewidth=0.6, zorder=0)
    labels = [name[:MAX_NAME] for name, _ in rows]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="Mean radial error, B - A (mm)")
    tidy(axes)
    handles = _handles(comparison.level)
    legend = figure.legend(handles=handles, title=title, loc="outside upper center", **_LOOK)
    legend.get_title().set(parse_math=False)
    return figure


def _lines(axes: Axes, rows: Sequence[Difference]) -> None:
    """Draw the interval of each row, and a thin one that holds for all landmarks at once."""
    for row, one in enumerate(rows):
        if one.interval is not None:
            axes.plot(one.interval, [row, row], color="#555555", linewidth=2.2)
        if isinstance(one, LandmarkDifference) and one.simultaneous is not None:
            axes.plot(one.simultaneous, [row, row], color="#999999", linewidth=0.8, zorder=1)


def _colour(one: Difference, told: bool) -> str:
    return UNCLEAR if not told else BLUE if one.difference < 0 else ORANGE


def _handles(level: float) -> list[Line2D]:
    kinds = ((BLUE, "B closer"), (ORANGE, "A closer"), (UNCLEAR, "cannot be told"))
    dots = [
        Line2D([], [], color=colour, marker="o", ms=4, linestyle="none", label=label)
        for colour, label in kinds
    ]
    thick = Line2D([], [], color="#555555", linewidth=2.2, label=f"{100 * level:g} % interval")
    thin = Line2D([], [], color="#999999", linewidth=0.8, label="one for all landmarks at once")
    return [dots[0], thick, dots[1], thin, dots[2]]
