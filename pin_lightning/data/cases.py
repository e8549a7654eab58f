"""Cases: an image with its landmarks, and the folder layout that most data sets have."""

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
        landmarks: The file that its landmarks stand in, none when it is only to be predicted.
        read: Reads them from there, in world RAS+ mm; none without landmarks.
        subject: Cases of one subject stay in the same part of a split.
    """

    name: str
    image: Path
    landmarks: Path | None
    read: Callable[[], LandmarkSet] | None
    subject: str


def images_by_name(folder: Path) -> dict[str, Path]:
    """Image files of a folder by their names, and its sub-folders, each one DICOM series.

    Raises:
        ValueError: The folder is absent or has no image, or two images have the same name.
    """
    return files_by_name(folder, IMAGE_SUFFIXES, "images", folders=True)


def files_by_name(
    folder: Path, suffixes: Sequence[str], what: str, folders: bool = False
) -> dict[str, Path]:
    """Files of a folder whose name ends in one of the suffixes, by the rest of the name.

    Args:
        folder: Folder to look in, not below.
        suffixes: Ends of file names.
        what: What the files are, for messages.
        folders: Take sub-folders too.

    Raises:
        ValueError: The folder is absent or has no such file, or two have the same name.
    """
    if not folder.is_dir():
        raise ValueError(f"data.root: there is no folder {folder}; it should hold the {what}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = stem(path, suffixes) if path.is_file() or folders else None
        # Hidden files: copies that macOS leaves behind.
        if not name or path.name.startswith("."):
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
    """Refuse images without landmarks and landmarks without an image, all of them named.

    Args:
        images: Images by case name.
        image_folder: Where they are.
        marked: Landmarks, in any form, by case name.
        marks: File or folder where they are.

    Raises:
        ValueError: A name is in one and not in the other.
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
    """Subject of a case: the first group of the pattern in its name; without pattern, its name.

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
        raise ValueError(
            f"data.subject_pattern={pattern}: not a valid pattern ({error})"
        ) from error
    if expression.groups < 1:
        raise ValueError(f"data.subject_pattern={pattern}: put the subject's part in parentheses")
    match = expression.search(name)
    if match is None or not match.group(1):
        raise ValueError(f"data.subject_pattern={pattern}: does not match the case {name}")
    return match.group(1)
