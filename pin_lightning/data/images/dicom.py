"""DICOM series: a folder of slices as one volume, placed by the positions of its slices."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Num

from pin_lightning.common.geometry import itk_affine
from pin_lightning.data.images.itk import (
    RawHeader,
    check_spacing,
    itk_header,
    itk_information,
    itk_voxels,
    quiet_itk,
)

UNEVEN = 0.01  # largest offset of a slice from even spacing, in spacings
NEEDED_TAGS = {
    "0020|0032": "ImagePositionPatient",
    "0020|0037": "ImageOrientationPatient",
    "0028|0030": "PixelSpacing",
}


@dataclass(frozen=True, eq=False)
class Slice:
    """Header of one file of a series.

    Attributes:
        file: Its path.
        size: Voxels along its axes.
        channels: Values per voxel.
        pixel_id: ITK's voxel type after rescaling.
        steps_lps: Columns: steps between voxels along the first and second axis, mm.
        position_lps: Centre of its first voxel, mm.
    """

    file: Path
    size: tuple[int, ...]
    channels: int
    pixel_id: int
    steps_lps: Float64[np.ndarray, "3 2"]
    position_lps: Float64[np.ndarray, " 3"]


def holds_dicom(folder: Path) -> bool:
    """True if a folder holds a DICOM file, by the mark after the preamble."""
    return any(_is_dicom(path) for path in folder.iterdir())


def series_header(folder: Path) -> RawHeader:
    """Read shape and affine of a DICOM series.

    The third axis follows the positions of the slices in the order of their normal; with a tilted
    gantry it is oblique to the slices.

    Args:
        folder: Folder with the files of one series; files of other kinds are ignored.

    Returns:
        Voxels along its own axes, and voxel index to world RAS+ mm [4, 4].

    Raises:
        ValueError: There is no series or more than one, or the slices are not evenly stacked.
        RuntimeError: A file cannot be read.
    """
    files = _series_files(folder)
    if len(files) == 1:
        return itk_header(files[0])
    slices = _stack(folder, files)
    first, step = slices[0], _step_lps(slices)
    if first.channels != 1:
        raise ValueError(f"{folder}: has {first.channels} channels; give a series with one channel")
    axes_lps = np.column_stack([first.steps_lps, step])
    spacing_mm = np.linalg.norm(axes_lps, axis=0)
    shape = (*first.size[:2], len(slices))
    return shape, itk_affine(first.position_lps, spacing_mm, (axes_lps / spacing_mm).ravel())


def series_voxels(folder: Path) -> Num[np.ndarray, "X Y Z"]:
    """Read the rescaled voxels of a DICOM series; order and errors as in `series_header`."""
    import SimpleITK as sitk

    files = _series_files(folder)
    if len(files) == 1:
        return itk_voxels(files[0])
    slices = _stack(folder, files)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(one.file) for one in slices])
    if len({one.pixel_id for one in slices}) > 1:  # each slice has its own rescale slope
        reader.SetOutputPixelType(sitk.sitkFloat64)
    with quiet_itk():
        return sitk.GetArrayFromImage(reader.Execute()).T


def _series_files(folder: Path) -> list[Path]:
    """Files of the one series of a folder."""
    import SimpleITK as sitk

    with quiet_itk():
        reader = sitk.ImageSeriesReader
        series = {
            uid: [Path(name) for name in reader.GetGDCMSeriesFileNames(str(folder), uid)]
            for uid in reader.GetGDCMSeriesIDs(str(folder))
        }
    if not series:
        raise ValueError(f"{folder}: a folder without DICOM images; give the folder of one series")
    if len(series) > 1:
        said = ", ".join(_described(uid, files) for uid, files in series.items())
        raise ValueError(f"{folder}: has {len(series)} DICOM series ({said}); keep one per folder")
    (files,) = series.values()
    # GDCM drops slices that it cannot read.
    known = {file.name for file in files}
    rest = [file for file in sorted(folder.iterdir()) if file.name not in known]
    others = [file for file in rest if file.name.upper() != "DICOMDIR" and _is_dicom(file)]
    if others:
        raise ValueError(
            f"{others[0]}: DICOM, but no readable image of the series "
            f"({len(others)} such files); export the series again, or move the file elsewhere"
        )
    return files


def _described(uid: str, files: list[Path]) -> str:
    reader = itk_information(files[0])
    tag = "0008|103e"  # SeriesDescription
    description = reader.GetMetaData(tag).strip() if reader.HasMetaDataKey(tag) else ""
    count = f"{len(files)} file{'s' * (len(files) != 1)}"
    return " ".join([f"...{uid[-8:]}", *([repr(description)] if description else []), count])


def _is_dicom(path: Path) -> bool:
    if not path.is_file() or path.name.startswith("."):
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _stack(folder: Path, files: list[Path]) -> list[Slice]:
    """Slices sorted by their positions along the normal, validated as one even stack."""
    slices = [_slice(file) for file in files]
    for other in slices[1:]:
        _check_alike(slices[0], other)
    normal = np.cross(*slices[0].steps_lps.T)
    ordered = sorted(slices, key=lambda one: float(one.position_lps @ normal))
    _check_even(folder, ordered)
    return ordered


def _slice(file: Path) -> Slice:
    reader = itk_information(file)
    lacking = [name for tag, name in NEEDED_TAGS.items() if not reader.HasMetaDataKey(tag)]
    if lacking:
        raise ValueError(f"{file}: a slice without {', '.join(lacking)}; export the series again")
    spacing_mm = reader.GetSpacing()
    check_spacing(file, spacing_mm[:2])
    steps = np.reshape(reader.GetDirection(), (3, 3))[:, :2] * spacing_mm[:2]
    return Slice(
        file=file,
        size=tuple(reader.GetSize()),
        channels=reader.GetNumberOfComponents(),
        pixel_id=reader.GetPixelID(),
        steps_lps=steps,
        position_lps=np.array(reader.GetOrigin(), dtype=np.float64),
    )


def _check_alike(one: Slice, other: Slice) -> None:
    tolerance_mm = 1e-3 * float(np.linalg.norm(one.steps_lps, axis=0).min())
    same_axes = np.allclose(one.steps_lps, other.steps_lps, rtol=0, atol=tolerance_mm)
    if one.size != other.size or one.channels != other.channels or not same_axes:
        raise ValueError(
            f"{other.file}: its size, spacing or direction is not that of {one.file.name}; "
            f"keep the slices of one volume per folder"
        )
    if one.size[2] != 1:
        raise ValueError(f"{one.file}: one of several files with many frames; keep one per folder")


def _check_even(folder: Path, slices: list[Slice]) -> None:
    positions = np.array([one.position_lps for one in slices])
    step = _step_lps(slices)
    gaps_mm = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    usual_mm = float(np.median(gaps_mm))
    even = positions[0] + np.arange(len(slices))[:, None] * step
    off_mm = np.linalg.norm(positions - even, axis=1).max()
    if usual_mm > 0 and gaps_mm.min() > 0 and off_mm <= UNEVEN * usual_mm:
        return
    odd = int(np.argmax(np.abs(gaps_mm - usual_mm))) if usual_mm > 0 else 0
    raise ValueError(
        f"{folder}: slices missing or unevenly spaced: {gaps_mm[odd]:.4g} mm between "
        f"{slices[odd].file.name} and {slices[odd + 1].file.name}, {usual_mm:.4g} mm elsewhere; "
        f"give one complete volume"
    )


def _step_lps(slices: list[Slice]) -> Float64[np.ndarray, " 3"]:
    return (slices[-1].position_lps - slices[0].position_lps) / (len(slices) - 1)
