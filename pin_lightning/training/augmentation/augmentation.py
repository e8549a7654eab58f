"""Augmentation of training samples: random maps and changes of intensity."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.common.spelling import one_spelling
from pin_lightning.common.types import Float, Shaped, Tensor
from pin_lightning.training.augmentation.intensity import Intensity, IntensitySettings
from pin_lightning.training.augmentation.warps import Warp, WarpSettings

NO_WARP, NO_CHANGE = WarpSettings(), IntensitySettings()


@dataclass(frozen=True)
class Augmentation:
    """Random maps and changes of intensity, drawn for each sample.

    Attributes:
        warp: Maps that move volume and landmarks together.
        intensity: Changes of intensity.
        exchange: For each landmark the one whose place it takes in a mirrored volume; empty if the
            data declares no pairs.
    """

    warp: WarpSettings = NO_WARP
    intensity: IntensitySettings = NO_CHANGE
    exchange: tuple[int, ...] = ()

    @classmethod
    def of(cls, **settings: Any) -> "Augmentation":
        """Make an augmentation from the settings of both parts, as in `conf/augmentation`.

        >>> Augmentation.of(scale_sd=0.1, noise_sd=0.02).warp.scale_sd
        0.1
        """
        warp, intensity = (
            {one.name: settings[one.name] for one in fields(part) if one.name in settings}
            for part in (WarpSettings, IntensitySettings)
        )
        if unknown := settings.keys() - warp.keys() - intensity.keys():
            raise ValueError(f"augmentation.{min(unknown)}: there is no such setting")
        return cls(WarpSettings(**warp), IntensitySettings(**intensity))

    def for_landmarks(
        self, names: Sequence[str], pairs: Sequence[Sequence[str]] | None
    ) -> "Augmentation":
        """Set the exchange of these landmarks from the pairs that the data declares, if any.

        Raises:
            ValueError: Mirror images are asked for, and the pairs are absent or wrong.
        """
        if self.warp.flip_probability == 0:
            return self
        if pairs is None:
            raise ValueError(
                f"augmentation.flip_probability={self.warp.flip_probability}: needs "
                "data.mirror_pairs, the names of left and right landmarks; [] where there are none"
            )
        spelt = [[one_spelling(str(name)) for name in pair] for pair in pairs]
        return replace(self, exchange=exchanged_landmarks(names, spelt))

    def draw_warp(self, count: int, grid: Grid, generator: torch.Generator) -> Warp | None:
        """Draw maps of N samples; None, without a draw, if all would be the identity."""
        return None if self.warp.is_identity else self.warp.draw(count, grid, generator)

    def draw_intensity(
        self, count: int, grid: Grid, generator: torch.Generator
    ) -> Intensity | None:
        """Draw intensity changes of N samples; None, without a draw, if none is asked for."""
        return None if self.intensity.is_identity else self.intensity.draw(count, grid, generator)

    def move_landmarks(
        self, warp: Warp, landmarks_mm: Float[Tensor, "N L 3"]
    ) -> Float[Tensor, "N L 3"]:
        """Move landmarks, in grid mm, from the original to the augmented volumes.

        In a mirrored volume left looks like right, so names are exchanged.
        """
        return warp.from_original(self.exchange_sides(warp, landmarks_mm))

    def exchange_sides(
        self, warp: Warp, values: Shaped[Tensor, "N L 3"]
    ) -> Shaped[Tensor, "N L 3"]:
        """Exchange the values of left and right landmarks in mirrored samples."""
        if not self.exchange:
            return values
        return torch.where(warp.flipped[:, None, None], values[:, list(self.exchange)], values)


def exchanged_landmarks(names: Sequence[str], pairs: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Index of the landmark whose place each one takes in a mirror image, its own if in no pair.

    Pairs of other landmarks are left out.

    Raises:
        ValueError: A pair is not one, or only one of its two is among the landmarks.

    >>> exchanged_landmarks(["eyeL", "nose", "eyeR"], [("eyeL", "eyeR")])
    (2, 1, 0)
    """
    partner: dict[str, str] = {}
    for pair in pairs:
        if len(set(pair)) != 2 or len(pair) != 2 or partner.keys() & set(pair):
            raise ValueError(
                f"data.mirror_pairs: {list(pair)} is not a pair of names that occur only there"
            )
        present = [name for name in pair if name in names]
        if len(present) == 1:
            raise ValueError(
                f"data.mirror_pairs: only {present[0]} of {list(pair)} is among the landmarks; "
                "give augmentation.flip_probability=0"
            )
        partner |= {pair[0]: pair[1], pair[1]: pair[0]}
    return tuple(list(names).index(partner.get(name, name)) for name in names)
