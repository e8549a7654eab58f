"""Labels of landmarks in figures: marks beside the points, and a list of names."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

Points: TypeAlias = Float[np.ndarray, "L 3"]
PLANES = ((0, 2), (1, 2), (0, 1))  # axes across and up: top left, top right, bottom left
MAX_LISTED = 60


def marks_of(names: Sequence[str]) -> list[str]:
    """Mark of each landmark: its name if all names are short, else its number from 1."""
    short = all(len(name) <= 3 for name in names)
    return [name if short else str(index + 1) for index, name in enumerate(names)]


def write_marks(
    panels: list[Axes], marks: Sequence[str], shown: np.ndarray, truth: Points, predicted: Points
) -> None:
    """Write marks beside the crosses wherever the final layout has room."""
    point = panels[0].figure.dpi / 72
    rays = point * np.exp(1j * np.pi / 6 * np.arange(12)).view(np.float64).reshape(12, 2)
    offsets = np.concatenate([7.5 * rays, 11.5 * rays])
    for axes, plane in zip(panels, PLANES, strict=False):
        points = np.concatenate([predicted[shown], truth[shown]])[:, plane]
        taken = axes.transData.transform(points[np.isfinite(points).all(axis=-1)])
        inner = axes.bbox.padded(-6 * point)
        for index in shown:
            places = axes.transData.transform(predicted[index, plane]) + offsets
            apart = np.abs(places[:, None] - taken) > np.array([9.5, 7.0]) * point
            free = [inner.contains(x, y) for x, y in places] & apart.any(axis=-1).all(axis=-1)
            for place in places[free][:1]:
                _write(axes, axes.transData.inverted().transform(place), marks[index])
                taken = np.vstack([taken, place])


def _write(axes: Axes, place: np.ndarray, number: str) -> None:
    text = axes.text(place[0], place[1], number, color="white", size=6.5, ha="center", va="center")
    text.set_path_effects([withStroke(linewidth=1.5, foreground="black")])


def list_landmarks(axes: Axes, names: Sequence[str], errors: Float[np.ndarray, " L"]) -> None:
    """Write names and errors in columns; of many landmarks, those of the largest errors."""
    worst = np.argsort(-np.nan_to_num(errors, nan=-1), kind="stable")
    shown, size = np.sort(worst[:MAX_LISTED]), 6.5 * axes.figure.dpi / 72
    columns = int(np.ceil(len(shown) / (axes.bbox.height / size // 1.35)))
    room = min(max(map(len, names)), max(4, int(axes.bbox.width / size / columns / 0.61) - 11))
    cells = [f"{error:.2f}".replace("nan", "") for error in errors]
    both = zip(marks_of(names), names, strict=True)
    first = [mark if mark != name else "" for mark, name in both]
    lines = [f"{first[i]:>2} {names[i][:room]:<{room}} {cells[i]:>6}" for i in shown]
    rows = int(np.ceil(len(lines) / columns))
    for column in range(columns):
        text = "\n".join(lines[column * rows : (column + 1) * rows])
        place = axes.text(column / columns, 1, text, size=6.5, family="monospace", va="top")
        place.set(transform=axes.transAxes, parse_math=False)
