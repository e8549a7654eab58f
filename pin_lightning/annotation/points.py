"""Landmarks of a volume as a person sees them: placed, missing, or not placed yet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.runs.doubts import Reviewed

Position: TypeAlias = tuple[float, float, float]
SAME_MM = 1e-6  # nearer positions are the same: 3D Slicer changes the last digits


@dataclass(frozen=True)
class Point:
    """A landmark.

    Attributes:
        position: World RAS+ mm; None where it has none.
        missing: A person looked for it, and it is not there.
    """

    position: Position | None = None
    missing: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is placed, or said to be missing."""
        return self.position is not None or self.missing


Points: TypeAlias = Mapping[str, Point]
Predicted: TypeAlias = Mapping[str, Position]  # a landmark that is not in it was predicted missing


def points_of(landmarks: LandmarkSet, missing: Sequence[str] = ()) -> dict[str, Point]:
    """Points of landmarks, some of which are said to be missing."""
    found = {}
    rows = zip(landmarks.names, landmarks.positions_world.tolist(), landmarks.defined, strict=True)
    for name, (x, y, z), defined in rows:
        found[name] = Point((x, y, z)) if defined else Point(missing=name in missing)
    return found


def points_predicted(names: Sequence[str], one: Reviewed) -> dict[str, Point]:
    """Points of a prediction, missing outside the scan; none if their number is another."""
    if len(one.positions_world) != len(names):
        return {}
    rows = zip(names, one.positions_world.tolist(), one.outside, strict=True)
    return {
        name: Point(missing=True) if outside else Point((x, y, z))
        for name, (x, y, z), outside in rows
    }


def landmarks_of(points: Points) -> LandmarkSet:
    """Landmarks of points, in their order; undefined where they have no position."""
    nowhere = (math.nan,) * 3
    rows = [nowhere if one.position is None else one.position for one in points.values()]
    return LandmarkSet.of(list(points), np.array(rows, dtype=float).reshape(-1, 3))


def placed(points: Points) -> Predicted:
    """Positions of the points that have one."""
    return {name: one.position for name, one in points.items() if one.position is not None}


def is_changed(name: str, point: Point, predicted: Predicted) -> bool:
    """Whether a landmark was moved, placed or marked missing against a prediction."""
    before = predicted.get(name)
    if before is not None and point.position is not None:
        return math.dist(before, point.position) > SAME_MM
    if before is None and point.position is None:
        return point.missing and not predicted
    return True


def changed_names(points: Points, predicted: Predicted) -> list[str]:
    """Landmarks that were changed against a prediction; without one, all that are known."""
    return [name for name, one in points.items() if is_changed(name, one, predicted)]
