"""What working volumes of a training look like, and in which respects a new one does not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from scipy import ndimage

from pin_lightning.data.preprocessing import WorkingVolume

BINS = 16  # of the grey values 0 to 255
MOST_VOXELS = 2**20  # looked at
DETAIL = 5  # voxels along the side of the neighbourhood that a voxel is compared with
# How far beyond the range of the training cases a trait may lie: a part of that range, and a least
# distance, larger the fewer the training cases: by 1 + `FEW` / their number.
PART_OF_RANGE = 0.5
LEAST, FEW = {"shares": 0.13, "roughness": 0.1, "detail": 0.4}, 2.0
SCALE_TIMES = 5.0  # ratio of widths of windows that are not one scale
FEWEST_FOR_SCALE = 5  # training cases that show whether they have one
LARGEST = 1e30  # of a number in a record


@dataclass(frozen=True)
class Traits:
    """Traits of a working volume.

    Attributes:
        low: Lower end of its intensity window, in the units of the file.
        high: Upper end.
        shares: Of the voxels that are not black, those in the first 1, 2, ... 15 of 16 bins of
            grey values.
        roughness: Mean difference of neighbouring voxels, relative to the mean deviation from the
            mean: near 1.4 for noise, small for smooth anatomy.
        detail: Skewness of the difference of a voxel and its neighbourhood: positive if small
            things are bright, negative if they are dark.
    """

    low: float
    high: float
    shares: tuple[float, ...]
    roughness: float
    detail: float

    @classmethod
    def of(cls, volume: WorkingVolume) -> "Traits":
        """Measure the traits of a working volume."""
        grey = _thinned(volume.intensity)
        seen = grey > 0  # padding and what lies outside the image are black
        counts = np.histogram(grey[seen], BINS, (0, 256))[0]
        shares = np.cumsum(counts)[:-1] / max(counts.sum(), 1)
        facts = volume.facts
        texture = (_roughness(grey, seen), _detail(grey, seen))
        return cls(facts.low, facts.high, tuple(shares.round(4).tolist()), *texture)


@dataclass(frozen=True)
class UsualImages:
    """Range of the traits of the training cases.

    Attributes:
        num_cases: Number of training cases.
        least: Smallest value of each trait.
        most: Largest value of each.
    """

    num_cases: int
    least: Traits
    most: Traits

    @classmethod
    def of(cls, traits: Sequence[Traits]) -> "UsualImages":
        """Ranges over at least one case."""
        return cls(len(traits), _extreme(traits, np.min), _extreme(traits, np.max))

    @classmethod
    def merged(cls, several: Sequence["UsualImages"]) -> "UsualImages":
        """Ranges over the cases of several trainings; the number is that of the largest."""
        ranges = cls.of([end for one in several for end in (one.least, one.most)])
        return cls(max(one.num_cases for one in several), ranges.least, ranges.most)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "UsualImages":
        """Read plain values.

        Raises:
            ValueError: A number is missing, not finite, or beyond any use.
        """
        number = content["num_cases"]
        if type(number) is not int or number < 1:
            raise ValueError(f"training_images.num_cases={str(number)[:80]}")
        return cls(number, *(_traits(content[end]) for end in ("least", "most")))


def _extreme(traits: Sequence[Traits], end: Any) -> Traits:
    def over(name: str) -> float:
        return float(end([getattr(one, name) for one in traits]))

    shares = tuple(float(one) for one in end([one.shares for one in traits], axis=0))
    return Traits(over("low"), over("high"), shares, over("roughness"), over("detail"))


def unlike_training(traits: Traits, usual: UsualImages) -> list[str]:
    """Say in which respects a volume is unlike those of the training, one line each.

    Args:
        traits: Those of the volume, preprocessed as in the training.
        usual: Ranges of the training cases.
    """
    said = []
    if _other_scale(traits, usual):
        said.append(
            f"intensities: window {traits.low:.4g} to {traits.high:.4g}, "
            f"in training {usual.least.low:.4g} to {usual.most.high:.4g}"
        )
    margins = {name: (1 + FEW / usual.num_cases) * least for name, least in LEAST.items()}
    least, most = (np.array(end.shares) for end in (usual.least, usual.most))
    bright = _beyond(np.array(traits.shares), least, most, margins["shares"])
    detail = _beyond(traits.detail, usual.least.detail, usual.most.detail, margins["detail"])
    if detail and np.sign(traits.detail) == -np.sign(usual.least.detail + usual.most.detail):
        said.append("contrast: inverted, small things are dark that are bright in training")
        if traits.detail > 0:
            said[-1] = "contrast: inverted, small things are bright that are dark in training"
    elif bright.any() or detail:
        side = "darker" if (np.array(traits.shares) - (least + most) / 2).sum() > 0 else "brighter"
        said.append(f"contrast: other shares of grey values, {side} than in training")
    ends = (usual.least.roughness, usual.most.roughness)
    if _beyond(traits.roughness, *ends, margins["roughness"]):
        kind = "noisier" if traits.roughness > ends[1] else "smoother"
        said.append(f"texture: {kind} than in training")
    return said


def _other_scale(traits: Traits, usual: UsualImages) -> bool:
    """Tell whether the window is of another scale, where all training cases have the same one."""
    narrow, wide = usual.least.high - usual.most.low, usual.most.high - usual.least.low
    if usual.num_cases < FEWEST_FOR_SCALE or narrow <= 0 or wide > SCALE_TIMES * narrow:
        return False
    width = traits.high - traits.low
    shifted = traits.high < usual.least.low or traits.low > usual.most.high
    return shifted or not narrow / SCALE_TIMES <= width <= wide * SCALE_TIMES


def _beyond(value: Any, least: Any, most: Any, margin: float) -> Any:
    margins = np.maximum(PART_OF_RANGE * (most - least), margin)
    return (value < least - margins) | (value > most + margins)


def _thinned(intensity: UInt8[torch.Tensor, "X Y Z"]) -> Float32[np.ndarray, "_ _ _"]:
    """Take the middle of a large volume, of at most `MOST_VOXELS`."""
    grey = intensity.numpy()
    share = min(1.0, (MOST_VOXELS / grey.size) ** (1 / 3))
    sizes = [max(1, int(share * side)) for side in grey.shape]
    starts = [(side - size) // 2 for side, size in zip(grey.shape, sizes, strict=True)]
    middle = tuple(slice(at, at + size) for at, size in zip(starts, sizes, strict=True))
    return grey[middle].astype(np.float32)


def _roughness(grey: Float32[np.ndarray, "X Y Z"], seen: Bool[np.ndarray, "X Y Z"]) -> float:
    if not seen.any():
        return 0.0
    deviation = float(np.abs(grey[seen] - grey[seen].mean()).mean())
    steps = []
    for axis in range(3):
        here, there = (np.moveaxis(one, axis, 0) for one in (grey, seen))
        both = there[1:] & there[:-1]
        steps.append(np.abs(here[1:] - here[:-1])[both])
    every = np.concatenate(steps)
    return round(float(every.mean()) / max(deviation, 1e-6), 4) if every.size else 0.0


def _detail(grey: Float32[np.ndarray, "X Y Z"], seen: Bool[np.ndarray, "X Y Z"]) -> float:
    sums, near = (ndimage.uniform_filter(one, DETAIL) for one in (grey, seen.astype(np.float32)))
    difference = (grey - sums / np.maximum(near, 1e-3))[seen]  # to neighbours that are not black
    if difference.size == 0 or (spread := float(difference.std())) < 1e-6:
        return 0.0
    skewness = float((((difference - difference.mean()) / spread) ** 3).mean())
    return round(math.copysign(min(abs(skewness), LARGEST), skewness), 4)


def _traits(content: Mapping[str, Any]) -> Traits:
    shares = tuple(float(one) for one in content["shares"])
    numbers = [float(content[name]) for name in ("low", "high", "roughness", "detail")]
    if len(shares) != BINS - 1 or not all(0 <= one <= 1 for one in shares):
        raise ValueError(f"training_images.shares={str(shares)[:80]}")
    if not all(abs(one) <= LARGEST for one in numbers):
        raise ValueError(f"training_images={str(numbers)[:80]}")
    return Traits(numbers[0], numbers[1], shares, numbers[2], numbers[3])
