"""Images on this machine that a path, a folder or a pattern names."""

import glob
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pin_lightning.common.hidden import is_hidden
from pin_lightning.data.images.reading import file_stem
from pin_lightning.data.series_folders import INDEX, series_folders

ARCHIVE = ".tar"


def local_images(patterns: Sequence[str]) -> tuple[dict[Path, str], list[Path]]:
    """Images, series and archives that patterns name, each with the path below where it was found.

    Of a folder the images and archives in it are meant, and at any depth its folders of DICOM
    files, each of which is one image. What exists under the name of a pattern, or of its first
    folders, is taken as it is.

    Returns:
        The images, and the folders that the patterns name.
    """
    matches = dict(match for one in reversed(patterns) for match in _matches(one))
    return _images(matches), [path for path in matches if path.is_dir()]


def _images(matches: Mapping[Path, Path]) -> dict[Path, str]:
    """Images and series among the matches of patterns, each with the path below where it was found.

    Args:
        matches: What patterns match, and the folders from which they were searched.
    """
    bases = {(p.parent if p.name.upper() == INDEX else p): base for p, base in matches.items()}
    # Not only files: pipes and broken links are refused, with their names, where they are read.
    found = {path: base for path, base in bases.items() if not path.is_dir()}
    folders = {path: base for path, base in bases.items() if path.is_dir()}
    for folder, base in folders.items():
        found.update({series: found.get(series, base) for series in series_folders(folder)})
    for folder, base in folders.items():
        if folder == base and folder not in found:  # given as such: a folder of images
            inside = [path for path in folder.iterdir() if not path.is_dir()]
            found.update({path: base for path in inside if is_volume(path)})
    # Slices of a series that is there as a whole are not volumes of their own.
    return {
        path: path.name if path == base else path.relative_to(base).as_posix()
        for path, base in found.items()
        if path.is_dir() or path.parent not in found
    }


def is_volume(path: Path) -> bool:
    """Whether the name is that of an image, or of an archive, and not hidden."""
    return bool(file_stem(path) or is_archive(path)) and not is_hidden(path)


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.suffix.lower() == ARCHIVE


def _matches(pattern: str) -> list[tuple[Path, Path]]:
    """Paths of a pattern, in the first spelling of it in which there are any, and their base.

    Letters may be decomposed, and brackets be part of the names.
    """
    spellings = [
        unicodedata.normalize(form, text)
        for text in (pattern, pattern.replace("[", "[[]"))
        for form in ("NFC", "NFD")
    ]
    found = (list(_matches_as_spelt(one)) for one in dict.fromkeys([pattern, *spellings]))
    return next((paths for paths in found if paths), [])


def _matches_as_spelt(pattern: str) -> Iterator[tuple[Path, Path]]:
    parts = Path(pattern).parts
    known = next(n for n in range(len(parts), -1, -1) if Path(*parts[:n]).exists())
    base, rest = Path(*parts[:known]), parts[known:]
    if not rest:
        yield base, base if base.is_dir() else base.parent
        return
    for found in glob.iglob(os.path.join(glob.escape(str(base)), *rest), recursive=True):
        path = Path(found)
        below = path.relative_to(base).parts
        if not any(is_hidden(part) and part not in rest for part in below):
            yield path, base
