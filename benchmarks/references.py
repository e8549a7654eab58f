"""Plain ways to do the same, to compare with."""

import copy

import numpy as np
import torch
from torch import nn

from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import PaperNetwork, TwoHeadCNN


def slice_patches(volume: np.ndarray, centres: np.ndarray, side: int) -> np.ndarray:
    """NumPy slices of one volume, one landmark of one sample at a time.

    Args:
        volume: Voxels [X, Y, Z].
        centres: Patch centres in voxels [N, L, 3], clipped to the volume.
        side: Patch side P.
    """
    half = side // 2
    padded = np.pad(volume, half + 1)
    patches = np.empty((len(centres), 3 * centres.shape[1], side, side), np.float32)
    centres = np.clip(centres, 0, np.array(volume.shape) - 1)
    for n, sample in enumerate(np.floor(centres + 0.5).astype(int) + half + 1):
        for index, (x, y, z) in enumerate(sample):
            along = [slice(c - half, c + half + 1) for c in (x, y, z)]
            patches[n, 3 * index] = padded[x, along[1], along[2]]
            patches[n, 3 * index + 1] = padded[along[0], y, along[2]]
            patches[n, 3 * index + 2] = padded[along[0], along[1], z]
    return patches / 255


def plain_network(network: TwoHeadCNN) -> TwoHeadCNN:
    """A copy as one would write it: float32, PyTorch's default layout, rectified, then pooled."""
    plain = copy.deepcopy(network).float().to(memory_format=torch.contiguous_format)
    if isinstance(network, PaperNetwork):
        layers = list(plain.features)
        for index in range(1, len(layers), 3):
            layers[index], layers[index + 1] = layers[index + 1], layers[index]
        plain.features = nn.Sequential(*layers)
    return plain


@torch.no_grad()
def localise_plainly(localizer: Localizer, network: TwoHeadCNN, volume: np.ndarray) -> torch.Tensor:
    """The iteration with NumPy slices and a plain network, one start after another.

    Args:
        localizer: On the CPU.
        network: From `plain_network`.
        volume: Voxels [X, Y, Z].

    Returns:
        Predicted landmarks in grid mm [L, 3].
    """
    grid, shape_model, rule = localizer.grid, localizer.shape_model, localizer.update_rule
    ends = []
    for start in localizer.starts():
        parameters = start[None]
        for _ in range(rule.max_iterations):
            centres = grid.mm_to_ijk(shape_model.decode(parameters)).numpy()
            patches = torch.from_numpy(slice_patches(volume, centres, localizer.patch_side))
            displacement, logits = network(patches)
            unit_mm = localizer.unit_mm()
            parameters = parameters + rule.step(displacement * unit_mm, logits, grid.spacing_mm)
        ends.append(shape_model.decode(parameters)[0])
    return torch.stack(ends).mean(dim=0)
