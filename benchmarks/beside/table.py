"""Numbers of the finished runs of each method, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pose.tables import number, with_interval

from beside.elsewhere import Elsewhere, folds_in, read_elsewhere
from beside.plan import Method, Network
from beside.training import Cost, read_cost
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import PREDICTIONS
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.sweeps.rows import Job, rows_of

HEADER = ("method", "cases", "landmarks", "mean error, mm (95 % interval)", "median, mm")
HEADER += ("95th percentile", "mean shape", "worse than it, % (95 % interval)")
HEADER += ("training, s", "s a volume", "peak, GB", "weights")


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers of a method.

    Attributes:
        name: Its name in the table.
        errors_mm: Radial errors [N, L] of the test cases of the finished folds, NaN where missing.
        mean_shape_mm: Those of the mean shape [N, L], put where the method begins.
        training_seconds: Time to train on a fold, mean over folds.
        localise_seconds: Time to find all landmarks in a volume that was read.
        peak_gb: Largest peak memory of a run.
        weights: Number of weights that were learnt, those of a pose stage among them.
    """

    name: str
    errors_mm: np.ndarray
    mean_shape_mm: np.ndarray
    training_seconds: float
    localise_seconds: float
    peak_gb: float
    weights: int

    @property
    def is_worse(self) -> np.ndarray:
        """1 where a landmark is farther off than that of the mean shape, else 0; NaN if unknown."""
        return worse(self.errors_mm, self.mean_shape_mm)

    def cells(self) -> tuple[str, ...]:
        """The row, in the order of `HEADER`."""
        errors = self.errors_mm
        return (
            self.name,
            *map(str, errors.shape),
            with_interval(errors),
            number(float(np.nanmedian(errors))),
            number(float(np.nanpercentile(errors, 95))),
            number(float(np.nanmean(self.mean_shape_mm))),
            with_interval(100 * self.is_worse, 1),
            number(self.training_seconds, 0),
            number(self.localise_seconds, 2),
            number(self.peak_gb, 2),
            f"{self.weights:,}",
        )


def worse(errors_mm: np.ndarray, mean_shape_mm: np.ndarray) -> np.ndarray:
    """1 where an error is larger than that of the mean shape, else 0; NaN where one is unknown.

    Args:
        errors_mm: Radial errors [N, L] of a method.
        mean_shape_mm: Radial errors [N, L] of the mean shape at the same landmarks.
    """
    known = np.isfinite(errors_mm) & np.isfinite(mean_shape_mm)
    return np.where(known, errors_mm > mean_shape_mm, np.nan)


def measured(method: Method) -> Measured | None:
    """Read the finished runs of a method; None without any."""
    costs = {one: _costs(one) for one in method.networks}
    folders = [one.run_dir(fold) for one, found in costs.items() for fold in found]
    all_costs = [list(found.values()) for found in costs.values() if found]
    weights = sum(_weights(network, min(found)) for network, found in costs.items() if found)
    return _joined(method.name, folders, all_costs, weights) if folders else None


def measured_elsewhere(name: str, folder: Path) -> Measured:
    """Read the finished folds of another program.

    Raises:
        ValueError: None is finished.
    """
    found = {fold: read_elsewhere(fold) for fold in folds_in(folder)}
    costs = {fold: cost for fold, cost in found.items() if cost is not None}
    if not costs:
        raise ValueError(f"others.{name}={folder}: no fold is finished; start it again")
    weights = next(iter(costs.values())).weights
    return _joined(name, list(costs), [list(costs.values())], weights)


def _joined(
    name: str,
    folders: Sequence[Path],
    costs: Sequence[Sequence[Cost | Elsewhere]],
    weights: int,
) -> Measured:
    """Join folds; each of `costs` is of the folds of one network."""
    jobs = [Job(one, name, (), read_predictions(one / PREDICTIONS)["test"]) for one in folders]
    (row,) = rows_of(jobs)
    (guess,) = rows_of([replace(one, evaluation=_guessed(one.evaluation)) for one in jobs])
    return Measured(
        name,
        row.errors_mm,
        guess.errors_mm,
        sum(float(np.mean([one.training_seconds for one in each])) for each in costs),
        row.seconds,
        max(one.peak_gb for each in costs for one in each),
        weights,
    )


def _guessed(evaluation: Evaluation) -> Evaluation:
    """The same cases, predicted by the mean shape."""
    return replace(evaluation, predicted_world=evaluation.mean_shape_world)


def _costs(network: Network) -> dict[int, Cost]:
    """What the finished folds took."""
    found = {fold: read_cost(network.run_dir(fold)) for fold in range(network.folds)}
    return {fold: one for fold, one in found.items() if one is not None}


def _weights(network: Network, fold: int) -> int:
    predictor = Predictor.load(network.run_dir(fold))
    stages = [] if predictor.locator is None else predictor.locator.ensemble.members
    return sum(one.numel() for part in (predictor.localizer, *stages) for one in part.parameters())


def rows(found: Sequence[Measured]) -> list[tuple[str, ...]]:
    """Rows of the table, the smallest mean error first."""
    return [one.cells() for one in in_order(found)]


def in_order(found: Sequence[Measured]) -> list[Measured]:
    """Methods by their mean error."""
    return sorted(found, key=lambda one: float(np.nanmean(one.errors_mm)))
