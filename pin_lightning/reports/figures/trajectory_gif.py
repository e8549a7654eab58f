"""Animated GIF of the starts as they move, on three slices."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from PIL import Image

from pin_lightning.common.files import whole_file
from pin_lightning.common.geometry import Grid
from pin_lightning.evaluation.convergence import evenly_spaced, start_errors_mm
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.labels import PLANES, Points
from pin_lightning.reports.figures.trajectory_plots import (
    draw_errors,
    predicted_path,
    start_colours,
)

MAX_PICTURES, TAIL = 30, 3  # pictures of a film, and those that a tail reaches back
FIRST_MS, NEXT_MS, LAST_MS = 1000, 330, 3000  # duration of a picture
DOTS_PER_INCH = 120


def write_trajectory_gif(
    path: Path,
    volume: plots.Volume,
    spacing_mm: float,
    trajectory_ijk: Float[np.ndarray, "T1 S L 3"],
    truth_ijk: Points,
    title: str,
    best: int | None = None,
) -> None:
    """Write a looping film of starts with their tails, true landmarks and error.

    It has at most `MAX_PICTURES` evenly spaced iterations. The file is written atomically.

    Args:
        path: The file.
        volume: As the following ones in `trajectory_figure`.
        spacing_mm: Voxel side in mm.
        trajectory_ijk: Landmarks of each start, NaN once it was left behind.
        truth_ijk: True positions, NaN where undefined.
        title: Shown above.
        best: Start that is the prediction, on projections of the volume; None for the mean of the
            starts, on slices.
    """
    grid = Grid(volume.shape, spacing_mm)
    path_mm, truth_mm = grid.ijk_to_mm(trajectory_ijk), grid.ijk_to_mm(truth_ijk)
    film = _Film(volume, grid, path_mm, truth_mm, title, best)
    pictures = [film.picture(number) for number in range(len(film.iterations))]
    _write_gif(path, pictures, _palette(path_mm.shape[1]))


def _palette(starts: int) -> Image.Image:
    """Palette of greys, and of the colours of the lines blended with greys: at most 256."""
    greys = np.r_[0:244:4, 255][:, None].repeat(3, axis=1)  # with pure white for the background
    fixed = [to_rgb(one) for one in (plots.TRUE, plots.BLUE, plots.PREDICTED)]
    drawn = [*fixed, *start_colours(min(starts, 18))[:, :3]]
    pure = 255 * np.array(drawn)
    mixed = [s * pure + (1 - s) * grey for s in (0.7, 0.4) for grey in (0, 85, 170, 255)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([greys, pure, *mixed]).round().astype(np.uint8).tobytes())
    return palette


def _write_gif(path: Path, pictures: Sequence[Image.Image], palette: Image.Image) -> None:
    """Write pictures with one palette, so that only changes are stored."""
    first, *others = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures)
    times = [FIRST_MS, *[NEXT_MS] * (len(pictures) - 2), LAST_MS][-len(pictures) :]
    with whole_file(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=times, loop=0)


class _Film:
    """A figure of which each picture redraws only the parts that move."""

    def __init__(
        self,
        volume: plots.Volume,
        grid: Grid,
        path_mm: Float[np.ndarray, "T1 S L 3"],
        truth_mm: Points,
        title: str,
        best: int | None,
    ) -> None:
        self.iterations = evenly_spaced(len(path_mm) - 1, MAX_PICTURES)
        heading = textwrap.fill(title, 90)
        predicted_mm = predicted_path(path_mm, best)
        self.titles = [f"{heading}\n{words}" for words in _words(predicted_mm, truth_mm)]
        shown = (volume, grid, truth_mm, predicted_mm[-1], title)
        figure, panels, _ = plots.slice_panels(*shown, projected=best is not None)
        self.title = figure.suptitle(self.titles[0], fontsize=10, parse_math=False)
        shown_mm = path_mm[self.iterations]
        self.slices = [
            _MovingStarts(axes, shown_mm[..., plane], truth_mm[:, plane], best)
            for axes, plane in zip(panels, PLANES, strict=False)
        ]
        draw_errors(panels[3], path_mm, truth_mm, best)
        panels[3].set_xlabel("Iteration")
        self.now = panels[3].axvline(0, color=plots.BLUE, linewidth=1)
        self.moving = [self.title, self.now, *(part for one in self.slices for part in one.parts)]
        figure.set_dpi(DOTS_PER_INCH)
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas = FigureCanvasAgg(figure)
        self.canvas.draw()  # also computes the layout
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    def picture(self, number: int) -> Image.Image:
        """Draw one of the iterations that are shown."""
        iteration = self.iterations[number]
        self.title.set_text(self.titles[iteration])
        self.now.set_xdata([iteration, iteration])
        for one in self.slices:
            one.show(number)
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.draw(self.canvas.get_renderer())
        return Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")


def _words(path_mm: Float[np.ndarray, "T1 L 3"], truth_mm: Points) -> list[str]:
    """Text of each iteration."""
    errors_mm = start_errors_mm(path_mm[:, None], truth_mm)[:, 0]
    return [
        f"iteration {iteration} of {len(path_mm) - 1}"
        + (f", mean error {error_mm:.2f} mm" if np.isfinite(error_mm) else "")
        for iteration, error_mm in enumerate(errors_mm)
    ]


class _MovingStarts:
    """Starts with their tails, and the true landmarks, on one slice; `parts` are to be redrawn."""

    def __init__(
        self,
        axes: Axes,
        path: Float[np.ndarray, "P S L 2"],
        truth: Float[np.ndarray, "L 2"],
        best: int | None,
    ) -> None:
        self.path = path.reshape(len(path), -1, 2)[:, ::-1]  # the first are drawn over the last
        colours = start_colours(path.shape[1], best)
        self.colours = np.repeat(colours, path.shape[2], axis=0)[::-1]
        self.tails = LineCollection([], linewidths=0.9)
        axes.add_collection(self.tails)
        x, y = self.path[0].T
        self.dots = axes.scatter(x, y, 7, self.colours)
        x, y = truth.T
        true = axes.scatter(x, y, 26, "none", edgecolors=plots.TRUE)
        self.parts: list[Artist] = [self.tails, self.dots, true]

    def show(self, number: int) -> None:
        """Move the starts to their positions in a picture; tails fade over the last few."""
        before = range(max(0, number - TAIL), number)
        opacities = np.linspace(0.25, 0.9, TAIL)[TAIL - len(before) :]
        pieces = [self.path[one : one + 2].swapaxes(0, 1) for one in before]
        self.tails.set_segments([line for piece in pieces for line in piece])
        self.tails.set_color([(*c[:3], opacity) for opacity in opacities for c in self.colours])
        self.dots.set_offsets(self.path[number])
