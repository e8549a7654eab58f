"""Geometry and rescaling of the frames of a DICOM header, in whichever way it stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

Numbers = tuple[float, ...]

MAX_FRAMES = 10**5
AXIAL = 0.999  # least cosine of the normal and the axis of the patient
# Vectors by which frames of a file without functional groups differ in other ways than in place.
OTHER_DIMENSIONS = {
    *("EnergyWindowVector", "DetectorVector", "PhaseVector", "RotationVector", "RRIntervalVector"),
    *("TimeSlotVector", "AngularViewVector", "TimeSliceVector"),
}


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """Header of a frame as stored; LPS, mm.

    Attributes:
        spacing: Between rows, and between columns.
        orientation: Direction of increasing column index, then of increasing row index.
        position: Centre of the first voxel.
        rescale: Slope and intercept.
    """

    spacing: Numbers
    orientation: Numbers
    position: Numbers
    rescale: tuple[float, float]

    def lacking(self) -> list[str]:
        """Names of the attributes that are absent."""
        needed = {
            "PixelSpacing": (self.spacing, 2),
            "ImageOrientationPatient": (self.orientation, 6),
            "ImagePositionPatient": (self.position, 3),
        }
        return [name for name, (numbers, count) in needed.items() if len(numbers) != count]

    def steps_lps(self) -> Float64[np.ndarray, "3 2"]:
        """Columns: steps between voxels along the first and second axis, mm."""
        directions = np.reshape(self.orientation, (2, 3)).T
        return directions / np.linalg.norm(directions, axis=0) * np.array(self.spacing[::-1])


def frame_headers(dataset: Any) -> tuple[FrameHeader, ...]:
    """Headers of all frames of a data set of pydicom, in the order of its voxels.

    Enhanced objects have functional groups, of each frame or shared by all. Others have one
    position, and say by a vector or a spacing where their other frames lie.

    Raises:
        ValueError, and errors of pydicom: The header is damaged.
    """
    count = int(dataset.get("NumberOfFrames") or 1)
    if not 1 <= count <= MAX_FRAMES:
        raise ValueError(f"{count} frames")
    shared = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
    own = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if not (shared or own):
        return _without_groups(dataset, count)
    if own and len(own) != count:
        raise ValueError(f"{len(own)} functional groups of {count} frames")
    groups = [[one, *shared] for one in own] or [shared] * count
    return tuple(_of_groups(one) for one in groups)


def _of_groups(groups: Sequence[Any]) -> FrameHeader:
    transformation = "PixelValueTransformationSequence"
    slope = _numbers(_macro(groups, transformation, "RescaleSlope")) or (1.0,)
    intercept = _numbers(_macro(groups, transformation, "RescaleIntercept")) or (0.0,)
    return FrameHeader(
        spacing=_numbers(_macro(groups, "PixelMeasuresSequence", "PixelSpacing")),
        orientation=_numbers(_macro(groups, "PlaneOrientationSequence", "ImageOrientationPatient")),
        position=_numbers(_macro(groups, "PlanePositionSequence", "ImagePositionPatient")),
        rescale=(slope[0], intercept[0]),
    )


def _without_groups(dataset: Any, count: int) -> tuple[FrameHeader, ...]:
    # Nuclear medicine has the place of the first slice in that of the detector.
    places = [*_items(dataset, "DetectorInformationSequence")[:1], dataset]
    orientation = _numbers(_first(places, "ImageOrientationPatient"))
    position = _numbers(_first(places, "ImagePositionPatient"))
    slope = _numbers(dataset.get("RescaleSlope")) or _numbers(dataset.get("DoseGridScaling"))
    rescale = ((slope or (1.0,))[0], (_numbers(dataset.get("RescaleIntercept")) or (0.0,))[0])
    positions = [position]
    if count > 1:
        positions = _positions(dataset, count, orientation, position)
    spacing = _numbers(dataset.get("PixelSpacing"))
    return tuple(FrameHeader(spacing, orientation, one, rescale) for one in positions)


def _positions(dataset: Any, count: int, orientation: Numbers, position: Numbers) -> list[Numbers]:
    """Positions of frames that are stacked along the normal; empty ones where that is not said."""
    unknown: list[Numbers] = [()] * count
    if len(orientation) != 6 or len(position) != 3 or _has_other_dimensions(dataset):
        return unknown
    normal = np.cross(orientation[:3], orientation[3:])
    offsets = np.array(_numbers(dataset.get("GridFrameOffsetVector")))
    if len(offsets) and offsets[0] != 0:  # coordinates along z instead of distances
        if abs(normal[2]) < AXIAL:
            return unknown
        offsets = (offsets - position[2]) * np.sign(normal[2])
    step = _numbers(dataset.get("SpacingBetweenSlices"))
    if not len(offsets) and step:
        numbers = _numbers(dataset.get("SliceVector")) or range(1, count + 1)
        offsets = (np.array(numbers) - 1) * step[0]
    if len(offsets) != count:
        return unknown
    return [tuple(float(one) for one in position + offset * normal) for offset in offsets]


def _has_other_dimensions(dataset: Any) -> bool:
    """True if frames differ in something else than their place, or may."""
    from pydicom.datadict import keyword_for_tag

    modality, pointer = dataset.get("Modality"), dataset.get("FrameIncrementPointer")
    tags = [] if pointer is None else pointer if hasattr(pointer, "append") else [pointer]
    named = {keyword_for_tag(tag) for tag in tags}
    if modality == "US" or named & {"FrameTime", "FrameTimeVector"}:
        return True
    if modality == "NM" and "SliceVector" not in named:
        return True
    vectors = [_numbers(dataset.get(name)) for name in named & OTHER_DIMENSIONS]
    return any(len(set(vector)) > 1 for vector in vectors)


def _items(dataset: Any, keyword: str) -> list[Any]:
    return list(dataset.get(keyword) or [])


def _macro(groups: Sequence[Any], sequence: str, keyword: str) -> Any:
    """Value in the first functional group that has it."""
    return _first([item for group in groups for item in _items(group, sequence)[:1]], keyword)


def _first(datasets: Sequence[Any], keyword: str) -> Any:
    values = (one.get(keyword) for one in datasets)
    return next((value for value in values if value is not None), None)


def _numbers(value: Any) -> Numbers:
    if value is None or value == "":
        return ()
    values = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return tuple(float(one) for one in values)
