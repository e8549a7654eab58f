"""Mean of training volumes, kept in the run folder: an image like those of the training."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nibabel.filebasedimages import ImageFileError

from pin_lightning.common.files import whole_file
from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Tensor, UInt8
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.runs.folder import MEAN_VOLUME
from pin_lightning.runs.formats import damaged

MOST_CASES = 64  # more change a mean little, and would have to be read


def write_mean_volume(run_dir: Path, volumes: Sequence[Path]) -> None:
    """Write the mean of working volumes in the frame of grid mm; no random number is drawn.

    Args:
        run_dir: Run folder.
        volumes: Files of the training volumes; of many, `MOST_CASES` evenly spaced ones are taken.
    """
    count = min(len(volumes), MOST_CASES)
    chosen = [volumes[index * len(volumes) // count] for index in range(count)]
    first = load_volume(chosen[0])
    total = torch.zeros(first.intensity.shape, dtype=torch.int32)
    for path in chosen:
        total += load_volume(path).intensity
    mean = total.add_(count // 2).div_(count, rounding_mode="floor").to(torch.uint8)
    affine = np.diag([*3 * [first.grid.spacing_mm], 1.0])
    affine[:3, 3] = first.grid.ijk_to_mm(np.zeros(3))
    image = nib.Nifti1Image(mean.numpy(), affine)
    image.header.set_xyzt_units("mm")
    with whole_file(run_dir / MEAN_VOLUME) as temporary:
        temporary.write_bytes(gzip.compress(image.to_bytes(), mtime=0))  # the same file each time


def read_mean_volume(run_dir: Path, grid: Grid) -> UInt8[Tensor, "X Y Z"] | None:
    """Read the mean of the training volumes; None in a run that has none, as earlier versions.

    Raises:
        ValueError: The file is damaged, or not on the working grid.
    """
    path = run_dir / MEAN_VOLUME
    if not path.is_file():
        return None
    try:
        image: Any = nib.load(path)
        if image.shape != grid.size or image.get_data_dtype() != np.uint8:
            raise ValueError(f"{image.shape} {image.get_data_dtype()}, not {grid.size} uint8")
        return torch.from_numpy(np.asarray(image.dataobj).astype(np.uint8))
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise damaged(path, error, "remove it") from error
