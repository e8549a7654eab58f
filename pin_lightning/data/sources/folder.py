"""Data sets of a folder of images and a folder of landmark files with the same names."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case, check_pairs, files_by_name, subject_of
from pin_lightning.data.landmarks.files import LANDMARK_SUFFIXES, read_landmarks


def find_cases(
    root: str | Path,
    images: str = "images",
    landmarks: str = "landmarks",
    frame: str | None = None,
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of ``root/images/NAME.*`` with ``root/landmarks/NAME.*``.

    An image is a file, or a folder with the files of one DICOM series.

    Args:
        root: Folder of the data set.
        images: Its sub-folder of images.
        landmarks: Its sub-folder of landmark files (.mrk.json, .fcsv or .csv), named as the image.
        frame: ``RAS``, ``LPS`` or ``voxel`` for landmark files that do not say.
        subject_pattern: Regular expression whose first group in a case's name is its subject.

    Returns:
        Cases sorted by name.

    Raises:
        ValueError: A folder is absent or empty, or an image and a landmark file lack each other.
    """
    read = partial(read_landmarks, frame=frame)
    folders = Path(root, images), Path(root, landmarks)
    return paired_cases(*folders, LANDMARK_SUFFIXES, read, subject_pattern)


def paired_cases(
    images: Path,
    landmarks: Path,
    suffixes: Sequence[str],
    read: Callable[..., LandmarkSet],
    subject_pattern: str | None,
) -> list[Case]:
    """Cases of two folders; `read` takes a landmark file and the keyword ``image``."""
    found = files_by_name(images)
    marked = files_by_name(landmarks, "landmark files", suffixes)
    check_pairs(found, images, marked, landmarks)
    cases = []
    for name, image in sorted(found.items()):
        read_case = partial(read, marked[name], image=image)
        subject = subject_of(name, subject_pattern)
        cases.append(Case(name, image, marked[name], read_case, subject))
    return cases
