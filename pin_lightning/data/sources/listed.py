"""Data sets of a table that names the image and the landmark file of each case."""

from functools import partial
from pathlib import Path

from pin_lightning.common.spelling import check_one_line, one_spelling
from pin_lightning.common.tables import read_rows
from pin_lightning.data.cases import Case, subject_of
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.series_folders import series_of_case

COLUMNS = ("case", "image", "landmarks")


def listed_cases(
    root: str | Path,
    table: str = "cases.csv",
    frame: str | None = None,
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of a table with the columns case, image and landmarks, so that no image is copied.

    Args:
        root: Folder of the table.
        table: CSV file in it. Its paths are absolute, or relative to its folder. A column
            ``subject`` has precedence over the pattern.
        frame: ``RAS``, ``LPS`` or ``voxel`` for landmark files that do not say.
        subject_pattern: As in `find_cases`.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: The table is not valid, or a file that it names is absent.
    """
    path = Path(root, table)
    if not path.is_file():
        raise ValueError(f"data.root: there is no {path}; it should list the cases")
    cases: dict[str, Case] = {}
    for row in read_rows(path, COLUMNS):
        name = one_spelling(row["case"])
        check_one_line(str(path), name)
        if name in cases:
            raise ValueError(f"{path}: the case {name} is there twice; keep one")
        image, landmarks = (_file(path, name, row[column]) for column in COLUMNS[1:])
        image = series_of_case(image) if image.is_dir() else image
        read = partial(read_landmarks, landmarks, frame=frame, image=image)
        subject = row.get("subject") or subject_of(name, subject_pattern)
        cases[name] = Case(name, image, landmarks, read, subject)
    if not cases:
        raise ValueError(f"{path}: lists no case; give one in each line")
    return [cases[name] for name in sorted(cases)]


def _file(table: Path, name: str, written: str) -> Path:
    found = table.parent / written
    if not written or not found.exists():
        raise ValueError(f"{table}: the case {name}: there is no {written or 'file'}; correct it")
    return found
