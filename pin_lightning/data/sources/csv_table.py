"""A folder of images and one CSV table of landmarks for all of them."""

from functools import partial
from pathlib import Path

from pin_lightning.data.cases import Case, check_pairs, images_by_name, subject_of
from pin_lightning.data.landmarks.files import read_table


def csv_cases(
    root: str | Path,
    images: str = "images",
    table: str = "landmarks.csv",
    frame: str | None = None,
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of a folder of images and a table, long or wide (see `landmark_formats.table`).

    Args:
        root: Folder of the data set.
        images: Its sub-folder of images.
        table: CSV file in it.
        frame: ``RAS``, ``LPS`` or ``voxel`` when the table does not say.
        subject_pattern: As in `find_cases`; a ``subject`` column of the table comes first.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: The table is not valid, or an image and a row of the table lack each other.
    """
    folder, path = Path(root), Path(root) / table
    found = images_by_name(folder / images)
    read = read_table(path, frame, found)
    check_pairs(found, folder / images, read.cases, path)
    return [
        Case(
            name,
            found[name],
            path,
            partial(read.cases.__getitem__, name),
            read.subjects.get(name) or subject_of(name, subject_pattern),
        )
        for name in sorted(found)
    ]
