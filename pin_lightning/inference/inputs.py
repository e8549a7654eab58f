"""Images of patterns and lists, with the names of their outputs."""

import codecs
import glob
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pin_lightning.common.hidden import is_hidden
from pin_lightning.common.spelling import check_one_line, one_spelling, readable
from pin_lightning.data.images.reading import stem
from pin_lightning.data.series_folders import INDEX, series_folders

STANDARD_INPUT = "-"


class Input(NamedTuple):
    """An image to predict.

    Attributes:
        path: The file, or the folder of a DICOM series.
        key: What chooses its part: the path below the folder that was searched, wherever that is
            mounted, or the path as given.
    """

    path: Path
    key: str


def find_inputs(pattern: str | Sequence[str]) -> dict[str, Input]:
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
    listed = {path: str(path) for one in given if _is_list(one) for path in _listed(one)}
    patterns = [one for one in given if not _is_list(one)]
    matches = dict(match for one in reversed(patterns) for match in _matches(one))
    found = {**_images(matches), **listed}
    if not found and not patterns:
        raise ValueError(f"input={pattern}: names no file; give a path in each line")
    if not found:
        how = "quote the pattern, check the folder"
        if folders := [path for path in matches if path.is_dir()]:
            how = f"give the images of its sub-folders, as in '{min(folders)}/**/*.nii.gz'"
        raise ValueError(f"input={pattern}: no file matches; {how}")
    paths = sorted(found)
    names = _unique_names(paths)
    for name in names:
        check_one_line(f"input={pattern}", name)
    inputs = (Input(path, one_spelling(found[path])) for path in paths)
    return dict(zip(names, inputs, strict=True))


def named_as_before(inputs: Mapping[str, Input], before: Mapping[str, str]) -> dict[str, Input]:
    """Give inputs the names that their outputs have, whatever files have come since.

    Args:
        inputs: By the names that they would have now.
        before: Names by the keys of inputs.

    Raises:
        ValueError: Two would have the same name.
    """
    often = Counter(one.key for one in inputs.values())
    named = dict[str, Input]()
    for own, one in inputs.items():
        name = before.get(one.key, own) if often[one.key] == 1 else own
        if name in named:
            raise _same_name(named[name].path, one.path)
        named[name] = one
    return named


def _same_name(first: Path, second: Path) -> ValueError:
    return ValueError(
        f"input: {first} and {second} would have the same name; predict them into two folders"
    )


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
    if len(matches) == 1 and folders and not found.keys() & folders.keys():  # a folder of images
        [(folder, base)] = folders.items()
        inside = [path for path in folder.iterdir() if not path.is_dir()]
        found.update({path: base for path in inside if stem(path) and not is_hidden(path)})
    # Slices of a series that is there as a whole are not volumes of their own.
    return {
        path: path.name if path == base else path.relative_to(base).as_posix()
        for path, base in found.items()
        if path.is_dir() or path.parent not in found
    }


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
    raise _same_name(first, second)
