"""Ablation of the accurate model, by cross-validation.

``python benchmarks/accuracy.py data.root=DIR data.split.folds=2 trainer.max_steps=1500``

Trains every variant with the same folds and the same number of steps, then localises once more with
other settings of the same networks. Differences are paired: the same cases, drawn together. Started
again, it goes on with what is not finished.
"""

import argparse
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.table import Table

from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.conf import CONF
from pin_lightning.common.files import write_text
from pin_lightning.common.shown_table import print_table
from pin_lightning.data.survey import Survey
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.evaluation.bootstrap import cluster_interval
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.update_rules import RuleA, RuleC, UpdateRule
from pin_lightning.reports.run_report import evaluate
from pin_lightning.runs.folder import read_record
from pin_lightning.runs.folds import read_folds
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.cross_validation import cross_validate, out_of_fold
from pin_lightning.training.run import survey_data

HEADER = ("variant", "mean, mm", "median", "95th percentile", "difference (95 % interval)")
REFERENCE = "accurate"
# What is trained anew, each with one thing otherwise.
TRAINED: dict[str, list[str]] = {
    REFERENCE: ["model=shared"],
    "no augmentation": ["model=shared", "augmentation=none"],
    "patches at one spacing, 1": ["model=shared", "model.patch_spacings=[1]"],
    "samples not far from the truth": ["model=shared", "sampling.largest_voxels=3"],
    "samples not near the truth": ["model=shared", "sampling.smallest_voxels=3"],
    "a quarter of the samples on trajectories": [
        "model=shared",
        "model.trajectory_share=0.25",
        "model.trajectory_every=100",
    ],
    "no direction head": ["model=shared", "model.alpha=0"],
    "multi": ["model=multi", "data.split.val_fraction=0"],
}
Change = Callable[[Localizer, Path], None]  # of a localizer and its run folder


def starts(number: int) -> Change:
    """As many starts."""
    return lambda localizer, _: localizer.set_starts(number)


def prior(iterations: int) -> Change:
    """The prior holds for so many of the 10 iterations."""
    return lambda localizer, _: setattr(localizer, "prior_iterations", iterations)


def rule(other: UpdateRule, iterations: int) -> Change:
    """Another update rule; the prior holds for so many iterations."""

    def change(localizer: Localizer, _: Path) -> None:
        localizer.update_rule = other
        localizer.prior_iterations = iterations

    return change


def after_multi(localizer: Localizer, run_dir: Path) -> None:
    """Start where the same fold of `multi` ends; training is the same with a first stage."""
    localizer.first_stage = load_localizer(run_dir.parents[1] / "multi" / run_dir.name)[0]


# What localises otherwise with the networks of the reference.
LOCALISED: dict[str, Change] = {
    "multi, then shared": after_multi,
    "1 start": starts(1),
    "3 starts": starts(3),
    "10 starts": starts(10),
    "no prior": prior(0),
    "prior for 3 of 10 iterations": prior(3),
    "prior for all iterations": prior(10),
    "update rule A, 60 iterations": rule(RuleA(60), 36),
    "update rule C": rule(RuleC(10), 6),
}


def slug(name: str) -> str:
    """Folder of a variant."""
    return re.sub("[^a-z0-9]+", "_", name.lower())


def config_of(name: str, given: list[str], output: Path) -> DictConfig:
    """The config of a variant's cross-validation, on scans that lie in line."""
    names = ["pose=as_scanned", f"run_name={slug(name)}", f"run_dir={output / slug(name)}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("cross_validate", quote_arguments([*TRAINED[name], *given, *names]))


def trained(name: str, given: list[str], output: Path) -> np.ndarray:
    """Out-of-fold errors [N, L] in mm of a variant, trained where it is not yet."""
    logging.info("%s", name)
    folder = output / slug(name)
    cross_validate(config_of(name, given, output), folder)
    return out_of_fold(folder).errors_mm


def localised(folder: Path, surveyed: Survey, change: Change) -> np.ndarray:
    """Out-of-fold errors [N, L] in mm of trained folds that localise otherwise."""
    cases = {one.case.name: one for one in surveyed.cases}
    parts = []
    for fold in read_folds(folder):
        predictor = Predictor.load(fold)
        assert isinstance(predictor.localizer, Localizer)
        change(predictor.localizer, fold)
        test = [cases[name] for name in read_record(fold).split.test]
        parts.append(evaluate(predictor, test, fold.name)[0].errors_mm)
    return np.concatenate(parts)


def rows(errors: Mapping[str, np.ndarray], reference: str) -> Iterator[tuple[str, ...]]:
    """Cells of each variant."""
    for name, own in errors.items():
        numbers = (np.nanmean(own), np.nanmedian(own), np.nanpercentile(own, 95))
        difference = "-"
        if name != reference:
            paired = own - errors[reference]
            low, high = cluster_interval(paired, np.mean, np.random.default_rng(0))
            difference = f"{np.nanmean(paired):+.3f} ({low:+.3f} to {high:+.3f})"
        yield (name, *(f"{number:.3f}" for number in numbers), difference)


def write(
    errors: Mapping[str, np.ndarray], path: Path, title: str, reference: str = REFERENCE
) -> Table:
    """The table for the terminal; as Markdown in a file."""
    table = Table(*HEADER, title=title)
    body = list(rows(errors, reference))
    for cells in body:
        table.add_row(*cells)
    lines = (HEADER, ("---",) * len(HEADER), *body)
    markdown = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    write_text(path, f"{title}\n\n{markdown}")
    return table


def main() -> None:
    """Train, localise and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/accuracy"))
    arguments, given = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    output: Path = arguments.output
    config, surveyed, _ = survey_data(config_of(REFERENCE, given, output))
    title = f"{len(surveyed.cases)} cases, {config.data.split.folds} folds, "
    title += f"{config.trainer.max_steps} steps"
    errors = {}
    for name in TRAINED:
        errors[name] = trained(name, given, output)
        table = write(errors, output / "table.md", title)
    for name, change in LOCALISED.items():
        errors[name] = localised(output / REFERENCE, surveyed, change)
    table = write(errors, output / "table.md", title)
    print_table(table)


if __name__ == "__main__":
    main()
