"""Slices of a DICOM volume: placed by their own headers, put in order, and checked for gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.geometry import flip_lps_ras

UNEVEN = 0.01  # largest offset of a slice from even spacing, in spacings


@dataclass(frozen=True, eq=False)
class Slice:
    """Header of one slice: a file of a series, or a frame of a file.

    Attributes:
        name: What messages call it.
        number: Its index in the file or the list of files.
        size: Voxels along its axes (columns, rows).
        channels: Values per voxel.
        steps_lps: Columns: steps between voxels along the first and second axis, mm.
        position_lps: Centre of its first voxel, mm.
        rescale: Slope and intercept of its stored values.
    """

    name: str
    number: int
    size: tuple[int, int]
    channels: int
    steps_lps: Float64[np.ndarray, "3 2"]
    position_lps: Float64[np.ndarray, " 3"]
    rescale: tuple[float, float]


def stack(path: Path, slices: Sequence[Slice]) -> list[Slice]:
    """Slices in the order of their positions along the normal, validated as one even stack.

    Args:
        path: File or folder, for messages.
        slices: At least two slices, in any order.

    Raises:
        ValueError: They differ in size or direction, lie at the same place, or have gaps.
    """
    for other in slices[1:]:
        _check_alike(path, slices[0], other)
    normal = np.cross(*slices[0].steps_lps.T)
    ordered = sorted(slices, key=lambda one: float(one.position_lps @ normal))
    _check_even(path, ordered)
    return ordered


def stack_affine(ordered: Sequence[Slice]) -> Float64[np.ndarray, "4 4"]:
    """Voxel index (column, row, slice) to world RAS+ mm of slices that `stack` put in order.

    The third axis follows the positions; with a tilted gantry it is oblique to the slices.
    """
    affine = np.eye(4)
    affine[:3, :3] = flip_lps_ras(np.column_stack([ordered[0].steps_lps, _step_lps(ordered)]).T).T
    affine[:3, 3] = flip_lps_ras(ordered[0].position_lps)
    return affine


def _check_alike(path: Path, one: Slice, other: Slice) -> None:
    tolerance_mm = 1e-3 * float(np.linalg.norm(one.steps_lps, axis=0).min())
    same_axes = np.allclose(one.steps_lps, other.steps_lps, rtol=0, atol=tolerance_mm)
    if one.size != other.size or one.channels != other.channels or not same_axes:
        raise ValueError(
            f"{path}: size, spacing or direction of {other.name} is not that of {one.name}; "
            f"keep the slices of one volume only"
        )


def _check_even(path: Path, ordered: Sequence[Slice]) -> None:
    positions = np.array([one.position_lps for one in ordered])
    steps_mm = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    apart_mm = steps_mm[steps_mm > UNEVEN * steps_mm.max()]
    places = len(apart_mm) + 1
    if places < len(ordered):
        each = len(ordered) / places
        several = f"{each:g} at each" if each == int(each) else "some twice"
        raise ValueError(
            f"{path}: {len(ordered)} slices at {places} positions, {several}: several phases, "
            f"echoes or stacks, or copies; give one volume"
        )
    usual_mm = float(np.median(steps_mm))
    even = positions[0] + np.arange(len(ordered))[:, None] * _step_lps(ordered)
    if np.linalg.norm(positions - even, axis=1).max() > UNEVEN * usual_mm:
        odd = int(np.argmax(np.abs(steps_mm - usual_mm)))
        raise ValueError(
            f"{path}: slices missing or unevenly spaced: {steps_mm[odd]:.4g} mm between "
            f"{ordered[odd].name} and {ordered[odd + 1].name}, {usual_mm:.4g} mm elsewhere; "
            f"give one complete volume"
        )


def _step_lps(ordered: Sequence[Slice]) -> Float64[np.ndarray, " 3"]:
    return (ordered[-1].position_lps - ordered[0].position_lps) / (len(ordered) - 1)
