"""U-Nets of whole volumes (MONAI's), and the spacing at which these fit into memory."""

import math
from collections.abc import Mapping, Sequence

from torch import nn

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Num, Tensor
from pin_lightning.method.pyramid import coarser_size

RESIDUAL_UNITS = 2
KERNEL = 3  # side of the convolutions of a U-Net


def factor_for(grid: Grid, most_voxels: int) -> int:
    """Smallest spacing, in voxels, of which a volume has no more than some number of voxels.

    >>> factor_for(Grid((324, 207, 279), 0.5), 300_000)
    4
    """
    factor = 1
    while math.prod(coarser_size(grid.size, factor)) > most_voxels:
        factor += 1
    return factor


def unet(
    widths: Sequence[int], features: int, norm: str | tuple[str, Mapping[str, int]]
) -> nn.Module:
    """U-Net with residual units that gives features at full resolution.

    Args:
        widths: Feature maps at full, half, quarter, ... resolution; the last two have the same.
        features: Number of features.
        norm: Normalisation, as MONAI names it.
    """
    from monai.networks.nets import UNet

    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=features,
        channels=list(widths),
        strides=strides_of(widths),
        kernel_size=KERNEL,
        up_kernel_size=KERNEL,
        num_res_units=RESIDUAL_UNITS,
        act="LEAKYRELU",
        norm=norm,
    )


def strides_of(widths: Sequence[int]) -> list[int]:
    """Strides between the resolutions of a U-Net; their product must divide the sides."""
    return [1, *[2] * (len(widths) - 2)]


def padded(
    volumes: Num[Tensor, "B X Y Z"], multiple: int, kernel: int = KERNEL
) -> Float[Tensor, "B 1 X2 Y2 Z2"]:
    """Volumes of 0 to 255 as input of a network: 0 to 1, with zeros after each axis.

    Args:
        volumes: The volumes.
        multiple: Sides become multiples of it.
        kernel: So many of them at least: where a 3D convolution is wider than its input, PyTorch
            2.13 (oneDNN) reads its gradients in bfloat16 from memory that nobody wrote.
    """
    sides = [max(kernel, math.ceil(side / multiple)) * multiple for side in volumes.shape[1:]]
    after = [side - own for side, own in zip(sides, volumes.shape[1:], strict=True)]
    padding = [one for more in after[::-1] for one in (0, more)]  # of the last axis first
    return nn.functional.pad(volumes.float() / 255, padding)[:, None]
