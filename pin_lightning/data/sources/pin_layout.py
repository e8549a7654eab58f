"""Data sets in the layout of the original PIN code: Images/ and Landmarks/*_ps.txt."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.data.landmarks.voxel_text import read_voxel_rows
from pin_lightning.data.sources.folder import paired_cases


def pin_cases(
    root: str | Path,
    images: str = "Images",
    landmarks: str = "Landmarks",
    names: Sequence[str] | None = None,
    unwanted: Sequence[int] = (),
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of ``root/Images/NAME.nii.gz`` with ``root/Landmarks/NAME_ps.txt``.

    The text files have a line per landmark, a 0-based voxel index along the image's own axes, and
    no names.

    Args:
        root: Folder of the data set.
        images: Its sub-folder of images.
        landmarks: Its sub-folder of text files.
        names: Names of the wanted lines, in their order; None numbers the lines from 1.
        unwanted: Lines to leave out, counted from 0.
        subject_pattern: As in `find_cases`.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: A folder is absent or empty, or an image and a text file lack each other.
    """
    read = partial(_read, names=names, unwanted=unwanted)
    folders = Path(root, images), Path(root, landmarks)
    return paired_cases(*folders, ("_ps.txt",), read, subject_pattern)


def _read(
    path: Path, image: Path, names: Sequence[str] | None, unwanted: Sequence[int]
) -> LandmarkSet:
    return read_voxel_rows(path, names, unwanted).to_world(path, "voxel", image)
