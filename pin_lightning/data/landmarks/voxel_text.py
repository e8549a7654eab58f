"""Voxel texts (NAME_ps.txt) of the original PIN code: a line of x, y, z per landmark, no names."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.files import write_text
from pin_lightning.data.landmarks.framed import FramedLandmarks
from pin_lightning.data.landmarks.text import parse_position, read_text


def read_voxel_rows(
    path: Path, names: Sequence[str] | None, unwanted: Sequence[int]
) -> FramedLandmarks:
    """Landmarks of a voxel text, in the frame "voxel".

    Args:
        path: A line per landmark, 0-based voxel index along the image's own axes, separated by
            blanks or commas; NaN where undefined.
        names: Names of the lines that are wanted; none takes their numbers in the file, from 1.
        unwanted: Lines to leave out, counted from 0.

    Raises:
        ValueError: A line is not a position, `names` does not fit the lines, or `unwanted` has a
            line twice or one that is not there.
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


def write_voxel_rows(path: Path, positions_voxel: Float64[np.ndarray, "L 3"]) -> None:
    """Write a line of x, y, z per landmark.

    Args:
        path: File to write; its folder is made if absent.
        positions_voxel: Index along the image's own axes, NaN where undefined.
    """
    lines = [" ".join(map(repr, row)) for row in positions_voxel.tolist()]
    write_text(path, "".join(f"{line}\n" for line in lines))


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
