"""Predictions of annotated cases beside their true positions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from pin_lightning.evaluation.metrics import radial_errors

# Doubling steps, from sub-millimetre microscopy to the paper's 5 mm fetal head errors.
RADII_MM = (0.5, 1.0, 2.0, 4.0, 8.0)
_POINTS = ("truth_world", "predicted_world", "mean_shape_world")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions for the cases of one split, in world RAS+ mm.

    Attributes:
        cases: Case names.
        names: Landmark names.
        truth_world: True positions; any value, also NaN, where undefined.
        defined: True where a landmark has a true position.
        predicted_world: Predicted positions.
        mean_shape_world: The guess before localisation: the mean shape, where its pose is.
        spread_mm: Root-mean-square distance of the starts' final positions from their mean.
        seconds: Time to predict each case, from its file.
        localise_seconds: Time of the localisation alone; NaN where unknown.

    Raises:
        ValueError: There is no case or landmark, a name occurs twice, an array has another shape or
            type, or a prediction or a defined true position is not finite.
    """

    cases: tuple[str, ...]
    names: tuple[str, ...]
    truth_world: Float64[np.ndarray, "N L 3"]
    defined: Bool[np.ndarray, "N L"]
    predicted_world: Float64[np.ndarray, "N L 3"]
    mean_shape_world: Float64[np.ndarray, "N L 3"]
    spread_mm: Float64[np.ndarray, "N L"]
    seconds: Float64[np.ndarray, " N"]
    localise_seconds: Float64[np.ndarray, " N"]

    def __post_init__(self) -> None:
        for kind, labels in (("cases", self.cases), ("names", self.names)):
            if not labels or len(set(labels)) != len(labels):
                raise ValueError(f"{kind}={labels}: give at least one, each only once")
        self._check_arrays()
        # Otherwise such errors would be left out of the means as if undefined.
        self._check_finite("predicted_world", np.ones_like(self.defined))
        self._check_finite("truth_world", self.defined)

    @property
    def errors_mm(self) -> Float64[np.ndarray, "N L"]:
        """Radial errors of the predictions, NaN where undefined."""
        return radial_errors(self.predicted_world, self.truth_world, self.defined)

    @property
    def mean_shape_errors_mm(self) -> Float64[np.ndarray, "N L"]:
        """Radial errors of the mean shape, NaN where undefined."""
        return radial_errors(self.mean_shape_world, self.truth_world, self.defined)

    def _check_arrays(self) -> None:
        each = (len(self.cases), len(self.names))
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_POINTS, (*each, 3))
        shapes |= {"defined": each, "spread_mm": each}
        shapes |= {"seconds": each[:1], "localise_seconds": each[:1]}
        for name, shape in shapes.items():
            value, kind = getattr(self, name), "bool" if name == "defined" else "float64"
            if value.shape != shape or value.dtype != kind:
                raise ValueError(f"{name}: is {value.dtype} {value.shape}, give {kind} {shape}")

    def _check_finite(self, name: str, needed: Bool[np.ndarray, "N L"]) -> None:
        missing = needed & ~np.isfinite(getattr(self, name)).all(axis=-1)
        if missing.any():
            case, landmark = np.argwhere(missing)[0]
            raise ValueError(
                f"{name}: {self.names[landmark]} of {self.cases[case]} is not finite "
                f"({missing.sum()} such positions); check the network and the annotation"
            )


def join_cases(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Join the cases of several evaluations, in their order.

    Raises:
        ValueError: The list is empty, landmarks differ, or a case occurs twice.
    """
    if not evaluations:
        raise ValueError("evaluations: there is none to join; give at least one")
    names = evaluations[0].names
    for one in evaluations:
        if one.names != names:
            raise ValueError(
                f"landmarks {', '.join(one.names)} and {', '.join(names)} differ; "
                f"join evaluations of the same landmarks"
            )
    arrays = (*_POINTS, "defined", "spread_mm", "seconds", "localise_seconds")
    return Evaluation(
        cases=tuple(case for one in evaluations for case in one.cases),
        names=names,
        **{key: np.concatenate([getattr(one, key) for one in evaluations]) for key in arrays},
    )
