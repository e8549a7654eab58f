"""Whether the starts agree on a volume about as they do on those of the training.

In a wrong place the iteration does not settle: the starts of most landmarks end apart.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pin_lightning.data.volume_cache import load_volume
from pin_lightning.method.trajectory import LandmarkLocalizer

DISAGREE = 10.0  # times the usual distance
LEAST_VOXELS = 0.02  # below which starts agree, whatever is usual
MOST_LOOKED_AT = 12  # training volumes


def usual_apart_mm(
    localizer: LandmarkLocalizer, volumes: Sequence[Path], device: torch.device
) -> float | None:
    """Measure how far apart starts usually end: the median over training volumes.

    Args:
        localizer: Trained localizer.
        volumes: Files of working volumes that trained it.
        device: Device that computes.

    Returns:
        As `Trajectory.apart_mm`, of at most `MOST_LOOKED_AT` volumes spread over the list; None
        where nothing can be said, as without several starts.
    """
    chosen = np.linspace(0, len(volumes) - 1, min(len(volumes), MOST_LOOKED_AT)).round().astype(int)
    localizer = localizer.eval().to(device)
    localizer.choose_dtype(device)
    apart = list[float]()
    for index in chosen.tolist():
        volume = load_volume(volumes[index]).intensity.to(device)
        apart.append(float(localizer(volume[None]).apart_mm[0]))
        if apart[0] == 0:  # one start, or none: the other volumes say no more
            return None
    return float(np.median(apart)) or None


def most_apart_mm(usual_mm: float, spacing_mm: float) -> float:
    """Largest distance of starts that agree.

    >>> most_apart_mm(0.01, 0.5), most_apart_mm(0.0001, 0.5)
    (0.1, 0.01)
    """
    return max(DISAGREE * usual_mm, LEAST_VOXELS * spacing_mm)


def disagreement(apart_mm: float, usual_mm: float | None, spacing_mm: float) -> str | None:
    """Say that starts disagree, or nothing where they do not.

    Args:
        apart_mm: Of the volume, as `Trajectory.apart_mm`.
        usual_mm: As `usual_apart_mm`.
        spacing_mm: Side of a working voxel.
    """
    if usual_mm is None or apart_mm <= most_apart_mm(usual_mm, spacing_mm):
        return None
    return (
        f"starts disagree: those of most landmarks end {apart_mm:.2g} mm apart, "
        f"in training {usual_mm:.2g} mm; the landmarks may be elsewhere"
    )
