"""Decoding the voxels of DICOM files with SimpleITK (GDCM), without its warnings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Num


def itk_voxels(path: Path) -> Num[np.ndarray, "..."]:
    """Read the rescaled voxels of a file, along its own axes.

    Raises:
        RuntimeError: GDCM cannot read the file.
    """
    import SimpleITK as sitk  # lazy: the import is slow, and other formats do not need it

    with _quiet_itk():
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T


def itk_series(paths: Sequence[Path], of_one_scale: bool) -> Num[np.ndarray, "X Y Z"]:
    """Read the rescaled voxels of slices, in the order given.

    Args:
        paths: Files of one slice each.
        of_one_scale: Whether all are rescaled alike, and hence of one type.

    Raises:
        RuntimeError: GDCM cannot read a file.
    """
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    if not of_one_scale:
        reader.SetOutputPixelType(sitk.sitkFloat64)
    with _quiet_itk():
        return sitk.GetArrayFromImage(reader.Execute()).T


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """Suppress the warnings that ITK prints; its errors are still raised."""
    import SimpleITK as sitk

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
