"""Images of patterns, addresses and lists, with the names of their outputs."""

import codecs
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pin_lightning.common.hidden import is_hidden
from pin_lightning.common.spelling import check_one_line, one_spelling, readable
from pin_lightning.data.images.reading import file_stem, stem
from pin_lightning.inference.addresses import is_address, remote_file, remote_files
from pin_lightning.inference.files import InputFile, LocalInput, RemoteInput, archive_of, members
from pin_lightning.inference.patterns import ARCHIVE, is_archive, local_images

STANDARD_INPUT = "-"


class Input(NamedTuple):
    """An image to predict.

    Attributes:
        file: The file, or the folder of a DICOM series.
        key: What chooses its part: the path below the folder that was searched, wherever that is
            mounted, or the path as given.
    """

    file: InputFile
    key: str


def find_inputs(
    pattern: str | Sequence[str], holds: Callable[[str], bool] = lambda key: True
) -> dict[str, Input]:
    """Images of a path or glob pattern (or several), by a unique name for their outputs.

    Patterns are as of `local_images`; addresses such as ``s3://BUCKET/scans/*.nii.gz`` are those
    that fsspec knows. ``@FILE`` is a file with a path or address in each line, ``-`` the same from
    standard input: each is an image or the folder of a DICOM series, also where there is none,
    which is then refused alone. Of a tar archive the images in it are meant. Files of the same name
    in several folders are told apart by these.

    Args:
        pattern: The patterns.
        holds: Whether an image, or all images of an archive, are asked for, by its key.

    Raises:
        ValueError: No file matches, a list or archive cannot be read, two cannot be told apart, or
            a name is not one line.
    """
    given = [pattern] if isinstance(pattern, str) else [str(one) for one in pattern]
    lists = [one for one in given if _is_list(one)]
    listed = [line for one in lists for line in _listed(one)]
    patterns = [one for one in given if not _is_list(one)]
    local, folders = local_images([one for one in patterns if not is_address(one)])
    found = {path: Input(LocalInput(path), key) for path, key in local.items()}
    for one in (one for one in patterns if is_address(one)):
        found.update({Path(f.shown): Input(f, key) for f, key in remote_files(one)})
    for line in listed:
        found[Path(line)] = Input(_named_file(line), line)
    if not found and not patterns:
        raise ValueError(f"input={pattern}: names no file; give a path in each line")
    if not found:
        how = "quote the pattern, check the folder"
        if any(path.is_dir() for folder in folders for path in folder.iterdir()):
            how = f"give the images of its sub-folders, as in '{min(folders)}/**/*.nii.gz'"
        raise ValueError(f"input={pattern}: no file matches; {how}")
    paths, inputs = sorted(found), dict[str, Input]()
    for name, path in zip(_unique_names(paths), paths, strict=True):
        file = found[path]._replace(key=one_spelling(found[path].key))
        if holds(file.key):
            _add(inputs, _in_archive(name, file) if is_archive(path) else {name: file})
    for name in inputs:
        check_one_line(f"input={pattern}", name)
    return inputs


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
        _add(named, {name: one})
    return named


def _add(inputs: dict[str, Input], more: Mapping[str, Input]) -> None:
    for name, one in more.items():
        if name in inputs:
            raise _same_name(inputs[name].file.shown, one.file.shown)
        inputs[name] = one


def _in_archive(name: str, archive: Input) -> dict[str, Input]:
    """Images in an archive, by its name and their own."""
    assert isinstance(archive.file, LocalInput | RemoteInput)
    found = {Path(one.name): one for one in members(archive_of(archive.file))}
    paths = sorted(
        path for path in found if file_stem(path) and not any(map(is_hidden, path.parts))
    )
    start = name[: -len(ARCHIVE)] if name.lower().endswith(ARCHIVE) else name
    names = _unique_names(paths) if paths else []
    return {
        f"{start}_{own}": Input(found[path], one_spelling(f"{archive.key}/{path.as_posix()}"))
        for own, path in zip(names, paths, strict=True)
    }


def _named_file(line: str) -> InputFile:
    if not is_address(line):
        return LocalInput(Path(line))
    return remote_file(line)


def _same_name(first: object, second: object) -> ValueError:
    return ValueError(
        f"input: {first} and {second} would have the same name; predict them into two folders"
    )


def _is_list(given: str) -> bool:
    """Whether an input names a list of images; what exists under that name is no list."""
    return given == STANDARD_INPUT or (given.startswith("@") and not Path(given).exists())


def _listed(given: str) -> Iterator[str]:
    """Lines of a list, with paths seen from the working directory; empty lines are skipped."""
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
            yield os.fsdecode(line)


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
