"""Cache of working volumes on disk."""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from jaxtyping import Float64
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from pin_lightning.common.files import output_folder, remove_leftovers, whole_file
from pin_lightning.common.geometry import Grid
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.data.cases import Case
from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import READING_VERSION, stem
from pin_lightning.data.intensity_windows import DEFAULT_WINDOW
from pin_lightning.data.preprocessing import (
    NIFTI_HEADER,
    PREPROCESSING_VERSION,
    WorkingVolume,
    preprocess,
)
from pin_lightning.data.volume_facts import read_facts, write_facts

ONE_DAY = 24 * 60 * 60.0  # s
# Files of `loader=resident` with all volumes of a training, as large as those together. A training
# updates their time; old ones are removed, since they can be made again.
STACK = "stack_{}.u8"
STACKS_KEPT = 30 * ONE_DAY  # longer than a training that may map it on another machine


def load_volume(path: Path) -> WorkingVolume:
    """Memory-map a working volume that `cache_volumes` wrote (changes never reach the file).

    Raises:
        ValueError: The file was removed or damaged since.
    """
    try:
        image: Any = nib.load(path, mmap="c")
        affine = np.asarray(image.affine, dtype=np.float64)
        x, y, z = image.shape
        grid = Grid((x, y, z), float(f"{voxel_sizes(affine)[0]:.6g}"))
        intensity = torch.from_numpy(np.asarray(image.dataobj))
        return WorkingVolume(intensity=intensity, affine=affine, grid=grid, facts=read_facts(path))
    except (OSError, ValueError, ImageFileError, HeaderDataError) as error:
        raise ValueError(
            f"{path}: this working volume was removed or damaged while it was needed "
            f"({' '.join(str(error).split())}); start again, it is made anew"
        ) from error


def cache_volumes(
    cases: Sequence[Case],
    grid: Grid,
    cache_dir: Path,
    affines: Mapping[str, Float64[np.ndarray, "4 4"]] | None = None,
    window: str = DEFAULT_WINDOW,
) -> tuple[dict[str, Path], dict[str, str]]:
    """Make the working volumes that are absent or damaged, with a progress bar on a terminal.

    Programs that do so at once on one folder, on any machines, share the work: each goes through
    the volumes in an order of its own, and leaves out those that are there by then.

    Each is an uncompressed uint8 NIfTI, which 3D Slicer shows and which can be memory-mapped. Its
    name changes with the image's files, its frame, the rule of its window and the version of the
    preprocessing.

    Args:
        cases: Cases.
        grid: Working grid.
        cache_dir: Folder of the cached volumes, made if absent.
        affines: Affines of working volumes by case name; by default along the axes of the images.
        window: Rule of the intensity window, a name in `WINDOWS`.

    Returns:
        Working volume files by case name, and error messages of bad images by case name.

    Raises:
        ValueError: The folder cannot be written to.
    """
    remove_leftovers(cache_dir, ONE_DAY)  # other programs may be writing to it
    remove_leftovers(cache_dir, STACKS_KEPT, STACK.format("*"))
    made: dict[str, Path | str] = {}
    shuffled = random.SystemRandom().sample(cases, len(cases))
    with progress_bar(shuffled, "working volumes", len(cases)) as counted:
        for case in counted:
            affine = None if affines is None else affines[case.name]
            made[case.name] = _cached(case, grid, affine, cache_dir, window)
    in_order = [(case.name, made[case.name]) for case in cases]
    files = {name: one for name, one in in_order if isinstance(one, Path)}
    return files, {name: one for name, one in in_order if isinstance(one, str)}


def _cached(
    case: Case,
    grid: Grid,
    affine: Float64[np.ndarray, "4 4"] | None,
    cache_dir: Path,
    window: str,
) -> Path | str:
    """File of a working volume, made where it is not there, or what is wrong with the image."""
    try:
        target = _cache_file(case.image, grid, affine, cache_dir, window)
        volume = None if _is_whole(target, grid) else preprocess(case.image, grid, affine, window)
    except ValueError as error:
        return str(error)
    if volume is not None:
        _save(volume, target)
    return target


def _cache_file(
    path: Path,
    grid: Grid,
    affine: Float64[np.ndarray, "4 4"] | None,
    cache_dir: Path,
    window: str,
) -> Path:
    try:
        state = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in parts(path)]
    except OSError as error:
        reason = "no such file" if not path.exists() else error.strerror
        raise ValueError(
            f"{path}: cannot be read as an image ({reason}); check the file"
        ) from error
    known: tuple[Any, ...] = (str(path.resolve()), state, grid.size, grid.spacing_mm)
    known = (*known, PREPROCESSING_VERSION, READING_VERSION)
    if affine is not None:
        known = (*known, affine.round(6).tolist())
    if window != DEFAULT_WINDOW:  # so that volumes of the old rule keep their names
        known = (*known, window)
    key = hashlib.sha256(repr(known).encode()).hexdigest()[:12]
    return cache_dir / f"{stem(path)}_{key}.nii"


def _is_whole(target: Path, grid: Grid) -> bool:
    """True if a cached file exists with all its voxels and its facts."""
    if not target.is_file() or target.stat().st_size != NIFTI_HEADER + math.prod(grid.size):
        return False
    try:
        read_facts(target)
    except (ValueError, HeaderDataError):
        return False
    return True


def _save(volume: WorkingVolume, target: Path) -> None:
    output_folder("data.cache_dir", target.parent)
    image = nib.Nifti1Image(volume.intensity.numpy(), volume.affine)
    image.header.set_xyzt_units("mm")
    write_facts(image.header, volume.facts)
    try:
        with whole_file(target) as temporary:
            nib.save(image, temporary)
    except OSError as error:
        raise ValueError(
            f"data.cache_dir={target.parent}: cannot be written to ({error.strerror}); "
            f"give another folder"
        ) from error
