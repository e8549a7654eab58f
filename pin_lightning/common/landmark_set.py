"""LandmarkSet: named positions, some of which may be undefined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from pin_lightning.common.spelling import one_spelling


@dataclass(frozen=True)
class LandmarkSet:
    """The landmarks of one case, in world coordinates.

    Build it with `LandmarkSet.of`, which validates names and positions.

    Attributes:
        names: One unique name per landmark, in one spelling.
        positions_world: World RAS+ mm [L, 3], NaN where a landmark is undefined.
        defined: True where a landmark has a position [L].
    """

    names: tuple[str, ...]
    positions_world: Float64[np.ndarray, "L 3"]
    defined: Bool[np.ndarray, " L"]

    @classmethod
    def of(cls, names: Sequence[str], positions_world: np.ndarray) -> "LandmarkSet":
        """Build a set from names and positions.

        Args:
            names: One unique name per landmark.
            positions_world: World RAS+ mm [L, 3], copied as float64; a landmark with a NaN or
                infinite coordinate is undefined.

        Raises:
            ValueError: A name occurs twice, or the positions are not [L, 3].

        Examples:
            >>> LandmarkSet.of(["nose", "chin"], np.array([[1, 2, 3], [np.nan] * 3])).defined
            array([ True, False])
        """
        names = tuple(map(one_spelling, names))
        positions = np.array(positions_world, dtype=np.float64)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"landmark names occur twice: {', '.join(twice)}; make each unique")
        if positions.shape != (len(names), 3):
            raise ValueError(
                f"landmark positions have shape {positions.shape}: "
                f"give ({len(names)}, 3), one row of x, y, z per name"
            )
        defined = np.asarray(np.isfinite(positions).all(axis=1))
        positions[~defined] = np.nan
        return cls(names, positions, defined)

    @property
    def defined_names(self) -> list[str]:
        """Names of the landmarks that have a position."""
        return [name for name, is_in in zip(self.names, self.defined, strict=True) if is_in]

    def select(self, names: Sequence[str]) -> "LandmarkSet":
        """Landmarks with exactly these names, in this order; absent ones are undefined.

        Raises:
            ValueError: A name is given twice.
        """
        row = {name: index for index, name in enumerate(self.names)}
        positions = np.full((len(names), 3), np.nan)
        for index, name in enumerate(map(one_spelling, names)):
            if name in row:
                positions[index] = self.positions_world[row[name]]
        return LandmarkSet.of(names, positions)

    def __len__(self) -> int:
        return len(self.names)
