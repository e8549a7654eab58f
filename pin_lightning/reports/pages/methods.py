"""This run, the mean shape and other methods on the same landmarks of the same cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.metrics import radial_errors
from pin_lightning.evaluation.settings import MEAN_SHAPE, OWN
from pin_lightning.runs.other_methods import OtherMethod


@dataclass(frozen=True, eq=False)
class MethodErrors:
    """Radial errors of a method, NaN where another has no position, and seconds for a volume."""

    name: str
    errors_mm: Float64[np.ndarray, "N L"]
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Errors of several methods, this run first, on the same of the `known` true landmarks."""

    methods: tuple[MethodErrors, ...]
    known: int

    @property
    def compared(self) -> int:
        """Number of landmarks that are compared, over all cases."""
        return int(np.isfinite(self.methods[0].errors_mm).sum())

    @property
    def compared_cases(self) -> int:
        """Number of cases of which a landmark is compared."""
        return int(np.isfinite(self.methods[0].errors_mm).any(axis=1).sum())

    def difference_mm(self, method: MethodErrors) -> Float64[np.ndarray, "N L"]:
        """Error of a method minus that of this run, above 0 where this run is closer."""
        return method.errors_mm - self.methods[0].errors_mm


def compare(evaluation: Evaluation, others: Sequence[OtherMethod]) -> Comparison:
    """Errors of all methods where each of them has a position.

    Raises:
        ValueError: A method has no landmark of these cases, or all methods none in common.
    """
    errors = {OWN: evaluation.errors_mm, MEAN_SHAPE: evaluation.mean_shape_errors_mm}
    seconds = {OWN: float(np.median(evaluation.seconds)), MEAN_SHAPE: None}
    for other in others:
        errors[other.name] = _errors_of(other, evaluation)
        seconds[other.name] = other.seconds
    common = np.logical_and.reduce([np.isfinite(one) for one in errors.values()])
    if others and not common.any():
        names = ", ".join(other.name for other in others)
        raise ValueError(f"report.others: {names} have no landmark in common; give fewer")
    methods = [
        MethodErrors(name, np.where(common, one, np.nan), seconds[name])
        for name, one in errors.items()
    ]
    return Comparison(tuple(methods), int(evaluation.defined.sum()))


def _errors_of(other: OtherMethod, evaluation: Evaluation) -> Float64[np.ndarray, "N L"]:
    cases, names = evaluation.cases, evaluation.names
    found_world = np.array([[other.at(case, name) for name in names] for case in cases])
    errors = radial_errors(found_world, evaluation.truth_world, evaluation.defined)
    if not np.isfinite(errors).any():
        own = next(iter(other.positions_world))
        raise ValueError(
            f"report.others.{other.name}={other.path}: has no landmark of these cases; it has "
            f"{own[1]!r} of {own[0]!r}, the run has {names[0]!r} of {cases[0]!r}"
        )
    return errors
