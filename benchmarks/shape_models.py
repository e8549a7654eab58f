"""Accuracy of shape models on shapes that they have not seen.

``python benchmarks/shape_models.py``, with real data ``... data=folder data.root=FOLDER``

Prints, for PCA and the autoencoder with as many parameters, how far the landmarks of unseen shapes
are from ``decode(encode(shape))``. Bent and usual phantoms, from few and many training shapes; real
shapes by cross-validation in five folds. Differences are paired, over the unseen shapes. No image
is read, so this is done in minutes.
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.table import Table

from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.conf import CONF
from pin_lightning.common.files import write_text
from pin_lightning.common.shown_table import print_table
from pin_lightning.common.tables import markdown
from pin_lightning.data.inspection import annotate, choose_landmarks, inspect_cases
from pin_lightning.data.preprocessing import suggest_grid
from pin_lightning.data.sources.phantom import HEAD
from pin_lightning.data.sources.phantom_anatomy import draw_head, landmarks_in_head, to_volume
from pin_lightning.data.splits import split_cases
from pin_lightning.evaluation.bootstrap import cluster_interval
from pin_lightning.method.shape_models import AutoencoderShapeModel, PCAShapeModel, ShapeModel
from pin_lightning.method.shape_models.base import SAMPLING_RANGE_SD
from pin_lightning.training.plan import training_shapes

BEND_DEGREES = 45.0
FIRST_UNSEEN, UNSEEN = 100_000, 300  # seeds of the heads that no model sees
FOLDS = 5
Pair = tuple[torch.Tensor, torch.Tensor]  # training and unseen shapes, mm
MODELS: dict[str, Callable[[int], ShapeModel]] = {
    "PCA": PCAShapeModel,
    "its linear part": lambda count: AutoencoderShapeModel(count, max_steps=0),
    "autoencoder": AutoencoderShapeModel,
}
HEADER = ("shapes", "K", *(f"{name}, mm" for name in MODELS), "autoencoder - PCA (95 % interval)")
HEADER += ("unseen shapes within 3 SD, PCA", "autoencoder")


@dataclass(frozen=True)
class Experiment:
    """Training and unseen shapes, and how many parameters to hold them by.

    Attributes:
        name: What they are.
        components: Numbers of parameters.
        pairs: Training sets with the shapes that each has not seen.
        same_unseen: Whether these are the same for all training sets; else they are other cases.
    """

    name: str
    components: Sequence[int]
    pairs: Sequence[Pair]
    same_unseen: bool


def heads(first: int, count: int, bend_degrees: float) -> torch.Tensor:
    """Landmarks [M, L, 3] of phantom heads with seeds from the first."""
    rngs = [np.random.default_rng([seed, HEAD]) for seed in range(first, first + count)]
    drawn = [draw_head(rng, bend_degrees) for rng in rngs]
    shapes = [to_volume(head, landmarks_in_head(head)) for head in drawn]
    return torch.from_numpy(np.array(shapes)).float()


def phantoms(bend_degrees: float, size: int, sets: int) -> Experiment:
    """Several training sets of one size."""
    unseen = heads(FIRST_UNSEEN, UNSEEN, bend_degrees)
    pairs = [(heads(1000 * index, size, bend_degrees), unseen) for index in range(sets)]
    kind = f"bent by {bend_degrees:g} degrees" if bend_degrees else "usual"
    name = f"{kind} phantoms, {size} training shapes"
    return Experiment(name, (4, 6, 8, 10), pairs, same_unseen=True)


def real(given: list[str]) -> Experiment:
    """Folds of a data set."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("check", quote_arguments(given))
    inspected, _ = inspect_cases(instantiate(config.data.source))
    grid, names = suggest_grid([one.header for one in inspected]), choose_landmarks(inspected)
    cases = {one.case.name: annotate(one, names, grid) for one in inspected}
    subjects = {name: one.case.subject for name, one in cases.items()}
    pairs = []
    for fold in range(FOLDS):
        split = split_cases(subjects, config.data.split.seed, 0, 0, folds=FOLDS, fold=fold)
        test = torch.stack([cases[name].landmarks_mm for name in split.test])
        whole = torch.isfinite(test).all(dim=(1, 2))  # the others have no complete truth
        train = training_shapes([cases[name] for name in split.train], names)
        pairs.append((train, test[whole]))
    name = f"{Path(config.data.root).name}, {len(cases)} cases in {FOLDS} folds"
    return Experiment(name, (4, 6, 8, 10, 12), pairs, same_unseen=False)


def held(model: ShapeModel, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Mean error of each unseen shape, mm, and whether it lies where training samples are."""
    model.fit(pair[0], (1.0, 1.0, 1.0))
    parameters = model.encode(pair[1])
    errors_mm = (model.decode(parameters) - pair[1]).norm(dim=2).mean(dim=1)
    within = (parameters.abs() <= SAMPLING_RANGE_SD * model.sd_).all(dim=1)
    return errors_mm.numpy(), within.double().numpy()


def rows(experiments: Iterable[Experiment]) -> Iterator[tuple[str, ...]]:
    """Cells of each experiment and number of parameters."""
    for one in experiments:
        join = (lambda parts: np.mean(parts, axis=0)) if one.same_unseen else np.concatenate
        for count in one.components:
            logging.info("%s, K = %d", one.name, count)
            errors, within = {}, {}
            for name, make in MODELS.items():
                parts = [held(make(count), pair) for pair in one.pairs]
                errors[name], within[name] = (join(part) for part in zip(*parts, strict=True))
            paired = errors["autoencoder"] - errors["PCA"]
            low, high = cluster_interval(paired[:, None], np.mean, np.random.default_rng(0))
            difference = f"{paired.mean():+.3f} ({low:+.3f} to {high:+.3f})"
            means = [f"{errors[name].mean():.3f}" for name in MODELS]
            shares = [f"{within[name].mean():.0%}" for name in ("PCA", "autoencoder")]
            yield (one.name, str(count), *means, difference, *shares)


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/shape_models"))
    arguments, given = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    experiments = [
        phantoms(bend, *sets) for bend in (BEND_DEGREES, 0.0) for sets in ((20, 5), (150, 2))
    ]
    experiments += [real(given)] if given else []
    table, body = Table(*HEADER), []
    for cells in rows(experiments):
        table.add_row(*cells)
        body.append(cells)
        write_text(arguments.output / "table.md", markdown(HEADER, body))
    print_table(table)


if __name__ == "__main__":
    main()
