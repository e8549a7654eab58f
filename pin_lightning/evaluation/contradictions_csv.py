"""``contradictions.csv``: annotated landmarks that out-of-fold predictions contradict."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.common.tables import csv_number, csv_text, read_rows
from pin_lightning.evaluation.contradictions import Contradiction

_NUMBERS = ("error_mm", "limit_mm")
COLUMNS = ("number", "kind", "case", "landmark", *_NUMBERS)


def write_contradictions(path: str | Path, found: Sequence[Contradiction]) -> None:
    """Write a row for each landmark; those of one contradiction share its number."""
    rows = [
        [number, one.kind, one.case, landmark, csv_number(error), csv_number(limit)]
        for number, one in enumerate(found, start=1)
        for landmark, error, limit in zip(one.landmarks, one.error_mm, one.limit_mm, strict=True)
    ]
    write_text(Path(path), csv_text([COLUMNS, *rows]))


def read_contradictions(path: str | Path) -> list[Contradiction]:
    """Read a file of `write_contradictions`; empty if there is none, as of earlier versions.

    Raises:
        ValueError: The file is damaged.
    """
    if not Path(path).is_file():
        return []
    rows = read_rows(path, COLUMNS, _NUMBERS)
    found = []
    for _, group in groupby(rows, lambda row: row["number"]):
        members = list(group)
        if members[0]["kind"] not in ("exchanged", "far", "case"):
            raise ValueError(f"{path}: kind is {members[0]['kind']!r}; delete the file")
        columns = (tuple(row[key] for row in members) for key in ("landmark", *_NUMBERS))
        found.append(Contradiction(members[0]["kind"], members[0]["case"], *columns))
    return found
