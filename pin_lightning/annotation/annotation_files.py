"""Files of a saved annotation: markups for 3D Slicer, and beside them what they do not say."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pin_lightning.annotation.points import Point, Points, Position, landmarks_of, points_of
from pin_lightning.common.files import write_text
from pin_lightning.data.landmarks.markups import (
    markups_text,
    missing_in_markups,
    parse_markups,
)
from pin_lightning.data.landmarks.text import decode_text

FORMAT_VERSION = 1
NO_FILE = ""  # digest of a markups file that is not there


@dataclass(frozen=True)
class SavedState:
    """What a markups file does not say of itself.

    Attributes:
        name: Name of the volume.
        version: Number of changes of the markups file; 0 before the first.
        digest: Of the markups file that it describes, as of `digest_of`.
        ours: Whether this server wrote that file.
        done: Whether a person said that the volume is done.
        predicted: Positions that were predicted when a person began, in world RAS+ mm; empty where
            nothing was predicted.
        by: What predicted them.
        seconds: Time that people spent.
        saved_at: When it was written, in UTC.
        before: State before the save that wrote this one: that save may not have come to its end.
        before_file: What tells the markups file of `before` from a copy of it that somebody put
            back, as of `stamp_of_file`; None in states of before there was this.
    """

    name: str
    version: int = 0
    digest: str = NO_FILE
    ours: bool = False
    done: bool = False
    predicted: dict[str, Position] = field(default_factory=dict)
    by: str = ""
    seconds: float = 0.0
    saved_at: str = ""
    before: "SavedState | None" = None
    before_file: str | None = None


def digest_of(content: bytes | None) -> str:
    """Digest of the content of a markups file; empty where there is none."""
    return NO_FILE if content is None else hashlib.sha256(content).hexdigest()


def points_text(path: Path, points: Points) -> str:
    """Markups of points; `path` is for messages."""
    statuses = ["missing" if one.missing else "undefined" for one in points.values()]
    return markups_text(path, landmarks_of(points), None, statuses)


def read_points(path: Path, content: bytes) -> dict[str, Point]:
    """Points of the content of a markups file; `path` is for messages.

    Raises:
        ValueError: It is not a valid point list, or does not say its frame.
    """
    text = decode_text(path, content)
    framed = parse_markups(path, text)
    if framed.frame is None:
        raise ValueError(f"{path}: does not say whether it is RAS or LPS; save it again")
    landmarks = framed.to_world(path, framed.frame, None)
    return points_of(landmarks, missing_in_markups(path, text))


def write_state(path: Path, state: SavedState, durable: bool = False) -> None:
    """Write a state atomically; `durable`: so that it survives a loss of power."""
    content = {"format_version": FORMAT_VERSION, **asdict(state)}
    write_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", durable)


def read_state(path: Path) -> SavedState | None:
    """Read a state; None where there is none, or a damaged one."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if content.pop("format_version") != FORMAT_VERSION:
            return None
        return _state(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _state(content: dict[str, Any]) -> SavedState:
    before = content.pop("before")
    predicted = {}
    for name, (x, y, z) in content.pop("predicted").items():
        predicted[str(name)] = (float(x), float(y), float(z))
    state = SavedState(**content, predicted=predicted)
    if type(state.version) is not int or not isinstance(state.digest, str):
        raise ValueError("damaged")
    return state if before is None else replace(state, before=_state(before))
