"""A file of landmarks for each image: ``images/NAME.*``, ``landmarks/NAME.*``."""

from functools import partial
from pathlib import Path

from pin_lightning.data.cases import Case, check_pairs, files_by_name, images_by_name, subject_of
from pin_lightning.data.landmarks.files import LANDMARK_SUFFIXES, read_landmarks


def find_cases(
    root: str | Path,
    images: str = "images",
    landmarks: str = "landmarks",
    frame: str | None = None,
    subject_pattern: str | None = None,
) -> list[Case]:
    """Cases of a folder: every image of ``root/images`` with its file in ``root/landmarks``.

    An image is a file, or a folder that holds the files of one DICOM series.

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
    folder = Path(root)
    found = images_by_name(folder / images)
    marked = files_by_name(folder / landmarks, LANDMARK_SUFFIXES, "landmark files")
    check_pairs(found, folder / images, marked, folder / landmarks)
    return [
        Case(
            name,
            found[name],
            marked[name],
            partial(read_landmarks, marked[name], frame, found[name]),
            subject_of(name, subject_pattern),
        )
        for name in sorted(found)
    ]
