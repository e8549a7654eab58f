"""Images of a pattern, with the names of their outputs."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from pin_lightning.data.images.dicom import holds_dicom
from pin_lightning.data.images.reading import stem


def find_inputs(pattern: str | Sequence[str]) -> dict[str, Path]:
    """Images of a glob pattern (or several), or of a folder, by a unique name for their outputs.

    A folder of DICOM files is one image. Files of the same name in several folders are told apart
    by their folders' names.

    Raises:
        ValueError: No file matches, or two cannot be told apart.
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    matches = [Path(path) for one in patterns for path in glob.glob(one, recursive=True)]
    if len(matches) == 1 and matches[0].is_dir() and not holds_dicom(matches[0]):
        matches = list(matches[0].iterdir())  # a folder of images
        matches = [path for path in matches if stem(path) and not path.name.startswith(".")]
    paths = {path for path in matches if path.is_file() or (path.is_dir() and holds_dicom(path))}
    # Slices of a series that is there as a whole are not volumes of their own.
    found = sorted(path for path in paths if path.parent not in paths)
    if not found:
        raise ValueError(f"input={pattern}: no file matches; quote the pattern, check the folder")
    return dict(zip(_unique_names(found), found, strict=True))


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Stems, or whole file names where endings differ, with as many folders' names as needed."""
    stems, whole = [stem(path) or path.name for path in paths], [path.name for path in paths]
    for own in (stems, whole):  # a.nii and a.nii.gz have the same stem
        for depth in range(max(len(path.parts) for path in paths)):
            names = [
                "_".join([*path.parts[-1 - depth : -1], name]).replace(os.sep, "")
                for path, name in zip(paths, own, strict=True)
            ]
            if len(set(names)) == len(names):
                return names
    name = next(name for name in names if names.count(name) > 1)
    first, second, *_ = (path for path, own in zip(paths, names, strict=True) if own == name)
    raise ValueError(
        f"input: {first} and {second} would have the same name; predict them one after the other"
    )
