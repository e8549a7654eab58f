"""X axis of a plane: along a line through landmarks, or from some landmarks to others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

Vector: TypeAlias = Float64[np.ndarray, "3"]
Positions: TypeAlias = Mapping[str, Vector]  # defined landmarks by name, RAS+ mm


@dataclass(frozen=True)
class LineFit:
    """Least-squares line through landmarks, from the first towards the last of them.

    Attributes:
        names: Two or more landmarks; undefined ones are left out.

    >>> line = LineFit(("front", "back"))
    >>> line.direction({"front": np.array([0.0, 0, 0]), "back": np.array([0.0, 4, 0])}).tolist()
    [0.0, 1.0, 0.0]
    """

    names: tuple[str, ...]

    def direction(self, positions_world: Positions) -> Vector | None:
        """Unit vector along the line; None with fewer than two different positions."""
        points = _defined(self.names, positions_world)
        if len(points) < 2:
            return None
        _, lengths, directions = np.linalg.svd(points - points.mean(axis=0))
        if lengths[0] == 0:
            return None
        forwards = (points[-1] - points[0]) @ directions[0] >= 0
        return directions[0] if forwards else -directions[0]


@dataclass(frozen=True)
class MeanToMean:
    """From the mean of some landmarks to the mean of others.

    Attributes:
        start: One or more landmarks; undefined ones are left out.
        end: Likewise.
    """

    start: tuple[str, ...]
    end: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The landmarks of both ends."""
        return (*self.start, *self.end)

    def direction(self, positions_world: Positions) -> Vector | None:
        """Vector between the means; None where an end has no landmark or the means coincide."""
        start, end = _defined(self.start, positions_world), _defined(self.end, positions_world)
        if not len(start) or not len(end):
            return None
        vector = end.mean(axis=0) - start.mean(axis=0)
        return vector if vector.any() else None


XAxis: TypeAlias = LineFit | MeanToMean


def _defined(names: Sequence[str], positions_world: Positions) -> Float64[np.ndarray, "M 3"]:
    found = [positions_world[name] for name in names if name in positions_world]
    return np.array(found, dtype=np.float64).reshape(-1, 3)
