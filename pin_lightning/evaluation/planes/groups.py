"""Plane groups: the landmarks of each standard plane, from ``data.planes``."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pin_lightning.common.names import did_you_mean
from pin_lightning.common.spelling import one_spelling
from pin_lightning.evaluation.planes.axes import LineFit, MeanToMean, XAxis

log = logging.getLogger(__name__)

FORM = "TV: {landmarks: [a, b, c]}"
AXIS_FORM = "{fit: [a, b]} or {from: [a], to: [b, c]}"


@dataclass(frozen=True)
class PlaneGroup:
    """Landmarks that define a standard plane.

    Attributes:
        name: Name of the plane.
        landmarks: Three or more landmarks that the plane is fitted to. Their order gives the side
            from which it is seen, see `fit_plane`.
        x_axis: Direction of its x axis, projected into the plane.
    """

    name: str
    landmarks: tuple[str, ...]
    x_axis: XAxis

    @property
    def names(self) -> tuple[str, ...]:
        """All landmarks of the plane and its x axis."""
        return tuple(dict.fromkeys((*self.landmarks, *self.x_axis.names)))


def plane_groups(planes: Any) -> tuple[PlaneGroup, ...]:
    """Read plane groups from the node ``data.planes`` of a config.

    >>> plane_groups({"TC": {"landmarks": ["left", "right", "front"]}})[0].x_axis
    LineFit(names=('left', 'right', 'front'))

    Args:
        planes: ``landmarks`` and ``x_axis`` by the name of the plane, or None. The axis is by
            default the main direction of the landmarks.

    Raises:
        ValueError: A group is not of that form; the message names it.
    """
    if planes is None:
        return ()
    if not isinstance(planes, Mapping):
        raise ValueError(f"data.planes={planes}: give groups of landmarks by name, as {FORM}")
    return tuple(_group(str(name), settings) for name, settings in planes.items())


def _group(name: str, settings: Any) -> PlaneGroup:
    setting = f"data.planes.{name}"
    if not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"{setting}: is part of file names; use letters, digits, - and _")
    keys = {*settings} if isinstance(settings, Mapping) else set()
    if not {"landmarks"} <= keys <= {"landmarks", "x_axis"}:
        raise ValueError(f"{setting}: give landmarks, and x_axis if you like, as {FORM}")
    landmarks = _names(f"{setting}.landmarks", settings["landmarks"], 3)
    axis = settings.get("x_axis")
    return PlaneGroup(name, landmarks, LineFit(landmarks) if axis is None else _axis(setting, axis))


def _axis(setting: str, axis: Any) -> XAxis:
    keys = {*axis} if isinstance(axis, Mapping) else set()
    if keys == {"fit"}:
        return LineFit(_names(f"{setting}.x_axis.fit", axis["fit"], 2))
    if keys == {"from", "to"}:
        start, end = (_names(f"{setting}.x_axis.{key}", axis[key], 1) for key in ("from", "to"))
        return MeanToMean(start, end)
    raise ValueError(f"{setting}.x_axis={axis}: give {AXIS_FORM}")


def _names(setting: str, names: Any, least: int) -> tuple[str, ...]:
    """Landmark names as text: YAML reads some as numbers."""
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    found = [one_spelling(str(name)) for name in names] if is_list else []
    if len(found) < least or len(set(found)) < len(found):
        raise ValueError(f"{setting}={names}: give {least} or more names, each only once")
    return tuple(found)


def groups_within(groups: Sequence[PlaneGroup], names: Sequence[str]) -> tuple[PlaneGroup, ...]:
    """Groups whose landmarks are all among the names."""
    return tuple(group for group in groups if {*group.names} <= {*names})


def check_groups(
    groups: Sequence[PlaneGroup], known: Sequence[str], predicted: Sequence[str]
) -> None:
    """Check that all names are landmarks of the data, and log groups that are not used.

    Args:
        groups: Plane groups.
        known: All landmarks of the data set.
        predicted: Landmarks that are localised.

    Raises:
        ValueError: A name is unknown; the message names the group and the landmark.
    """
    for group in groups:
        for name in group.names:
            if name not in known:
                raise ValueError(
                    f"data.planes.{group.name}: no case has {name}; {did_you_mean(name, known)}"
                )
        if lacking := [name for name in group.names if name not in predicted]:
            log.info("plane %s: not used, without %s", group.name, ", ".join(lacking))
