"""Voxel texts (NAME_ps.txt) of the original PIN code: a line of x, y, z per landmark, no names."""

import re
from collections.abc import Sequence
from pathlib import Path

from pin_lightning.data.landmarks.framed import FramedLandmarks
from pin_lightning.data.landmarks.text import parse_position, read_text


def read_voxel_rows(
    path: Path, names: Sequence[str] | None, unwanted: Sequence[int]
) -> FramedLandmarks:
    """Read a voxel text, separated by blanks or commas.

    Args:
        path: A line of x, y, z per landmark, 0-based voxel index along the image's own axes.
        names: Names of the wanted lines; None takes their numbers in the file, from 1.
        unwanted: Lines to leave out, counted from 0.

    Raises:
        ValueError: A line is not a position, `names` does not fit the lines, or `unwanted` has a
            line twice or an absent one.
    """
    positions = _positions(path, read_text(path))
    wanted = _wanted(path, len(positions), unwanted)
    if names is None:
        names = [str(row + 1) for row in wanted]
    if len(names) != len(wanted):
        raise ValueError(
            f"{path}: {len(wanted)} of its {len(positions)} lines are wanted, but data.names has "
            f"{len(names)} names; give one for each"
        )
    return FramedLandmarks.of(path, list(names), [positions[row] for row in wanted], "voxel")


def _positions(path: Path, text: str) -> list[list[float]]:
    positions = []
    for number, line in enumerate(text.rstrip().splitlines(), 1):
        cells = re.split(r"\s*,\s*|\s+", line.strip())
        if len(cells) != 3:
            raise ValueError(
                f"{path}: line {number}: {line.strip()!r} is not three coordinates; give x y z"
            )
        positions.append(parse_position(f"{path}: line {number}: landmark", cells))
    return positions


def _wanted(path: Path, count: int, unwanted: Sequence[int]) -> list[int]:
    if len(set(unwanted)) != len(unwanted):
        raise ValueError(f"{path}: data.unwanted={list(unwanted)} has a line twice; give each once")
    outside = [row for row in unwanted if not 0 <= row < count]
    if outside:
        raise ValueError(
            f"{path}: data.unwanted={list(unwanted)}: there is no line {outside[0]}; its {count} "
            f"lines are counted from 0 to {count - 1}"
        )
    return [row for row in range(count) if row not in unwanted]
