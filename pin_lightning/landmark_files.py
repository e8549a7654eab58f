"""Landmark files: 3D Slicer markups (.mrk.json) to and from `LandmarkSet`."""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.geometry import flip_lps_ras
from pin_lightning.landmarks import LandmarkSet

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
# Old Slicer versions wrote the number of their enumeration instead of the name.
COORDINATE_SYSTEMS = {"RAS": "RAS", "LPS": "LPS", "0": "RAS", "1": "LPS"}


def read_landmarks(path: Path) -> LandmarkSet:
    """Landmarks of any file format that is read, chosen by the file's suffix.

    Args:
        path: A file whose name ends in one of `READERS`.

    Returns:
        Landmarks in world RAS+ mm.

    Raises:
        ValueError: The suffix is not one that is read, or the file is not valid.
    """
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix):
            return reader(path)
    raise ValueError(f"{path}: not a landmark file that is read; use {', '.join(READERS)}")


def read_markups(path: Path) -> LandmarkSet:
    """Landmarks of a 3D Slicer markups file with one point list.

    The coordinate system is never guessed: LPS and RAS differ only in signs, so a wrong guess puts
    landmarks elsewhere without an error.

    Args:
        path: A ``.mrk.json`` file.

    Returns:
        Landmarks named by their labels, world RAS+ mm; undefined unless their ``positionStatus``
        is "defined" or absent.

    Raises:
        ValueError: The file is not a valid point list.
    """
    markup = _point_list(path, _read_json(path))
    lps = _coordinate_system(path, markup) == "LPS"
    points = _control_points(path, markup)
    names = _labels(path, points)
    pairs = zip(names, points, strict=True)
    positions = np.array([_position(path, name, point) for name, point in pairs])
    return LandmarkSet.of(names, flip_lps_ras(positions) if lps else positions)


def write_markups(
    path: Path, landmarks: LandmarkSet, descriptions: Sequence[str] | None = None
) -> None:
    """Write landmarks as a point list that 3D Slicer opens (schema 1.0.3, LPS, mm).

    The file appears complete or not at all: it is written beside itself, then renamed.

    Args:
        path: File to write; its folder is made if absent.
        landmarks: Landmarks; an undefined one is written with that status and no position.
        descriptions: One free text per landmark, shown by Slicer beside it.

    Raises:
        ValueError: The number of descriptions is not the number of landmarks.
    """
    texts = [""] * len(landmarks) if descriptions is None else list(descriptions)
    if len(texts) != len(landmarks):
        raise ValueError(f"{path}: {len(texts)} descriptions for {len(landmarks)} landmarks")
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "controlPoints": _to_control_points(landmarks, texts),
    }
    content = {"@schema": MARKUPS_SCHEMA, "markups": [markup]}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    temporary.replace(path)


def _to_control_points(landmarks: LandmarkSet, descriptions: list[str]) -> list[dict[str, Any]]:
    positions_lps = flip_lps_ras(landmarks.positions_world)
    points = []
    for index, (name, text) in enumerate(zip(landmarks.names, descriptions, strict=True)):
        point: dict[str, Any] = {"id": str(index + 1), "label": name, "description": text}
        if landmarks.defined[index]:
            point["position"] = positions_lps[index].tolist()
        point["positionStatus"] = "defined" if landmarks.defined[index] else "undefined"
        points.append(point)
    return points


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # bad JSON and bad UTF-8 alike
        raise ValueError(f"{path}: not valid JSON ({error}); save it again in 3D Slicer") from error


def _point_list(path: Path, content: Any) -> dict[str, Any]:
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not markups or not isinstance(markups[0], dict):
        raise ValueError(f"{path}: has no markups; save a point list from 3D Slicer")
    if len(markups) > 1:
        raise ValueError(f"{path}: holds {len(markups)} markups; save one point list per file")
    kind = markups[0].get("type")
    if kind != "Fiducial":
        raise ValueError(f"{path}: markups of type {kind!r}; save a point list (type 'Fiducial')")
    return markups[0]


def _coordinate_system(path: Path, markup: dict[str, Any]) -> str:
    units = markup.get("coordinateUnits", "mm")
    if units != "mm" and (not isinstance(units, list) or units[:1] != ["mm"]):
        raise ValueError(f"{path}: coordinateUnits is {units!r}; save it in mm")
    written = markup.get("coordinateSystem")
    if str(written) not in COORDINATE_SYSTEMS:
        raise ValueError(f"{path}: coordinateSystem is {written!r}; it must say 'LPS' or 'RAS'")
    return COORDINATE_SYSTEMS[str(written)]


def _control_points(path: Path, markup: dict[str, Any]) -> list[dict[str, Any]]:
    points = markup.get("controlPoints")
    if not isinstance(points, list) or not points:
        raise ValueError(f"{path}: its point list is empty; place the landmarks and save it again")
    if not all(isinstance(point, dict) for point in points):
        raise ValueError(
            f"{path}: a control point is not a JSON object; save it again in 3D Slicer"
        )
    return points


def _labels(path: Path, points: list[dict[str, Any]]) -> list[str]:
    labels = [point.get("label") for point in points]
    for index, label in enumerate(labels):
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"{path}: control point {index + 1} has no label; name every landmark")
    names = [str(label) for label in labels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: labels occur twice: {', '.join(twice)}; make each label unique")
    return names


def _position(path: Path, name: str, point: dict[str, Any]) -> list[float]:
    if point.get("positionStatus", "defined") != "defined":
        return [math.nan] * 3
    position = point.get("position")
    if not isinstance(position, list) or len(position) != 3:
        raise ValueError(f"{path}: landmark {name!r} has position {position!r}; give x, y, z")
    if not all(_is_finite_number(value) for value in position):
        raise ValueError(
            f"{path}: landmark {name!r} has position {position!r}; give finite numbers"
        )
    return [float(value) for value in position]


def _is_finite_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


# Longest suffix first where one ends in another.
READERS: dict[str, Callable[[Path], LandmarkSet]] = {".mrk.json": read_markups}
