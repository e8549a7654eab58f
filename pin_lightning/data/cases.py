"""Cases: images with their landmarks and subjects, found by file name."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.images.reading import IMAGE_SUFFIXES, stem


@dataclass(frozen=True)
class Case:
    """One volume and, where known, its landmarks.

    Attributes:
        name: Unique name.
        image: Image file, or the folder of a DICOM series.
        landmarks: Landmark file; None if unknown.
        read: Reads the landmarks in world RAS+ mm; None if unknown.
        subject: Cases of one subject stay in the same part of a split.
    """

    name: str
    image: Path
    landmarks: Path | None
    read: Callable[[], LandmarkSet] | None
    subject: str


def files_by_name(
    folder: Path, what: str = "images", suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> dict[str, Path]:
    """Files of a folder by their name without suffix; a sub-folder is an image (a DICOM series).

    Args:
        folder: Folder to search, not recursively.
        what: Kind of the files, for messages.
        suffixes: Suffixes of the files to take.

    Raises:
        ValueError: The folder is absent or has no such file, or two have the same name.
    """
    with_folders = suffixes == IMAGE_SUFFIXES
    if not folder.is_dir():
        raise ValueError(f"data.root: there is no folder {folder}; it should hold the {what}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = stem(path, suffixes) if path.is_file() or with_folders else None
        if not name or path.name.startswith("."):  # macOS leaves hidden copies
            continue
        if name in found:
            raise ValueError(f"{folder}: both {found[name].name} and {path.name}; keep one")
        found[name] = path
    if not found:
        raise ValueError(f"data.root: no {what} in {folder} (read: {', '.join(suffixes)})")
    return found


def check_pairs(
    images: Mapping[str, Path], image_folder: Path, marked: Mapping[str, object], marks: Path
) -> None:
    """Validate that every image has landmarks and the reverse.

    Args:
        images: Images by case name.
        image_folder: Folder of the images.
        marked: Landmarks, in any form, by case name.
        marks: File or folder of the landmarks.

    Raises:
        ValueError: Names the cases that lack one of the two.
    """
    alone = sorted(images.keys() - marked.keys())
    if alone:
        raise ValueError(
            f"{marks}: no landmarks of {', '.join(alone)}; add them, or take the images out of "
            f"{image_folder}"
        )
    orphans = sorted(marked.keys() - images.keys())
    if orphans:
        raise ValueError(
            f"{image_folder}: no image for the landmarks of {', '.join(orphans)}; "
            f"add the image, or take the landmarks out of {marks}"
        )


def subject_of(name: str, pattern: str | None) -> str:
    """Subject of a case: the first group of a regular expression, or the name if there is none.

    Raises:
        ValueError: The pattern is not a regular expression with a group, or does not match.

    >>> subject_of("mouse7_left", "^(mouse[0-9]+)_")
    'mouse7'
    """
    if pattern is None:
        return name
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"data.subject_pattern={pattern}: invalid pattern ({error})") from error
    if expression.groups < 1:
        raise ValueError(f"data.subject_pattern={pattern}: put the subject's part in parentheses")
    match = expression.search(name)
    if match is None or not match.group(1):
        raise ValueError(f"data.subject_pattern={pattern}: does not match the case {name}")
    return match.group(1)
