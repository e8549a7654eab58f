"""Reading image files with SimpleITK, without its warnings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from pin_lightning.common.geometry import Vector, itk_affine
from pin_lightning.data.images.completeness import check_voxels_whole

RawHeader = tuple[tuple[int, ...], np.ndarray]  # shape and affine; the image may not be 3D


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Suppress the warnings that ITK prints; its errors are still raised."""
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def itk_information(path: Path) -> Any:
    """Open a file with a reader that has read everything but the voxels.

    Raises:
        RuntimeError: ITK cannot read it.
    """
    import SimpleITK as sitk  # lazy: the import is slow, and NIfTI does not need it

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_itk():
        reader.ReadImageInformation()
    return reader


def itk_header(path: Path) -> RawHeader:
    """Read shape and affine of an image file.

    Returns:
        Voxels along its own axes, and voxel index to world RAS+ mm [4, 4] (of the first three
        axes; the identity if it has fewer).

    Raises:
        ValueError: It has several channels, or its spacing is not positive.
        RuntimeError: ITK cannot read the file.
    """
    reader = itk_information(path)
    shape, channels = reader.GetSize(), reader.GetNumberOfComponents()
    if channels != 1:
        raise ValueError(f"{path}: has {channels} channels; give an image with one channel")
    if len(shape) < 3:
        return shape, np.eye(4)
    check_spacing(path, reader.GetSpacing()[:3])
    direction = np.reshape(reader.GetDirection(), 2 * (len(shape),))[:3, :3]
    return shape, itk_affine(reader.GetOrigin()[:3], reader.GetSpacing()[:3], direction.ravel())


def itk_voxels(path: Path) -> Num[np.ndarray, "..."]:
    """Read the voxels of an image file, along its own axes.

    Raises:
        RuntimeError: ITK cannot read the file.
        EOFError: Voxels are missing.
        zlib.error: Compressed voxels are damaged.
    """
    import SimpleITK as sitk

    reader = itk_information(path)
    bytes_each = sitk.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
    check_voxels_whole(path, int(np.prod(reader.GetSize(), dtype=np.int64)) * bytes_each)
    with quiet_itk():
        return sitk.GetArrayFromImage(reader.Execute()).T


def check_spacing(path: Path, spacing_mm: Vector) -> None:
    """Validate that voxel sides are positive."""
    sides = [float(side) for side in spacing_mm]
    if not all(np.isfinite(side) and side > 0 for side in sides):
        raise ValueError(f"{path}: voxel spacing {sides} is not positive; correct the header")
