"""Figure of standard planes: true landmarks, projected predictions, and the predicted plane."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.preprocessing import OriginalImage
from pin_lightning.evaluation.planes.errors import plane_pair
from pin_lightning.evaluation.planes.groups import PlaneGroup, groups_within
from pin_lightning.evaluation.planes.plane import Plane, angle_degrees, offset_mm
from pin_lightning.evaluation.planes.slices import PlaneSlice, cut_slice
from pin_lightning.reports.figures.plots import PREDICTED, TRUE, new_figure

LARGEST, SMALLEST = 60.0, 8.0  # areas of points in the plane and farthest from it
WIDTH, PANEL, AROUND, LEGEND = 7.2, 3.0, 0.5, 0.85  # inches
GREY = "#909090"


@dataclass(frozen=True, eq=False)
class PlaneView:
    """A plane of a case with its slices and landmarks.

    Attributes:
        name: Name of the plane.
        predicted: Predicted plane.
        truth: True plane.
        slices: The image in the true and in the predicted plane; None outside the image.
        names: Landmarks of the plane.
        truth_mm: Their true positions along x axis, y axis and normal of the true plane, NaN
            where undefined.
        predicted_mm: Their predicted positions, in the same frame.
    """

    name: str
    predicted: Plane
    truth: Plane
    slices: tuple[PlaneSlice | None, PlaneSlice | None]
    names: tuple[str, ...]
    truth_mm: Float64[np.ndarray, "L 3"]
    predicted_mm: Float64[np.ndarray, "L 3"]


def plane_views(
    image: OriginalImage,
    annotated: AnnotatedCase,
    predicted: LandmarkSet,
    groups: Sequence[PlaneGroup],
) -> list[PlaneView]:
    """Planes of a case that can be fitted and of which all landmarks are predicted."""
    used = groups_within(groups, predicted.names)
    views = (plane_view(image, annotated.landmarks, predicted, group) for group in used)
    return [view for view in views if view is not None]


def plane_view(
    image: OriginalImage, truth: LandmarkSet, predicted: LandmarkSet, group: PlaneGroup
) -> PlaneView | None:
    """Fit and cut a plane of a case; None if it cannot be fitted."""
    true_world = truth.select(predicted.names).positions_world
    pair = plane_pair(group, predicted.names, predicted.positions_world, true_world)
    if pair is None:
        return None
    found, true = pair
    return PlaneView(
        name=group.name,
        predicted=found,
        truth=true,
        slices=(cut_slice(image, true), cut_slice(image, found)),
        names=group.landmarks,
        truth_mm=true.from_world(truth.select(group.landmarks).positions_world),
        predicted_mm=true.from_world(predicted.select(group.landmarks).positions_world),
    )


def plane_figure(views: Sequence[PlaneView], title: str) -> Figure:
    """Draw planes of one case as in the paper's Fig. 4, a row for each.

    On the left the true plane with its true landmarks and the predicted ones projected onto it, in
    points that are smaller for landmarks farther from it; on the right the predicted plane.
    """
    limits = [_limits(view) for view in views]
    heights = [np.ptp(up) / np.ptp(across) for across, up in limits]
    figure = new_figure(WIDTH, LEGEND + sum(PANEL * one + AROUND for one in heights))
    figure.suptitle(textwrap.fill(title, 90), fontsize=10, parse_math=False)
    rows = figure.subplots(len(views), 2, squeeze=False, height_ratios=heights)
    farthest_mm = _farthest_mm(views)
    for (left, right), view, (across, up) in zip(rows, views, limits, strict=True):
        for axes, one in zip((left, right), view.slices, strict=True):
            _show(axes, one, view.truth if axes is left else view.predicted)
            axes.set(xlim=across, ylim=up)
        _landmarks(left, view, farthest_mm)
        errors = f"{angle_degrees(view.predicted, view.truth):.1f}°"
        errors += f", {offset_mm(view.predicted, view.truth):.2f} mm"
        left.set_title(f"{view.name}, true plane", fontsize=8, parse_math=False)
        right.set_title(f"{view.name}, predicted plane: {errors}", fontsize=8, parse_math=False)
    _legend(figure, farthest_mm)
    return figure


def _limits(view: PlaneView) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of x and y that hold slices and landmarks, mm from the planes' centres."""
    points = [view.truth_mm[:, :2], view.predicted_mm[:, :2]]
    for one, plane in zip(view.slices, (view.truth, view.predicted), strict=True):
        points += [] if one is None else [_corners_mm(one, plane)]
    ends = np.concatenate(points)
    low, high = np.nanmin(ends, axis=0).tolist(), np.nanmax(ends, axis=0).tolist()
    return (low[0], high[0]), (low[1], high[1])


def _corners_mm(one: PlaneSlice, plane: Plane) -> Float64[np.ndarray, "2 2"]:
    """First and last corner of a slice, in mm along x and y axis from the plane's centre."""
    size, side_mm = np.array(one.pixels.shape), np.linalg.norm(one.affine[:3, 0])
    first = plane.from_world(one.affine[:3, 3])[:2] - side_mm / 2
    return np.stack([first, first + side_mm * size])


def _show(axes: Axes, one: PlaneSlice | None, plane: Plane) -> None:
    if one is not None:
        (left, bottom), (right, top) = _corners_mm(one, plane)
        extent = (float(left), float(right), float(bottom), float(top))
        axes.imshow(one.picture, "gray", vmin=0, vmax=255, extent=extent)
    axes.set(facecolor="black", aspect="equal")
    axes.set_xlabel("x (mm)", fontsize=8)
    axes.set_ylabel("y (mm)", fontsize=8)
    axes.tick_params(labelsize=8)


def _landmarks(axes: Axes, view: PlaneView, farthest_mm: float) -> None:
    links = np.stack([view.truth_mm, view.predicted_mm], axis=1)[..., :2]
    defined = np.isfinite(view.truth_mm).all(axis=-1)
    lines = LineCollection(list(links[defined]), colors="white", linewidths=0.7, zorder=3)
    axes.add_collection(lines)
    shown = ((view.truth_mm, TRUE, "o"), (view.predicted_mm, PREDICTED, "X"))
    for points, colour, marker in shown:
        x, y, distance = points.T
        areas = _areas(distance, farthest_mm)
        axes.scatter(
            x, y, areas, colour, marker=marker, edgecolors="black", linewidths=0.4, zorder=4
        )


def _farthest_mm(views: Sequence[PlaneView]) -> float:
    """Largest distance of a shown landmark from its true plane, rounded up to one digit."""
    points = np.concatenate([part for view in views for part in (view.truth_mm, view.predicted_mm)])
    largest_mm = max(float(np.nanmax(np.abs(points[:, 2]))), 1e-3)
    unit_mm = 10.0 ** np.floor(np.log10(largest_mm))
    return float(np.ceil(largest_mm / unit_mm - 1e-6) * unit_mm)


def _areas(distance_mm: Float64[np.ndarray, " L"], farthest_mm: float) -> Float64[np.ndarray, " L"]:
    """Areas of points, smaller with their distance from the plane."""
    return LARGEST - (LARGEST - SMALLEST) * np.abs(distance_mm) / farthest_mm


def _legend(figure: Figure, farthest_mm: float) -> None:
    """Add a legend: colours in the first row, sizes in the second."""
    areas = _areas(np.array([0.0, farthest_mm / 2, farthest_mm]), farthest_mm)
    entries = [
        ("o", TRUE, LARGEST, "true landmark"),
        ("o", GREY, areas[0], "in the true plane"),
        ("X", PREDICTED, LARGEST, "predicted, projected onto it"),
        ("o", GREY, areas[1], f"{farthest_mm / 2:g} mm from it"),
        ("", GREY, 0.0, ""),
        ("o", GREY, areas[2], f"{farthest_mm:g} mm from it"),
    ]
    handles = [
        Line2D([], [], ls="", marker=marker, color=colour, ms=area**0.5, label=label)
        for marker, colour, area, label in entries
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
