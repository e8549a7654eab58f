"""LandmarkSet: names, positions, which are defined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64


@dataclass(frozen=True)
class LandmarkSet:
    """The landmarks of one case, in world coordinates.

    Build it with `LandmarkSet.of`, which checks what it is given.

    Attributes:
        names: One name per landmark, no two the same.
        positions_world: World RAS+ mm [L, 3], NaN where a landmark is undefined.
        defined: Which landmarks have a position [L].
    """

    names: tuple[str, ...]
    positions_world: Float64[np.ndarray, "L 3"]
    defined: Bool[np.ndarray, " L"]

    @classmethod
    def of(cls, names: Sequence[str], positions_world: np.ndarray) -> "LandmarkSet":
        """Landmarks from names and positions; a landmark without a finite position is undefined.

        Args:
            names: One name per landmark.
            positions_world: World RAS+ mm [L, 3]; NaN or infinite means undefined.

        Returns:
            The landmarks, with positions copied as float64.

        Raises:
            ValueError: A name occurs twice, or the positions are not [L, 3].

        Examples:
            >>> LandmarkSet.of(["nose", "chin"], np.array([[1, 2, 3], [np.nan] * 3])).defined
            array([ True, False])
        """
        names, positions = tuple(names), np.array(positions_world, dtype=np.float64)
        _check(names, positions)
        defined = np.asarray(np.isfinite(positions).all(axis=1))
        positions[~defined] = np.nan
        return cls(names, positions, defined)

    def select(self, names: Sequence[str]) -> "LandmarkSet":
        """The named landmarks in the given order; a name that is absent comes undefined.

        Args:
            names: Names wanted, no two the same.

        Returns:
            A set with exactly these names.

        Raises:
            ValueError: A name is asked for twice.
        """
        row = {name: index for index, name in enumerate(self.names)}
        positions = np.full((len(names), 3), np.nan)
        for index, name in enumerate(names):
            if name in row:
                positions[index] = self.positions_world[row[name]]
        return LandmarkSet.of(names, positions)

    def __len__(self) -> int:
        return len(self.names)


def _check(names: tuple[str, ...], positions: np.ndarray) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"landmark names occur twice: {', '.join(twice)}; make each name unique")
    if positions.shape != (len(names), 3):
        raise ValueError(
            f"landmark positions have shape {positions.shape}: "
            f"give ({len(names)}, 3), one row of x, y, z per name"
        )
