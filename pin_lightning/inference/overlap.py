"""Inputs and outputs lie apart: else slices would be taken for volumes, or replace them."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path


def refuse_overlap(output: str | Path, given: str | Sequence[str], inputs: Iterable[Path]) -> None:
    """Refuse an output folder beside input files, or where inputs are looked for.

    Args:
        output: Output folder.
        given: Pattern, folder or several of them.
        inputs: Images that were found.

    Raises:
        ValueError: It does; the message names what lies there.
    """
    folder = Path(output).resolve()
    for path in inputs:
        if path.is_file() and folder in (path.resolve().parent, path.parent.resolve()):
            raise ValueError(f"output={output}: holds the input {path}; give another folder")
    for one in [given] if isinstance(given, str) else given:
        if (root := _searched(one)) is not None and folder.is_relative_to(root.resolve()):
            raise ValueError(
                f"output={output}: lies within input={one}, so that its slices would be taken for "
                f"volumes the next time; give another folder"
            )


def _searched(given: str) -> Path | None:
    """Folder that is searched as a whole: one given as such, or the start of a pattern with ``**``.

    >>> _searched("scans/**/*.nii.gz")
    PosixPath('scans')
    >>> _searched("scans/*.nii.gz")
    """
    path = Path(given)
    if path.exists() or "**" not in given:
        return path if path.is_dir() else None
    parts = path.parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])
