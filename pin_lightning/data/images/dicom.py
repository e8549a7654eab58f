"""DICOM volumes: a folder of slices, or a file of frames, placed by the positions of its slices."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Num

from pin_lightning.common.hidden import is_hidden
from pin_lightning.data.images.dicom_file import (
    DicomFile,
    is_dicom,
    native_frames,
    read_dicom,
    slices_of,
)
from pin_lightning.data.images.gdcm import decoded
from pin_lightning.data.images.slices import Slice, stack, stack_affine
from pin_lightning.data.images.stored import StoredImage

# Attributes of a file that are the same throughout a scan, and their names in DICOM.
OF_ONE_SCAN = {
    "frame_of_reference": "FrameOfReferenceUID",
    "photometric": "PhotometricInterpretation",
}


def holds_dicom(folder: Path) -> bool:
    """True if a folder holds a DICOM file."""
    return any(is_dicom(path) for path in _files(folder))


def dicom_files(path: Path) -> list[Path]:
    """DICOM files of an image: it itself, or those of a folder; none if it is of another format."""
    files = _files(path) if path.is_dir() else [path]
    return [one for one in files if is_dicom(one)]


def open_series(folder: Path) -> StoredImage:
    """Read the headers of a DICOM series.

    Args:
        folder: Folder with the files of one series, or one file of frames; files of other kinds
            are ignored.

    Raises:
        ValueError: There is no series or more than one, or the slices are not evenly stacked.
    """
    files = _series(folder)
    if len(files) == 1:
        return _of_frames(files[0])
    several = next((file for file in files if len(file.frames) != 1), None)
    if several:
        raise ValueError(
            f"{several.path}: one of several files with many frames; keep one per folder"
        )
    _check_of_one_scan(folder, files)
    slices = [one for file in files for one in slices_of(file)]
    numbered = [replace(one, number=number) for number, one in enumerate(slices)]
    ordered = stack(folder, numbered)
    in_order = [files[one.number] for one in ordered]
    return _stacked(folder, files[0], ordered, lambda: _slice_voxels(in_order, ordered))


def open_dicom(path: Path) -> StoredImage:
    """Read the header of a DICOM file, of one slice or of many frames.

    Raises:
        ValueError: It is no image, or its frames are not evenly stacked.
    """
    return _of_frames(read_dicom(path))


def _of_frames(file: DicomFile) -> StoredImage:
    """The frames of a file in the order of their positions."""
    if not file.frames:
        raise ValueError(f"{file.path}: holds no image; give the folder of a series")
    slices = slices_of(file)
    if len(slices) == 1:  # no volume, which its shape says
        return StoredImage(
            (*file.size, 1), np.eye(4), file.voxel_bytes, lambda: native_frames(file).T
        )
    ordered = stack(file.path, slices)
    return _stacked(file.path, file, ordered, lambda: _frame_voxels(file, ordered))


def _stacked(
    path: Path, file: DicomFile, ordered: Sequence[Slice], read: Callable[[], np.ndarray]
) -> StoredImage:
    if file.channels != 1:
        raise ValueError(f"{path}: has {file.channels} channels; give an image with one channel")
    return StoredImage((*file.size, len(ordered)), stack_affine(ordered), file.voxel_bytes, read)


def _series(folder: Path) -> list[DicomFile]:
    """Files of the one series of a folder."""
    found = [read_dicom(path) for path in dicom_files(folder)]
    if not found:
        raise ValueError(f"{folder}: a folder without DICOM images; give the folder of one series")
    others = [file.path for file in found if not file.frames]
    if others:
        raise ValueError(
            f"{others[0]}: DICOM, but no readable image of the series "
            f"({len(others)} such files); export the series again, or move the file elsewhere"
        )
    series: dict[str, list[DicomFile]] = {}
    for file in found:
        series.setdefault(file.series, []).append(file)
    if len(series) > 1:
        said = ", ".join(_described(files) for files in series.values())
        raise ValueError(f"{folder}: has {len(series)} DICOM series ({said}); keep one per folder")
    return found


def _check_of_one_scan(folder: Path, files: Sequence[DicomFile]) -> None:
    """Refuse files whose positions or intensities do not mean the same."""
    for attribute, name in OF_ONE_SCAN.items():
        said: dict[str, Path] = {}
        for file in files:
            said.setdefault(getattr(file, attribute), file.path)
        said.pop("", None)
        if len(said) > 1:
            (one, first), (other, second) = list(said.items())[:2]
            raise ValueError(
                f"{folder}: {name} is {one} in {first.name} and {other} in {second.name}; "
                f"keep the slices of one scan only"
            )


def _described(files: Sequence[DicomFile]) -> str:
    description = files[0].description.strip()
    count = f"{len(files)} file{'s' * (len(files) != 1)}"
    named = [repr(description)] if description else []
    return " ".join([f"...{files[0].series[-8:]}", *named, count])


def _files(folder: Path) -> list[Path]:
    """Files of a folder that may be slices."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file())
    return [one for one in files if not is_hidden(one) and one.name.upper() != "DICOMDIR"]


def _slice_voxels(files: Sequence[DicomFile], ordered: Sequence[Slice]) -> np.ndarray:
    """Rescaled voxels of files of one slice each, in order."""
    rescale = [one.rescale for one in ordered]
    if any(file.is_compressed for file in files):
        return decoded([file.path for file in files], len(set(rescale)) == 1)
    return _rescaled(np.concatenate([native_frames(file) for file in files]), rescale).T


def _frame_voxels(file: DicomFile, ordered: Sequence[Slice]) -> Num[np.ndarray, "X Y Z"]:
    """Rescaled voxels of the frames of a file, in order."""
    order = [one.number for one in ordered]
    is_in_order = order == sorted(order)
    if file.is_compressed:
        if len({one.rescale for one in ordered}) > 1:
            raise ValueError(
                f"{file.path}: compressed frames of different rescale slopes; save it uncompressed"
            )
        voxels = decoded([file.path])  # GDCM rescales all frames as the first
        return voxels if is_in_order else voxels[..., order]
    frames = native_frames(file)
    voxels = _rescaled(frames if is_in_order else frames[order], [one.rescale for one in ordered])
    return voxels.T


def _rescaled(
    frames: Num[np.ndarray, "Z Y X"], rescale: Sequence[tuple[float, float]]
) -> Num[np.ndarray, "Z Y X"]:
    """Stored values times slope plus intercept, integers where all of these are."""
    slopes, intercepts = np.array(rescale).T
    if (slopes == 1).all() and (intercepts == 0).all():
        return frames
    kind: np.dtype = np.dtype(np.float64)
    if frames.dtype.kind in "iu" and (np.array(rescale) % 1 == 0).all():
        largest = np.abs(slopes).max() * 2.0 ** (8 * frames.dtype.itemsize)
        if largest + np.abs(intercepts).max() < np.iinfo(np.int32).max:
            kind = np.dtype(np.int32)
    slopes, intercepts = slopes.astype(kind), intercepts.astype(kind)
    scaled = frames.astype(kind)
    scaled *= slopes[:, None, None]
    scaled += intercepts[:, None, None]
    return scaled
