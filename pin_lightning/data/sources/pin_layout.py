"""The layout of the original PIN code: Images/, Landmarks/*_ps.txt, voxel indices, list files."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pin_lightning.data.cases import Case, check_pairs, files_by_name, images_by_name, subject_of
from pin_lightning.data.landmarks.files import read_voxel_text

LANDMARK_SUFFIX = "_ps.txt"


def pin_cases(
    root: str | Path,
    images: str = "Images",
    landmarks: str = "Landmarks",
    names: Sequence[str] | None = None,
    unwanted: Sequence[int] = (),
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of ``root/Images/NAME.nii.gz`` and ``root/Landmarks/NAME_ps.txt``.

    The text files hold one landmark a line, as 0-based voxel indices along the image's own axes,
    and no names.

    Args:
        root: Folder of the data set.
        images: Its sub-folder of images.
        landmarks: Its sub-folder of text files.
        names: Names of the landmarks that are wanted, in the order of the lines; none takes the
            numbers of the lines, from 1.
        unwanted: Lines to leave out, counted from 0.
        subject_pattern: As in `find_cases`.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: A folder is absent or empty, or an image and a text file lack each other.
    """
    folder = Path(root)
    found = images_by_name(folder / images)
    marked = files_by_name(folder / landmarks, (LANDMARK_SUFFIX,), "landmark files")
    check_pairs(found, folder / images, marked, folder / landmarks)
    return [
        Case(
            name,
            found[name],
            marked[name],
            partial(read_voxel_text, marked[name], found[name], names, unwanted),
            subject_of(name, subject_pattern),
        )
        for name in sorted(found)
    ]
