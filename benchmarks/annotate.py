"""Annotating simulated, where the truth answers for the person: which case should come next?

``python benchmarks/annotate.py data=folder data.root=DIR``

From a few annotated cases on, a model is trained, the next cases are chosen by a strategy, and so
on. For each strategy and number of annotated cases: the error on the rest, and how many points a
person would have moved by more than 0.3 mm (``moved_mm``), so far and of the rest.

Settings: ``start=5 step=5 most=null strategies=[doubt,random,diverse] seeds=3 moved_mm=0.3``,
``output=outputs/annotate``. Started again, it goes on with what is not finished. ``small=true``
takes a few small phantoms and steps, some minutes. All others are those of a training.
"""

import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from pose.given import composed, own_settings
from pose.tables import number, show
from run_data import cases_of

from pin_lightning.annotation.learning.appearance import kept_appearance
from pin_lightning.annotation.learning.diverse import form_features, most_unlike
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.poses import read_poses
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import POSES, PREDICTIONS
from pin_lightning.runs.folds import is_finished
from pin_lightning.training.run import train

OWN: dict[str, Any] = {
    **{"start": 5, "step": 5, "most": None, "seeds": 3, "moved_mm": 0.3},
    "strategies": ["doubt", "random", "diverse"],
}
SMALL = {"start": 3, "step": 2, "most": 5, "seeds": 1}
HEADER = ("strategy", "annotated", "error on the rest, mm", "of each seed")
HEADER += ("points moved so far", "to move in the rest", "of")


@dataclass(frozen=True, eq=False)
class Pool:
    """All cases of a data set.

    Attributes:
        settings: Settings of the trainings.
        cases: Cases by name.
        marks: Their true landmarks, in the order of `cases`.
        kept: Folder in which the appearance of scans is kept.
    """

    settings: Sequence[str]
    cases: dict[str, Case]
    marks: Sequence[LandmarkSet]
    kept: Path

    @classmethod
    def of(cls, settings: Sequence[str], config: DictConfig, kept: Path) -> "Pool":
        """Read all landmarks."""
        cases = {case.name: case for case in cases_of(config)}
        marks = [case.read() for case in cases.values() if case.read is not None]
        return cls(settings, cases, marks, kept)


@dataclass(frozen=True)
class Step:
    """What came of a number of annotated cases.

    Attributes:
        annotated: Their number.
        error_mm: Mean error on the rest.
        moved: Points moved so far by more than the limit, of those that were proposed.
        left: Points of the rest that are farther off than the limit, of `of`.
        of: Points of the rest.
    """

    annotated: int
    error_mm: float
    moved: int
    left: int
    of: int


def predicted(pool: Pool, annotated: Sequence[str], seed: int, run_dir: Path) -> Evaluation:
    """Predictions of all other cases, by a training on the annotated ones."""
    if not is_finished(run_dir):
        config = composed("train", ["preset=fast", *pool.settings, f"seed={seed}"], run_dir)
        rest = [name for name in pool.cases if name not in annotated]
        lists = {"train_names": list(annotated), "test_names": rest, "val_fraction": 0}
        OmegaConf.update(config, "data.split", lists)
        logging.info("%s: trained on %s", run_dir, ", ".join(annotated))
        train(config, run_dir)
    return read_predictions(run_dir / PREDICTIONS)["test"]


def doubt(evaluation: Evaluation, run_dir: Path) -> np.ndarray:
    """Doubt about each case: pose uncertain first, then the widest spread relative to its usual."""
    usual = np.maximum(np.median(evaluation.spread_mm, axis=0), 1e-6)
    widest = (evaluation.spread_mm / usual).max(axis=1)
    unsure = {one.case for one in read_poses(run_dir / POSES).get("test", []) if one.uncertain}
    return widest + 1e6 * np.array([case in unsure for case in evaluation.cases])


def chosen(
    strategy: str,
    pool: Pool,
    annotated: Sequence[str],
    found: Evaluation,
    run: Path,
    count: int,
    rng: np.random.Generator,
) -> list[str]:
    """The cases to annotate next.

    Raises:
        ValueError: There is no such strategy.
    """
    if strategy == "random":
        return [str(name) for name in rng.choice(found.cases, count, replace=False)]
    if strategy == "doubt":
        return [found.cases[place] for place in np.argsort(-doubt(found, run))[:count]]
    if strategy == "diverse":
        return diverse(pool, annotated, found, count)
    raise ValueError(f"strategies={strategy}: give doubt, random or diverse")


def diverse(pool: Pool, annotated: Sequence[str], found: Evaluation, count: int) -> list[str]:
    """The cases most unlike the annotated ones, one after the other, by predicted forms."""
    names = list(pool.cases)
    looks = [
        kept_appearance(case.image, pool.kept / f"{place}.npy")
        for place, case in enumerate(pool.cases.values())
    ]
    shapes = np.stack([one.select(found.names).positions_world for one in pool.marks])
    for case, shape in zip(found.cases, found.predicted_world, strict=True):
        shapes[names.index(case)] = shape
    blocks = [np.stack(looks), *form_features(shapes)]
    done, picked = [names.index(one) for one in annotated], list[str]()
    for _ in range(count):
        left = [place for place in range(len(names)) if place not in done]
        best = most_unlike(blocks, left, done)
        assert best is not None
        done.append(best)
        picked.append(names[best])
    return picked


def simulated(pool: Pool, strategy: str, seed: int, own: dict[str, Any]) -> list[Step]:
    """Annotate by a strategy."""
    names = sorted(pool.cases)
    order = np.random.default_rng(seed).permutation(len(names))
    annotated = [names[place] for place in order[: own["start"]]]
    most = min(own["most"] or len(names), len(names) - 1)
    steps, moved, folder = [], 0, own["output"] / f"seed{seed}"
    rng = np.random.default_rng([seed, 1])
    run = folder / f"{len(annotated)}_cases"  # the same for all strategies
    while True:
        found = predicted(pool, annotated, seed, run)
        errors = found.errors_mm
        far = errors > own["moved_mm"]
        known = int(np.isfinite(errors).sum())
        steps.append(Step(len(annotated), float(np.nanmean(errors)), moved, int(far.sum()), known))
        count = min(own["step"], most - len(annotated))
        if count <= 0:
            return steps
        picked = chosen(strategy, pool, annotated, found, run, count, rng)
        moved += int(far[[found.cases.index(one) for one in picked]].sum())
        annotated += picked
        run = folder / strategy / f"{len(annotated)}_cases"


def main() -> None:
    """Simulate and print."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    own, settings = own_settings("annotate", sys.argv[1:], {"output": "outputs/annotate", **OWN})
    if own["small"]:
        own = {**own, **SMALL}
    pool = Pool.of(settings, composed("train", settings, own["output"]), own["output"] / "looks")
    table: dict[tuple[str, int], list[Step]] = defaultdict(list)
    for seed in range(own["seeds"]):
        for strategy in own["strategies"]:
            for step in simulated(pool, strategy, seed, own):
                table[strategy, step.annotated].append(step)
            rows = [row(*key, found) for key, found in sorted(table.items())]
            title = f"preset=fast {' '.join(settings)}, {own['moved_mm']} mm, seeds 0 to {seed}"
            show(own["output"] / "annotate.md", title, HEADER, rows)


def row(strategy: str, annotated: int, steps: Sequence[Step]) -> tuple[str, ...]:
    """Cells of a strategy and a number of annotated cases, means over seeds."""
    errors = [one.error_mm for one in steps]
    means = [np.mean([getattr(one, key) for one in steps]) for key in ("moved", "left", "of")]
    each = ", ".join(map(number, errors))
    return (strategy, str(annotated), number(np.mean(errors)), each, *(f"{x:.0f}" for x in means))


if __name__ == "__main__":
    main()
