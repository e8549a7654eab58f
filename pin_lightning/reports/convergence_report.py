"""Convergence of the starts over the cases of each split: a file and a figure."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pin_lightning.evaluation import convergence
from pin_lightning.evaluation.convergence import Convergence
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.trajectory_plots import convergence_figure
from pin_lightning.runs.folder import CONVERGENCE, FIGURES

log = logging.getLogger(__name__)


def report_convergence(
    run_dir: Path,
    evaluations: Mapping[str, Evaluation],
    splits: Mapping[str, Mapping[str, Convergence]],
    pictures: bool = True,
) -> None:
    """Write ``convergence.csv`` and, with pictures, ``figures/SPLIT_convergence.png``.

    There is no figure of what does not iterate.

    Args:
        run_dir: Run folder, or folder of a cross-validation.
        evaluations: Evaluation of each split, for the errors of the mean shape.
        splits: Convergence by split and case.
        pictures: Whether to draw the figures.
    """
    convergence.write_convergence(run_dir / CONVERGENCE, splits)
    for split, cases in splits.items() if pictures else ():
        joined = convergence.join_convergence(list(cases.values()))
        if not convergence.iterates(joined.error_mm.shape[1] - 1):
            continue
        evaluation = evaluations[split]
        known = evaluation.defined.any(axis=1)
        mean_shape_mm = np.nanmean(evaluation.mean_shape_errors_mm[known], axis=1)
        figure = convergence_figure(joined, mean_shape_mm)
        plots.save(figure, run_dir / FIGURES / f"{split}_convergence.png")


def report_fold_convergence(
    run_dir: Path, folds: Sequence[Path], evaluation: Evaluation, pictures: bool = True
) -> None:
    """`report_convergence` of a cross-validation: each case by the fold that did not see it."""
    files = [folder / CONVERGENCE for folder in folds]
    if absent := [path for path in files if not path.is_file()]:
        log.info("%s: is missing, as in runs of earlier versions; no curves are drawn", absent[0])
        return
    splits = [convergence.read_convergence(path) for path in files]
    cases = {name: one for split in splits for name, one in split.get("test", {}).items()}
    report_convergence(run_dir, {"test": evaluation}, {"test": cases}, pictures)
