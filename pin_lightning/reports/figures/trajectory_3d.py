"""Animated 3D figure of the paths of the starts, for plotly.js."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from jaxtyping import Float, UInt8
from matplotlib.colors import to_hex

from pin_lightning.common.files import write_text
from pin_lightning.common.geometry import Grid
from pin_lightning.evaluation.convergence import evenly_spaced
from pin_lightning.reports.figures.labels import Points
from pin_lightning.reports.figures.plots import PREDICTED, TRUE
from pin_lightning.reports.figures.trajectory_plots import predicted_path, start_colours

MAX_SHOWN = 30  # iterations
FIRST = 1  # rank in the legend, before the starts, which may be many
SLICE_SIDE, MARGIN = 100, 0.05  # voxels of the slice; share of the volume shown beyond the paths
GREY, CLEAR = "#808080", "rgba(0,0,0,0)"  # for light and dark pages
MOVE_MS = 400


def write_trajectory_3d(path: Path, figure: go.Figure) -> None:
    """Write a figure as JSON for plotly.js, atomically."""
    write_text(path, plotly.io.to_json(figure, validate=False))


def trajectory_3d(
    volume: UInt8[np.ndarray, "X Y Z"],
    spacing_mm: float,
    trajectory_ijk: Float[np.ndarray, "T1 S L 3"],
    truth_ijk: Points,
    names: Sequence[str],
    best: int | None = None,
) -> go.Figure:
    """Draw paths of the starts, true landmarks and predictions on an axial slice, in grid mm.

    A slider moves the starts along their paths, in at most `MAX_SHOWN` evenly spaced iterations.
    The legend shows and hides starts. Arguments as in `write_trajectory_gif`.
    """
    grid = Grid(volume.shape, spacing_mm)
    path_mm, truth_mm = grid.ijk_to_mm(trajectory_ijk), grid.ijk_to_mm(truth_ijk)
    iterations = evenly_spaced(len(path_mm) - 1, MAX_SHOWN)
    shown_mm, predicted_mm = path_mm[iterations], predicted_path(path_mm, best)[-1]
    colours = _hex_colours(path_mm.shape[1], best)
    dots = _dots(shown_mm[-1], truth_mm, names, colours, best)
    moving = list(range(len(dots)))  # indices of the traces that a frame replaces
    traces = [
        *dots,
        *_lines(shown_mm, colours),
        *_landmarks(predicted_mm, truth_mm, names),
        _slice(volume, grid, shown_mm, predicted_mm.mean(axis=0)),
    ]
    frames = [
        {"name": str(iteration), "traces": moving, "data": _moved(place_mm, truth_mm)}
        for iteration, place_mm in zip(iterations, shown_mm, strict=True)
    ]
    return go.Figure(data=traces, frames=frames, layout=_layout(iterations))


def _dots(
    places_mm: Float[np.ndarray, "S L 3"],
    truth_mm: Points,
    names: Sequence[str],
    colours: Sequence[str],
    best: int | None,
) -> list[dict[str, Any]]:
    """A trace of points for each start, which the slider moves."""
    error = "<br>%{customdata:.2f} mm off" if np.isfinite(truth_mm).any() else ""
    moved = _moved(places_mm, truth_mm)
    return [
        {
            **moved[start],
            "mode": "markers",
            "name": "found" if start == best else f"start {start + 1}",
            "legendgroup": f"start {start + 1}",
            "marker": {"size": 3, "color": colour},
            "text": list(names),
            "hovertemplate": "%{text}" + error,
        }
        for start, colour in enumerate(colours)
    ]


def _moved(places_mm: Float[np.ndarray, "S L 3"], truth_mm: Points) -> list[dict[str, Any]]:
    """Positions and errors of the landmarks of each start."""
    errors_mm = np.linalg.norm(places_mm - truth_mm, axis=-1)
    return [
        {**_points(place_mm), "customdata": _numbers(error_mm)}
        for place_mm, error_mm in zip(places_mm, errors_mm, strict=True)
    ]


def _lines(path_mm: Float[np.ndarray, "T1 S L 3"], colours: Sequence[str]) -> list[dict[str, Any]]:
    """A trace for each start: the paths of its landmarks with gaps between them."""
    gap = np.full_like(path_mm[:1], np.nan)
    lines = np.concatenate([path_mm, gap]).transpose(1, 2, 0, 3)
    return [
        {
            **_points(lines[start].reshape(-1, 3)),
            "mode": "lines",
            "legendgroup": f"start {start + 1}",
            "showlegend": False,
            "hoverinfo": "skip",
            "opacity": 0.8,
            "line": {"width": 3, "color": colour},
        }
        for start, colour in enumerate(colours)
    ]


def _landmarks(
    predicted_mm: Points, truth_mm: Points, names: Sequence[str]
) -> list[dict[str, Any]]:
    """True landmarks, where there are any, and predictions with their errors."""
    errors_mm = np.linalg.norm(predicted_mm - truth_mm, axis=-1)
    known = np.isfinite(errors_mm)
    words = [
        f"{name}<br>{error_mm:.2f} mm off" if np.isfinite(error_mm) else name
        for name, error_mm in zip(names, errors_mm, strict=True)
    ]
    true = {"symbol": "circle-open", "size": 6, "color": TRUE}
    found = {"symbol": "cross", "size": 8, "color": PREDICTED}  # a plus
    named = [name for name, there in zip(names, known, strict=True) if there]
    traces = [_markers("true", truth_mm[known], named, true)] if known.any() else []
    return [*traces, _markers("predicted", predicted_mm, words, found)]


def _markers(
    name: str, places_mm: Points, words: Sequence[str], marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        **_points(places_mm),
        "mode": "markers",
        "name": name,
        "legendrank": FIRST,
        "marker": marker,
        "text": list(words),
        "hovertemplate": "%{text}",
    }


def _slice(
    volume: UInt8[np.ndarray, "X Y Z"],
    grid: Grid,
    path_mm: Float[np.ndarray, "T1 S L 3"],
    centre_mm: Float[np.ndarray, " 3"],
) -> dict[str, Any]:
    """The axial slice through the centre of the predictions, in grey, as wide as the paths."""
    size, places = np.array(grid.size), grid.mm_to_ijk(path_mm).reshape(-1, 3)
    low = np.clip(np.nanmin(places, axis=0) - MARGIN * size, 0, size - 1).astype(int)
    high = np.clip(np.nanmax(places, axis=0) + MARGIN * size, 0, size - 1).astype(int)
    step = 1 + (high - low)[:2].max() // SLICE_SIDE
    x, y = (np.arange(low[axis], high[axis] + 1, step) for axis in (0, 1))
    z = int(np.clip(grid.mm_to_ijk(centre_mm)[2].round(), 0, size[2] - 1))
    grey = volume[:, :, z][np.ix_(x, y)].T
    # An index counts for all three axes, of which one is then taken.
    x_mm, y_mm = grid.ijk_to_mm(x[:, None])[:, 0], grid.ijk_to_mm(y[:, None])[:, 1]
    return {
        "type": "surface",
        "name": "slice",
        "legendrank": FIRST,
        "showlegend": True,
        "x": _numbers(x_mm),
        "y": _numbers(y_mm),
        "z": np.full(grey.shape, round(float(centre_mm[2]), 2)).tolist(),
        "surfacecolor": grey.tolist(),
        "colorscale": "Greys",
        "reversescale": True,
        "showscale": False,
        "opacity": 0.4,
        "hoverinfo": "skip",
        "lighting": {"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0},
    }


def _layout(iterations: Sequence[int]) -> dict[str, Any]:
    """Equal scales, a transparent background, a slider and a button below."""
    axis = {"color": GREY, "gridcolor": GREY, "showbackground": False, "zeroline": False}
    return {
        "template": "none",
        "paper_bgcolor": CLEAR,
        "font": {"color": GREY},
        "margin": {"l": 0, "r": 0, "t": 30, "b": 0},
        "legend": {"itemsizing": "constant"},
        "scene": {
            "aspectmode": "data",
            "bgcolor": CLEAR,
            "camera": {"eye": {"x": 1.65, "y": 1.65, "z": 1.35}},
            **{f"{name}axis": {**axis, "title": {"text": f"{name} (mm)"}} for name in "xyz"},
        },
        "sliders": [_slider(iterations)],
        "updatemenus": [_button()],
    }


def _slider(iterations: Sequence[int]) -> dict[str, Any]:
    steps = [
        {"label": str(one), "method": "animate", "args": [[str(one)], _timing(0)]}
        for one in iterations
    ]
    return {
        "steps": steps,
        "active": len(iterations) - 1,
        "currentvalue": {"prefix": "iteration "},
        "pad": {"l": 100, "r": 20, "b": 10, "t": 10},
        **dict.fromkeys(("bgcolor", "bordercolor", "tickcolor", "activebgcolor"), GREY),
    }


def _button() -> dict[str, Any]:
    """Button that plays from the first iteration to the last."""
    return {
        "type": "buttons",
        "buttons": [{"label": "play", "method": "animate", "args": [None, _timing(MOVE_MS)]}],
        "showactive": False,
        **{"x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"l": 20, "t": 40}},
        **{"bgcolor": CLEAR, "bordercolor": GREY},
    }


def _timing(milliseconds: int) -> dict[str, Any]:
    frame = {"duration": milliseconds, "redraw": True}
    return {"mode": "immediate", "frame": frame, "transition": {"duration": 0}}


def _hex_colours(count: int, best: int | None) -> list[str]:
    return [to_hex(colour) for colour in start_colours(count, best)]


def _points(points_mm: Float[np.ndarray, "M 3"]) -> dict[str, Any]:
    columns = zip("xyz", points_mm.T, strict=True)
    return {"type": "scatter3d", **{name: _numbers(column) for name, column in columns}}


def _numbers(values: Float[np.ndarray, " M"]) -> list[float | None]:
    """Round to thousandths for short JSON; None, a gap, where undefined."""
    return [round(float(value), 3) if np.isfinite(value) else None for value in values]
