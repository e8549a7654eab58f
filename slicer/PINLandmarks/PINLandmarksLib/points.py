"""Landmarks of the server as point lists of 3D Slicer (.mrk.json), and back."""

from __future__ import annotations

import math
from typing import Any

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
SAME_MM = 1e-6
RAS = ("RAS", "0", 0)
LPS = ("LPS", "1", 1)


def markups_of(volume: dict[str, Any]) -> dict[str, Any]:
    """Content of a ``.mrk.json`` file with the landmarks of a scan.

    Landmarks that are not placed yet are ``undefined``, those marked missing ``missing``. Their
    number is fixed, so that Slicer adds and removes none.

    Args:
        volume: A scan as of `Server.volume`.
    """
    points = [_point(number, one) for number, one in enumerate(volume["landmarks"], 1)]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "fixedNumberOfControlPoints": True,
        "controlPoints": points,
    }
    return {"@schema": SCHEMA, "markups": [markup]}


def landmarks_of(content: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """Landmarks of a ``.mrk.json`` file as the server takes them: world RAS mm, in its order.

    Args:
        content: What Slicer wrote of one point list.
        names: All names of landmarks; those without a point are not placed.

    Raises:
        ValueError: A point has the name of no landmark or of another point, or no position.
    """
    markup = content["markups"][0]
    system = markup.get("coordinateSystem", "LPS")
    if system not in (*RAS, *LPS):
        raise ValueError(f"coordinateSystem={system}: save the points in LPS or RAS")
    found: dict[str, dict[str, Any]] = {
        name: {"name": name, "position": None, "missing": False} for name in names
    }
    seen = set()
    for point in markup.get("controlPoints", []):
        name = point.get("label", "")
        if name not in found:
            raise ValueError(f"point {name!r}: no landmark has this name; rename or delete it")
        if name in seen:
            raise ValueError(f"point {name!r}: occurs twice; delete one of them")
        seen.add(name)
        status = point.get("positionStatus", "defined")
        found[name]["missing"] = status == "missing"
        if status == "defined":
            found[name]["position"] = _position(name, point, flipped=system in LPS)
    return list(found.values())


def are_same(ones: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    """Whether landmarks are the same; numbers that Slicer wrote differ in their last digit."""
    return len(ones) == len(others) and all(map(_is_same, ones, others))


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if (one["name"], one["missing"]) != (other["name"], other["missing"]):
        return False
    here, there = one["position"], other["position"]
    if here is None or there is None:
        return here is there
    return math.dist(here, there) <= SAME_MM


def _point(number: int, landmark: dict[str, Any]) -> dict[str, Any]:
    position = None if landmark["missing"] else landmark["position"]
    status = "missing" if landmark["missing"] else "undefined" if position is None else "defined"
    point = {
        "id": str(number),
        "label": landmark["name"],
        "description": _description(landmark),
        "positionStatus": status,
    }
    return point if position is None else {**point, "position": _flipped(position)}


def _description(landmark: dict[str, Any]) -> str:
    radius, reason = landmark.get("radius_mm"), landmark.get("reason")
    bar = [] if radius is None else [f"within {radius:.2f} mm"]
    return ", ".join([*bar, *([reason] if reason else [])])


def _position(name: str, point: dict[str, Any], flipped: bool) -> list[float]:
    position = point.get("position")
    if not isinstance(position, list) or len(position) != 3 or not all(map(_finite, position)):
        raise ValueError(f"point {name!r}: has position {position!r}; place it again")
    return _flipped(position) if flipped else [float(value) for value in position]


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _flipped(position: list[float]) -> list[float]:
    """Between RAS and LPS; zero stays without a sign."""
    x, y, z = position
    return [0.0 - x, 0.0 - y, float(z)]
