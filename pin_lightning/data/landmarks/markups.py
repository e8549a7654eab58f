"""3D Slicer's markups files (.mrk.json) with one point list."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pin_lightning.common.files import write_text
from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.settings import is_number
from pin_lightning.common.spelling import one_spelling
from pin_lightning.data.landmarks.framed import (
    SLICER_FRAMES,
    FramedLandmarks,
    checked_descriptions,
    warn_of_previews,
)
from pin_lightning.data.landmarks.text import read_text

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
STATUSES = ("defined", "undefined", "missing", "preview")


def read_markups(path: Path) -> FramedLandmarks:
    """Read a ``.mrk.json`` file with one point list.

    A landmark is undefined unless its ``positionStatus`` is "defined" or absent.

    Raises:
        ValueError: The file is not a valid point list.
    """
    return parse_markups(path, read_text(path))


def parse_markups(path: Path, text: str) -> FramedLandmarks:
    """As `read_markups`, of the text of a file; `path` is for messages."""
    markup = _point_list(path, text)
    names, positions, previews = [], [], []
    for number, point in enumerate(_control_points(path, markup), 1):
        label = point.get("label")
        if not isinstance(label, str):
            raise ValueError(f"{path}: control point {number} has no label; name every landmark")
        names.append(label)
        positions.append(_position(f"{path}: landmark {label!r}", point))
        previews += [label] if point.get("positionStatus") == "preview" else []
    warn_of_previews(path, previews)
    return FramedLandmarks.of(path, names, positions, _frame(path, markup))


def missing_in_markups(path: Path, text: str) -> list[str]:
    """Labels of the points that the text of a file says are missing; `path` is for messages.

    Raises:
        ValueError: It is not a valid point list.
    """
    points = _control_points(path, _point_list(path, text))
    labels = [one.get("label") for one in points if one.get("positionStatus") == "missing"]
    return [one_spelling(label) for label in labels if isinstance(label, str)]


def write_markups(
    path: Path,
    landmarks: LandmarkSet,
    descriptions: Sequence[str] | None = None,
    absent: str = "undefined",
) -> None:
    """Write a point list for 3D Slicer (schema 1.0.3, LPS, mm); arguments as `write_landmarks`.

    An undefined landmark has the status `absent` and no position.

    Raises:
        ValueError: The number of descriptions is not the number of landmarks.
    """
    write_text(path, markups_text(path, landmarks, descriptions, [absent] * len(landmarks)))


def markups_text(
    path: Path,
    landmarks: LandmarkSet,
    descriptions: Sequence[str] | None,
    absent: Sequence[str],
) -> str:
    """Text of a point list as of `write_markups`, with a status for each undefined landmark.

    Raises:
        ValueError: The number of descriptions is not the number of landmarks.
    """
    texts = checked_descriptions(path, landmarks, descriptions)
    positions_lps = flip_lps_ras(landmarks.positions_world)
    points = []
    rows = zip(landmarks.names, texts, absent, strict=True)
    for index, (name, text, status) in enumerate(rows):
        point: dict[str, Any] = {"id": str(index + 1), "label": name, "description": text}
        if landmarks.defined[index]:
            point["position"] = positions_lps[index].tolist()
        point["positionStatus"] = "defined" if landmarks.defined[index] else status
        points.append(point)
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm"}
    content = {"@schema": MARKUPS_SCHEMA, "markups": [{**markup, "controlPoints": points}]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _point_list(path: Path, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON ({error}); save it again in 3D Slicer") from error
    except ValueError as error:  # thousands of digits
        raise ValueError(f"{path}: holds a number that is too large; correct it") from error
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not markups or not isinstance(markups[0], dict):
        raise ValueError(f"{path}: has no markups; save a point list from 3D Slicer")
    if len(markups) > 1:
        raise ValueError(f"{path}: holds {len(markups)} markups; save one point list per file")
    kind = markups[0].get("type")
    if kind != "Fiducial":
        raise ValueError(f"{path}: markups of type {kind!r}; save a point list (type 'Fiducial')")
    return markups[0]


def _frame(path: Path, markup: dict[str, Any]) -> str | None:
    units = markup.get("coordinateUnits", "mm")
    if units != "mm" and (not isinstance(units, list) or units[:1] != ["mm"]):
        raise ValueError(f"{path}: coordinateUnits is {units!r}; save it in mm")
    written = markup.get("coordinateSystem")
    if written is None:
        return None
    if str(written) not in SLICER_FRAMES:
        raise ValueError(f"{path}: coordinateSystem is {written!r}; it must say 'LPS' or 'RAS'")
    return SLICER_FRAMES[str(written)]


def _control_points(path: Path, markup: dict[str, Any]) -> list[dict[str, Any]]:
    points = markup.get("controlPoints")
    if not isinstance(points, list) or not points:
        raise ValueError(f"{path}: its point list is empty; place the landmarks and save it again")
    if not all(isinstance(point, dict) for point in points):
        raise ValueError(f"{path}: a control point is not a JSON object; save it again")
    return points


def _position(where: str, point: dict[str, Any]) -> list[float]:
    status = point.get("positionStatus", "defined")
    if status not in STATUSES:
        raise ValueError(f"{where} has positionStatus {status!r}; use {', '.join(STATUSES)}")
    if status != "defined":
        return [math.nan] * 3
    position = point.get("position")
    if not isinstance(position, list) or len(position) != 3:
        raise ValueError(f"{where} has position {position!r}; give x, y, z")
    if not all(is_number(value) for value in position):
        raise ValueError(f"{where} has position {position!r}; give finite numbers")
    return [float(value) for value in position]
