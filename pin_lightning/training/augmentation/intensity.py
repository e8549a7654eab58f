"""Random changes of intensity, as between scanners, coils and settings."""

from dataclasses import dataclass

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.types import Float, Num, Tensor
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.training.augmentation.dark_side import DarkSide
from pin_lightning.training.augmentation.warped_patches import COLUMN_AXES, ROW_AXES, blocks
from pin_lightning.training.augmentation.warps import check_not_negative

BRIGHTEST = 255.0  # working volumes are 0 to 255
SHARPEST = 1e-3  # SD in voxels of a blur that is none


@dataclass(frozen=True, eq=False)
class Intensity:
    """Changes of N samples: blur, then ``bias gain x^gamma + offset`` of x in 0 to 1, then noise.

    Attributes:
        gain: Factor.
        offset: Summand.
        gamma: Exponent; this and the following are None unless asked for.
        noise: SD of the noise.
        blur: SD in voxels of a Gaussian along rows and columns of each patch.
        bias: Logarithm of a smooth factor: a polynomial of the position, from -1 to 1 between the
            faces of the volume, with the terms x, y, z, xx, yy, zz, yz, xz, xy.
        dark: What is not seen.
    """

    gain: Float[Tensor, " N"]
    offset: Float[Tensor, " N"]
    gamma: Float[Tensor, " N"] | None = None
    noise: Float[Tensor, " N"] | None = None
    blur: Float[Tensor, " N"] | None = None
    bias: Float[Tensor, "N 9"] | None = None
    dark: DarkSide | None = None

    def __getitem__(self, samples: slice) -> "Intensity":
        asked = (self.gamma, self.noise, self.blur, self.bias)
        gamma, noise, blur, bias = (None if one is None else one[samples] for one in asked)
        dark = None if self.dark is None else self.dark[samples]
        return Intensity(self.gain[samples], self.offset[samples], gamma, noise, blur, bias, dark)


@dataclass(frozen=True)
class IntensitySettings:
    """Amplitudes of intensity changes; zero is no change.

    Attributes:
        gain_sd: SD of the logarithm of a factor.
        offset_sd: SD of a summand, as a share of the brightest intensity.
        gamma_sd: SD of the logarithm of the exponent.
        noise_sd: SD of Gaussian noise over all samples, as a share of the brightest intensity; each
            sample has its own, half-normal.
        blur_sd_voxels: Root mean square of the SD of a blur; each sample has its own, half-normal.
        bias_sd: SD of each of the nine terms of the logarithm of a smooth factor, at the faces of
            the volume.
        dark_probability: Share of samples in which up to half of the volume is dark, beyond a plane
            of any direction, as where the field of view ends.

    Raises:
        ValueError: A setting is negative or not finite, or a share is above 1.
    """

    gain_sd: float = 0.0
    offset_sd: float = 0.0
    gamma_sd: float = 0.0
    noise_sd: float = 0.0
    blur_sd_voxels: float = 0.0
    bias_sd: float = 0.0
    dark_probability: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        check_not_negative(self)
        if self.dark_probability > 1:
            raise ValueError(
                f"augmentation.dark_probability={self.dark_probability}: give a share from 0 to 1"
            )

    @property
    def is_identity(self) -> bool:
        """True if every draw leaves intensities unchanged."""
        return self == IntensitySettings()

    def draw(self, count: int, grid: Grid, generator: torch.Generator) -> Intensity:
        """Draw changes of `count` samples on the device of the generator."""
        normal = torch.randn(5, count, generator=generator, device=generator.device)
        gain, offset, gamma, noise, blur = normal
        terms = torch.randn(count, 9, generator=generator, device=generator.device)
        probability = self.dark_probability
        dark = DarkSide.draw(count, probability, grid, generator) if probability > 0 else None
        return Intensity(
            (self.gain_sd * gain).exp(),
            self.offset_sd * offset,
            (self.gamma_sd * gamma).exp() if self.gamma_sd > 0 else None,
            self.noise_sd * noise.abs() if self.noise_sd > 0 else None,
            self.blur_sd_voxels * blur.abs() if self.blur_sd_voxels > 0 else None,
            self.bias_sd * terms if self.bias_sd > 0 else None,
            dark,
        )


def change_intensity(
    patches: Num[Tensor, "N C P P"],
    centres_mm: Float[Tensor, "N L 3"],
    intensity: Intensity,
    grid: Grid,
    generator: torch.Generator,
    spacing_voxels: float = 1.0,
    shard: Shard = WHOLE,
) -> Num[Tensor, "N C P P"]:
    """Change the intensities, 0 to 255, of patches; zeros, as outside the volume, stay zero.

    Of several processes each draws the noise of all samples, in the order of a single process.

    Args:
        patches: From `cut_patches` or `cut_warped_patches`.
        centres_mm: Their centres, grid mm.
        intensity: Changes of the samples.
        grid: Working grid.
        generator: Source of the noise.
        spacing_voxels: Distance of a patch's voxels, in voxels of the volume.
        shard: This process's part of the samples; each process has N.

    Returns:
        New patches in the dtype of the given ones.
    """
    steps = torch.arange(patches.shape[-1], device=patches.device) - patches.shape[-1] // 2
    steps_mm = steps * (grid.spacing_mm * spacing_voxels)
    changed = torch.empty_like(patches)
    count = len(patches) * shard.count
    for every in blocks(count, patches[0].numel(), patches.device):
        every = slice(every.start, min(every.stop, count))
        block, rows = shard.within(every)
        some, normal = intensity[block], None
        if some.noise is not None:
            size = (every.stop - every.start, *patches.shape[1:])
            normal = torch.randn(size, generator=generator, device=patches.device)[rows]
        values = _blurred(patches[block].float(), some, steps * spacing_voxels)
        there = values > 0
        if some.dark is not None:
            there &= some.dark.sees(centres_mm[block], steps_mm)
        factor = some.gain[:, None, None, None]
        if some.bias is not None:
            factor = factor * _bias_field(some.bias, centres_mm[block], steps_mm, grid)
        values = change_pointwise(values, factor, some, normal) * there
        changed[block] = values if patches.is_floating_point() else values.round_()
    return changed


def _blurred(
    values: Float[Tensor, "n C P P"], some: Intensity, steps: Num[Tensor, " P"]
) -> Float[Tensor, "n C P P"]:
    """Blur along rows and columns by matrix products, with kernels normalised at the edges."""
    if some.blur is None:
        return values
    distance = (steps[:, None] - steps) / some.blur.clamp(min=SHARPEST)[:, None, None]
    kernel = torch.exp(-0.5 * distance.square())
    kernel = (kernel / kernel.sum(dim=-1, keepdim=True))[:, None]
    return kernel @ values @ kernel.mT


def change_pointwise(
    values: Float[Tensor, "n *#rest"],
    factor: Float[Tensor, "n *#rest"],
    some: Intensity,
    normal: Float[Tensor, "n *#rest"] | None,
) -> Float[Tensor, "n *#rest"]:
    """Change intensities, 0 to 255, one by one.

    Args:
        values: Intensities of n samples, with three further axes.
        factor: Gain with the bias, of as many axes.
        some: Changes of the samples.
        normal: Standard normal noise, None for none.
    """
    values = values / BRIGHTEST
    if some.gamma is not None:
        values = values.pow_(some.gamma[:, None, None, None])
    values = values.mul_(factor).add_(some.offset[:, None, None, None])
    if some.noise is not None and normal is not None:
        values = values.addcmul_(normal, some.noise[:, None, None, None])
    return values.clamp_(0, 1).mul_(BRIGHTEST)


def _bias_field(
    bias: Float[Tensor, "n 9"],
    centres_mm: Float[Tensor, "n L 3"],
    steps_mm: Float[Tensor, " P"],
    grid: Grid,
) -> Float[Tensor, "n C P P"]:
    """Factor ``exp(q A q + b q)`` at the position q of each voxel of the patches.

    Along the axes of a plane, q changes by one coordinate each: the exponent is a term of the rows,
    a term of the columns, and a product of the two.
    """
    extent_mm = torch.tensor(grid.extent_mm, device=bias.device)
    # In halves of the extent: 1 at the faces.
    centres = centres_mm / (extent_mm / 2)
    steps = steps_mm / (extent_mm[:, None] / 2)
    linear, square = bias[:, :3], quadratic_forms(bias[:, 3:])
    slope = linear[:, None] + 2 * (square[:, None] * centres[..., None, :]).sum(-1)
    constant = (centres * (slope + linear[:, None])).sum(-1) / 2
    along = slope[..., None] * steps + square.diagonal(dim1=1, dim2=2)[:, None, :, None] * steps**2
    rows = along[:, :, ROW_AXES] + constant[:, :, None, None]
    columns = along[:, :, COLUMN_AXES]
    crossed = 2 * square[:, ROW_AXES, COLUMN_AXES]
    both = steps[ROW_AXES, :, None] * steps[COLUMN_AXES, None, :]
    exponent = rows[..., None] + columns[..., None, :]
    exponent += crossed[:, None, :, None, None] * both
    return exponent.exp_().flatten(1, 2)


def quadratic_forms(terms: Float[Tensor, "n 6"]) -> Float[Tensor, "n 3 3"]:
    """Matrices of quadratic forms with the terms xx, yy, zz, yz, xz, xy."""
    xx, yy, zz, yz, xz, xy = terms.unbind(1)
    rows = [xx, xy / 2, xz / 2, xy / 2, yy, yz / 2, xz / 2, yz / 2, zz]
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))
