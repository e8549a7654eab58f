"""Cache of whole scans at coarse spacings, from which the pose stage is trained."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import UInt8

from pin_lightning.common.files import output_folder, whole_file
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.data.cases import Case
from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import READING_VERSION, stem
from pin_lightning.data.intensity_windows import DEFAULT_WINDOW
from pin_lightning.data.preprocessing import read_image
from pin_lightning.data.scan_levels import scan_levels

SCANS_VERSION = 1  # part of every file's name; increment when results change
Level = list[UInt8[torch.Tensor, "_ _ _"]]


def cached_levels(
    cases: Sequence[Case],
    spacings_mm: Sequence[float],
    cache_dir: Path,
    window: str = DEFAULT_WINDOW,
) -> list[Level]:
    """Read or make the scans of cases at each spacing, with a progress bar on a terminal.

    Raises:
        ValueError: An image cannot be read, or the folder not be written to.
    """
    output_folder("data.cache_dir", cache_dir)
    levels: list[Level] = [[] for _ in spacings_mm]
    with progress_bar(cases, "whole scans", len(cases)) as counted:
        for case in counted:
            path = _file(case.image, spacings_mm, cache_dir, window)
            made = _read(path, len(spacings_mm)) or _make(case.image, spacings_mm, path, window)
            for level, one in zip(levels, made, strict=True):
                level.append(one)
    return levels


def _file(image: Path, spacings_mm: Sequence[float], cache_dir: Path, window: str) -> Path:
    state = [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in parts(image)]
    known: tuple[Any, ...] = (str(image.resolve()), state, tuple(spacings_mm))
    known = (*known, SCANS_VERSION, READING_VERSION)
    if window != DEFAULT_WINDOW:
        known = (*known, window)
    key = hashlib.sha256(repr(known).encode()).hexdigest()[:12]
    return cache_dir / f"{stem(image)}_{key}.scan.npz"


def _read(path: Path, count: int) -> Level | None:
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            levels = [torch.from_numpy(file[name]) for name in file.files]
    except (OSError, ValueError, BadZipFile, EOFError, KeyError):
        return None
    return levels if len(levels) == count else None


def _make(image: Path, spacings_mm: Sequence[float], path: Path, window: str) -> Level:
    read = read_image(image, window)
    made = scan_levels(read.seen, read.affine, read.window, spacings_mm)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, *(one.numpy() for one in made.levels))
    return list(made.levels)
