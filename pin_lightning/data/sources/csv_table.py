"""Data sets of a folder of images and one CSV table of landmarks."""

from functools import partial
from pathlib import Path

from pin_lightning.data.cases import Case, check_pairs, files_by_name, subject_of
from pin_lightning.data.landmarks.files import read_table


def csv_cases(
    root: str | Path,
    images: str = "images",
    table: str = "landmarks.csv",
    frame: str | None = None,
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of a folder of images and a long or wide table (see `landmarks.table_reading`).

    Args:
        root: Folder of the data set.
        images: Its sub-folder of images.
        table: CSV file in it.
        frame: ``RAS``, ``LPS`` or ``voxel`` for a table that does not say.
        subject_pattern: As in `find_cases`; a ``subject`` column of the table has precedence.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: The table is not valid, or an image and a row of the table lack each other.
    """
    folder, path = Path(root, images), Path(root, table)
    found = files_by_name(folder)
    marked, subjects = read_table(path, frame, found)
    check_pairs(found, folder, marked, path)
    cases = []
    for name, image in sorted(found.items()):
        subject = subjects.get(name) or subject_of(name, subject_pattern)
        cases.append(Case(name, image, path, partial(marked.__getitem__, name), subject))
    return cases
