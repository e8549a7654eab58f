"""Writing the landmarks of a case as a CSV table, in world RAS+ mm."""

from collections.abc import Sequence
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.tables import as_text
from pin_lightning.data.landmarks.framed import check_plain_names, checked_descriptions
from pin_lightning.data.landmarks.text import quoted


def write_case_table(
    path: Path,
    landmarks: LandmarkSet,
    descriptions: Sequence[str] | None = None,
    absent: str = "undefined",
) -> None:
    """Write a long table without a case column; arguments and errors as in `write_landmarks`.

    An undefined landmark has empty coordinates, whatever its status `absent`.
    """
    check_plain_names(path, landmarks.names)
    texts = checked_descriptions(path, landmarks, descriptions)
    rows = [["landmark", "x", "y", "z", "frame", "description"]]
    for index, (name, text) in enumerate(zip(landmarks.names, texts, strict=True)):
        position = landmarks.positions_world[index].tolist()
        # repr: reading gives the same number.
        cells = [repr(value) if landmarks.defined[index] else "" for value in position]
        rows.append([as_text(name), *cells, "RAS", as_text(text)])
    columns = 5 if descriptions is None else 6
    lines = [",".join(map(quoted, row[:columns])) for row in rows]
    write_text(path, "\n".join(lines) + "\n")
