"""Figures: errors per landmark, landmarks in a volume, training curves; shared parts."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import boxplot_stats
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pin_lightning.common.files import whole_file
from pin_lightning.common.geometry import Grid
from pin_lightning.common.tables import read_rows
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.figures.labels import (
    PLANES,
    Points,
    list_landmarks,
    marks_of,
    write_marks,
)

Volume: TypeAlias = UInt8[np.ndarray, "X Y Z"]
Planar: TypeAlias = Float[np.ndarray, "L 2"]
BLUE, PALE_BLUE, ORANGE = "#0072B2", "#BFDCEC", "#D55E00"  # of Okabe and Ito, for the colour-blind
TRUE, PREDICTED = "#FF5050", "#22D04A"  # as in the paper's Fig. 4
MAX_NAME = 34
_TRAINING = {
    "Training loss": ("train/loss", "train/displacement_loss", "train/direction_loss"),
    "Direction accuracy": ("train/direction_accuracy",),
    "Reward of a move (voxels)": ("train/reward_voxels",),
    "Validation error (mm)": ("val/radial_error_mm",),
}


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, 150 dpi, on white; its folder is made if absent."""
    with whole_file(Path(path)) as temporary:
        figure.savefig(temporary, dpi=150, facecolor="white", format="png")


def error_figure(evaluation: Evaluation, width: float = 6.5) -> Figure:
    """Draw box plots of the error of each landmark with a truth, smallest median on top.

    Raises:
        ValueError: No landmark is defined.
    """
    shown = np.flatnonzero(evaluation.defined.any(axis=0))
    if not shown.size:
        raise ValueError("error_figure: no landmark is defined; annotate at least one case")
    errors = evaluation.errors_mm
    order = shown[np.argsort(np.nanmedian(errors[:, shown], axis=0), kind="stable")]
    figure = new_figure(width, 0.9 + 0.18 * len(order))
    axes = figure.add_subplot()
    _boxes(axes, [errors[evaluation.defined[:, index], index] for index in order])
    guess_mm = np.nanmean(evaluation.mean_shape_errors_mm[:, order], axis=0)
    axes.plot(guess_mm, range(len(order)), "D", color=ORANGE, ms=3.5, label="mean shape (mean)")
    labels = [evaluation.names[index][:MAX_NAME] for index in order]
    axes.set_yticks(range(len(order)), labels, parse_math=False)
    axes.set(xlim=(0, None), ylim=(len(order) - 0.4, -0.6), xlabel="Radial error (mm)")
    tidy(axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def _boxes(axes: Axes, columns: Sequence[np.ndarray]) -> None:
    """Quartile boxes with whiskers to the last point within 1.5 box lengths, outliers beyond."""
    stats, rows = boxplot_stats(columns), np.arange(len(columns))
    low, middle, high, left, right = (
        np.array([box[key] for box in stats]) for key in ("q1", "med", "q3", "whislo", "whishi")
    )
    axes.hlines(rows, left, right, BLUE, linewidth=0.9)
    axes.barh(rows, high - low, 0.62, low, color=PALE_BLUE, edgecolor=BLUE, label="prediction")
    axes.vlines(middle, rows - 0.31, rows + 0.31, "black", linewidth=1.5)
    for row, box in enumerate(stats):
        axes.plot(box["fliers"], 0 * box["fliers"] + row, "o", mfc="none", mec=BLUE, ms=2.5)


def case_figure(
    volume: Volume,
    spacing_mm: float,
    truth_ijk: Points,
    predicted_ijk: Points,
    names: Sequence[str],
    title: str,
) -> Figure:
    """Draw landmarks projected onto three orthogonal slices, with a key of names and errors.

    The slices pass through the centre of the landmarks; the further a prediction is from its
    slice, the smaller its markers. Axes are in grid millimetres.

    Args:
        volume: Working volume.
        spacing_mm: Voxel side in mm.
        truth_ijk: True positions, NaN where undefined.
        predicted_ijk: Predicted positions.
        names: Landmark names.
        title: Shown above.
    """
    grid = Grid(volume.shape, spacing_mm)
    truth, predicted = grid.ijk_to_mm(truth_ijk), grid.ijk_to_mm(predicted_ijk)
    figure, panels, centre = slice_panels(volume, grid, truth, predicted, title)
    for axes, plane in zip(panels, PLANES, strict=False):
        depth = np.abs(predicted - centre)[:, 3 - sum(plane)]
        sizes = 34 - 26 * depth / max(depth.max(), spacing_mm)
        draw_landmarks(axes, truth[:, plane], predicted[:, plane], sizes)
    panels[3].axis("off")
    key = "Landmark" + (", radial error (mm)" if np.isfinite(truth).any() else "")
    panels[3].set_title(key, loc="left", fontsize=8)
    add_legend(figure, panels[0])
    write_marks(panels, marks_of(names), np.arange(len(names)), truth, predicted)
    list_landmarks(panels[3], names, np.linalg.norm(predicted - truth, axis=-1))
    return figure


def slice_panels(
    volume: Volume,
    grid: Grid,
    truth: Points,
    predicted: Points,
    title: str,
    projected: bool = False,
) -> tuple[Figure, list[Axes], np.ndarray]:
    """Draw slices through the centre of the true, or else of the predicted landmarks, in grid mm.

    With `projected`, brightest voxels along each axis instead.

    Returns:
        The figure, its panels (three slices, one empty) and the centre.
    """
    known = truth[np.isfinite(truth).all(axis=-1)]
    centre = (known if len(known) else predicted).mean(axis=0)
    x, y, z = np.maximum(grid.extent_mm, 0.6 * max(grid.extent_mm))  # the fourth panel needs room
    figure = new_figure(7.2, 0.9 + 6.4 * (z + y) / (x + y))
    figure.suptitle(textwrap.fill(title, 90), fontsize=10, parse_math=False)
    panels = list(figure.subplots(2, 2, width_ratios=(x, y), height_ratios=(z, y)).flat)
    for axes, (across, up) in zip(panels, PLANES, strict=False):
        depth = 3 - across - up
        index = int(np.clip(grid.mm_to_ijk(centre)[depth].round(), 0, grid.size[depth] - 1))
        right, top = grid.extent_mm[across] / 2, grid.extent_mm[up] / 2
        image = volume.max(axis=depth) if projected else volume.take(index, axis=depth)
        extent = (-right, right, -top, top)
        axes.imshow(image.T, "gray", vmin=0, vmax=255, origin="lower", extent=extent)
        axes.set(xlabel=f"{'xyz'[across]} (mm)", ylabel=f"{'xyz'[up]} (mm)", facecolor="black")
        name = "xyz"[depth]
        what = (
            f"projection along {name}" if projected else f"slice at {name} = {centre[depth]:.3g} mm"
        )
        axes.set_title(what, fontsize=8)
        axes.tick_params(labelsize=8)
    return figure, panels, centre


def draw_landmarks(axes: Axes, truth: Planar, predicted: Planar, sizes: np.ndarray) -> None:
    """Draw circles at true (or NaN) and crosses at predicted positions, with lines between them."""
    defined = np.isfinite(truth).all(axis=-1)
    links = np.stack([truth, predicted], axis=1)[defined]
    axes.add_collection(LineCollection(list(links), colors="white", linewidths=0.7, zorder=3))
    x, y = truth[defined].T
    true = axes.scatter(x, y, sizes[defined], "none", edgecolors=TRUE, zorder=3)
    true.set_label("true" if defined.any() else "_")
    x, y = predicted.T
    axes.scatter(x, y, 0.8 * sizes, PREDICTED, marker="x", zorder=3, label="predicted")


def add_legend(figure: Figure, axes: Axes, key: str = "") -> None:
    """Add the legend under a key of the numbers, and fix the layout."""
    handles, labels = axes.get_legend_handles_labels()
    look: dict[str, Any] = {"ncols": 2, "frameon": False, "fontsize": 8, "title_fontsize": 7.5}
    legend = figure.legend(handles, labels, loc="outside lower center", title=key, **look)
    legend.get_title().set(parse_math=False, multialignment="center")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def training_figure(path: str | Path, width: float = 6.5) -> Figure:
    """Draw the curves that a `metrics.csv` has of loss, accuracy, reward and validation error.

    Raises:
        ValueError: The file holds no training curve, or a cell is not a number.
    """
    curves = read_curves(path, [name for names in _TRAINING.values() for name in names])
    found = {label: [n for n in names if n in curves] for label, names in _TRAINING.items()}
    panels = {label: names for label, names in found.items() if names}
    figure = new_figure(width, 0.5 + 1.9 * len(panels))
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, names) in zip(rows, panels.items(), strict=True):
        for name, colour in zip(names, ("black", BLUE, ORANGE), strict=False):
            _curve(axes, name, curves[name], colour)
        axes.set(ylabel=label, yscale="log" if "loss" in label else "linear")
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    rows[-1].set_xlabel("Step")
    return figure


def _curve(axes: Axes, name: str, curve: Float[np.ndarray, "N 2"], colour: str) -> None:
    """Draw values, faint, under their running mean."""
    steps, values = curve.T
    smooth, label = running_mean(values, len(values) // 40), name.split("/")[1].replace("_", " ")
    axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.35)
    axes.plot(steps, smooth, color=colour, label=label.removesuffix(" mm"))
    if name.startswith("val/"):
        label = f"lowest: {values.min():.2f} mm at step {steps[values.argmin()]:.0f}"
        axes.plot(steps[values.argmin()], values.min(), "D", color=ORANGE, label=label)


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, size in inches, without display and pyplot."""
    return FigureCanvasAgg(Figure((width, height), layout="constrained")).figure


def tidy(axes: Axes) -> None:
    """Small ticks, a faint grid, no frame above and to the right."""
    axes.tick_params(labelsize=8)
    axes.set_axisbelow(True)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def running_mean(values: Float[np.ndarray, " N"], half: int) -> Float[np.ndarray, " N"]:
    """Mean of each value and up to ``half`` neighbours on each side, fewer at the ends.

    >>> running_mean(np.array([0.0, 3.0, 6.0, 0.0]), 1).tolist()
    [1.5, 3.0, 3.0, 3.0]
    """
    window = np.ones(2 * half + 1)
    inside = slice(half, half + len(values))
    return np.convolve(values, window)[inside] / np.convolve(np.ones_like(values), window)[inside]


def read_curves(path: str | Path, names: Sequence[str]) -> dict[str, Float[np.ndarray, "N 2"]]:
    """Read training curves from the ``metrics.csv`` of Lightning's CSV logger, which has gaps.

    Args:
        path: The CSV file, with a column ``step``.
        names: Columns to read.

    Returns:
        Steps and finite values of each column that has any.

    Raises:
        ValueError: No column has a value at a step, or a cell is not a number.
    """
    curves, rows = {}, read_rows(path, numbers=("step", *names))
    for name in names:
        points = np.array([(row["step"], row[name]) for row in rows]).reshape(-1, 2)
        if (finite := np.isfinite(points).all(axis=1)).any():
            curves[name] = points[finite]
    if not curves:
        raise ValueError(f"{path}: has no training curve; give a metrics.csv of the CSV logger")
    return curves
