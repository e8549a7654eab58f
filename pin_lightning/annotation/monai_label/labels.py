"""Labels: point lists that clients send and get."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pin_lightning.annotation.annotation_files import read_points
from pin_lightning.annotation.described import landmarks
from pin_lightning.annotation.points import Point, Points, landmarks_of, points_of
from pin_lightning.annotation.session import Session
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.landmarks.markups import markups_text
from pin_lightning.runs.doubts import Reviewed

SUFFIX = ".mrk.json"
JSON, FCSV = ".json", ".fcsv"
FINAL, DRAFT, ORIGINAL = "final", "draft", "original"


def read_label(file_name: str, content: bytes) -> dict[str, Point]:
    """Points of a label, of whose file name only the ending counts.

    Raises:
        ValueError: It is not a point list, or does not say its frame.
    """
    suffix = next((one for one in (JSON, FCSV) if file_name.lower().endswith(one)), None)
    if suffix is None:
        raise ValueError(
            f"label: is not a point list; send a file whose name ends in {SUFFIX}, {JSON} or {FCSV}"
        )
    path = Path(f"label{suffix}")
    return read_points(path, content) if suffix == JSON else _read_fcsv(path, content)


def label_text(points: Points, descriptions: Mapping[str, str] | None = None) -> str:
    """Point list of points, with a description of each landmark."""
    texts = [(descriptions or {}).get(name, "") for name in points]
    statuses = ["missing" if one.missing else "undefined" for one in points.values()]
    return markups_text(Path("label"), landmarks_of(points), texts, statuses)


def tags_of(session: Session, key: str) -> list[str]:
    """Tags of the labels of a volume."""
    saved = session.store.read(key)
    own = [FINAL if saved.state.done else DRAFT] if saved.is_saved else []
    return [*own, *([ORIGINAL] if session.predicted_points(key) else [])]


def tagged_label(session: Session, key: str, tag: str) -> str | None:
    """Point list of a volume: ``original`` is what was predicted; None if there is none."""
    saved, predicted = session.store.read(key).is_saved, session.predicted_points(key)
    if tag != ORIGINAL and saved:
        return label_text(session.points(key))
    if tag in ("", ORIGINAL) and predicted:
        return label_text(predicted, descriptions(session, key))
    return None


def descriptions(session: Session, key: str) -> dict[str, str]:
    """What is said of each predicted landmark: its radius, and why to look at it."""
    return {one.name: _said(one.radius_mm, [one.reason]) for one in landmarks(session, key)}


def descriptions_of(names: Sequence[str], one: Reviewed) -> dict[str, str]:
    """As `descriptions`, of a prediction of another image."""
    radii = [None] * len(names) if one.radius_mm is None else one.radius_mm.tolist()
    rows = zip(names, radii, one.reasons, strict=True)
    return {name: _said(radius, reasons) for name, radius, reasons in rows}


def _said(radius_mm: float | None, reasons: Sequence[str]) -> str:
    bar = [] if radius_mm is None else [f"within {radius_mm:.2f} mm"]
    return ", ".join([*bar, *filter(None, reasons)])


def _read_fcsv(path: Path, content: bytes) -> dict[str, Point]:
    """Points of an .fcsv file, one without a position counting as not placed."""
    with tempfile.TemporaryDirectory(prefix="pin-lightning-") as folder:
        file = Path(folder) / path
        file.write_bytes(content)
        try:
            return points_of(read_landmarks(file))
        except ValueError as error:
            raise ValueError(str(error).replace(f"{folder}/", "")) from error
