"""Folders of DICOM series in a tree of folders, such as PATIENT/STUDY/SERIES."""

import os
from pathlib import Path

from pin_lightning.common.hidden import is_hidden
from pin_lightning.data.images.dicom import holds_dicom

INDEX = "DICOMDIR"  # lists the files of a tree, and is DICOM itself


def series_folders(folder: Path) -> list[Path]:
    """Folders with DICOM files at or below a folder, hidden ones left out, sorted.

    A folder with a DICOMDIR is that of a tree, and no series, where there are others below it.
    """
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        if holds_dicom(Path(parent)):
            found.append((Path(parent), INDEX in map(str.upper, files)))
    return sorted(
        path
        for path, has_index in found
        if not has_index or not any(path in other.parents for other, _ in found)
    )


def series_of_case(folder: Path) -> Path:
    """Folder of the series of a case: its own folder, else the only one with DICOM files below."""
    if holds_dicom(folder) and not (folder / INDEX).is_file():
        return folder
    found = series_folders(folder)
    return found[0] if len(found) == 1 else folder
