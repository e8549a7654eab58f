"""Images of patterns and lists, with the names of their outputs."""

import codecs
import glob
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from pin_lightning.common.hidden import is_hidden
from pin_lightning.common.spelling import check_one_line, one_spelling, readable
from pin_lightning.data.images.reading import stem
from pin_lightning.data.series_folders import INDEX, series_folders

STANDARD_INPUT = "-"


def names_standard_input(pattern: str | Sequence[str]) -> bool:
    """Whether one of the inputs is a list on standard input."""
    return STANDARD_INPUT in ([pattern] if isinstance(pattern, str) else list(pattern))


def find_inputs(pattern: str | Sequence[str]) -> dict[str, Path]:
    """Images of a path or glob pattern (or several), by a unique name for their outputs.

    ``@FILE`` is a file with a path in each line, ``-`` the same from standard input: each is an
    image or the folder of a DICOM series, also where there is none, which is then refused alone.
    Of patterns, a folder gives its images and, at any depth, its folders of DICOM files, each of
    which is one image. What exists under the name of a pattern, or of its first folders, is
    taken as it is. Files of the same name in several folders are told apart by these.

    Raises:
        ValueError: No file matches, a list cannot be read, two cannot be told apart, or a name is
            not one line.
    """
    given = [pattern] if isinstance(pattern, str) else [str(one) for one in pattern]
    listed = {path for one in given if _is_list(one) for path in _listed(one)}
    patterns = [one for one in given if not _is_list(one)]
    matches = [path for one in patterns for path in _matches(one)]
    matches = [path.parent if path.name.upper() == INDEX else path for path in matches]
    # Not only files: pipes and broken links are refused, with their names, where they are read.
    paths = {path for path in matches if not path.is_dir()}
    folders = {path for path in matches if path.is_dir()}
    paths |= {series for folder in folders for series in series_folders(folder)}
    if len(matches) == 1 and folders and matches[0] not in paths:  # a folder of images
        inside = [path for path in matches[0].iterdir() if not path.is_dir()]
        paths |= {path for path in inside if stem(path) and not is_hidden(path)}
    # Slices of a series that is there as a whole are not volumes of their own.
    found = [path for path in paths if path.is_dir() or path.parent not in paths]
    found = sorted({*found, *listed})
    if not found and not patterns:
        raise ValueError(f"input={pattern}: names no file; give a path in each line")
    if not found:
        how = "quote the pattern, check the folder"
        if folders:
            how = f"give the images of its sub-folders, as in '{min(folders)}/**/*.nii.gz'"
        raise ValueError(f"input={pattern}: no file matches; {how}")
    names = _unique_names(found)
    for name in names:
        check_one_line(f"input={pattern}", name)
    return dict(zip(names, found, strict=True))


def _is_list(given: str) -> bool:
    """Whether an input names a list of images; what exists under that name is no list."""
    return given == STANDARD_INPUT or (given.startswith("@") and not Path(given).exists())


def _listed(given: str) -> Iterator[Path]:
    """Paths of a list, seen from the working directory; empty lines are skipped."""
    try:
        given_here = given == STANDARD_INPUT
        content = sys.stdin.buffer.read() if given_here else Path(given[1:]).read_bytes()
    except OSError as error:
        raise ValueError(
            f"input={given}: cannot be read ({error.strerror}); after @ give a file with the path "
            f"of an image in each line"
        ) from error
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        if b"\0" in line:
            raise ValueError(f"input={given}: line {number} is no path; give a path in each line")
        if line.strip():
            yield Path(os.fsdecode(line))


def _matches(pattern: str) -> list[Path]:
    """Paths of a pattern, in the first spelling of it in which there are any.

    Letters may be decomposed, and brackets be part of the names.
    """
    spellings = [
        unicodedata.normalize(form, text)
        for text in (pattern, pattern.replace("[", "[[]"))
        for form in ("NFC", "NFD")
    ]
    found = (list(_matches_as_spelt(one)) for one in dict.fromkeys([pattern, *spellings]))
    return next((paths for paths in found if paths), [])


def _matches_as_spelt(pattern: str) -> Iterator[Path]:
    parts = Path(pattern).parts
    known = next(n for n in range(len(parts), -1, -1) if Path(*parts[:n]).exists())
    base, rest = str(Path(*parts[:known])), parts[known:]
    if not rest:
        yield Path(pattern)
        return
    for path in glob.iglob(os.path.join(glob.escape(base), *rest), recursive=True):
        below = Path(path).relative_to(base).parts
        if not any(is_hidden(part) and part not in rest for part in below):
            yield Path(path)


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Stems, or whole file names where endings differ, with as many folders' names as needed."""
    stems, whole = [stem(path) or path.name for path in paths], [path.name for path in paths]
    for own in (stems, whole):  # a.nii and a.nii.gz have the same stem
        for depth in range(max(len(path.parts) for path in paths)):
            names = [
                readable(
                    one_spelling("_".join([*path.parts[-1 - depth : -1], name])).replace(os.sep, "")
                )
                for path, name in zip(paths, own, strict=True)
            ]
            if len(set(names)) == len(names):
                return names
    name = next(name for name in names if names.count(name) > 1)
    first, second, *_ = (path for path, own in zip(paths, names, strict=True) if own == name)
    raise ValueError(
        f"input: {first} and {second} would have the same name; predict them one after the other"
    )
