"""Results of a training for its W&B run: headline numbers, tables, pictures, the page.

Only here W&B is imported, and only when there is a run to add to.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.reports.figures.case_pictures import chosen_cases
from pin_lightning.runs.folder import FIGURES, PAGE, PREDICTIONS

if TYPE_CHECKING:
    from wandb import Run

CASE_COLUMNS = ("case", "mean_mm", "max_mm", "worst_landmark", "picture")
LANDMARK_COLUMNS = ("landmark", "n", "mean_mm", "sd_mm", "median_mm", "p95_mm", "mean_shape_mm")
_KEYS = {"radial_error_mm": "mean", "sd_mm": "sd", "median_mm": "median", "p95_mm": "p95"}
_PICTURES = {"figures": "png", "animations": "gif"}


@rank_zero_only
def log_to_wandb(loggers: Sequence[Logger], run_dir: Path, metrics: Mapping[str, Any]) -> None:
    """Log the results of a run folder to each W&B run among the loggers, which are still open."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            evaluations = read_predictions(run_dir / PREDICTIONS)
            log_results(logger.experiment, run_dir, metrics, evaluations)


def log_results(
    run: "Run", run_dir: Path, metrics: Mapping[str, Any], evaluations: Mapping[str, Evaluation]
) -> None:
    """Add metrics, tables, figures, and the report page if there is one to an open W&B run."""
    import wandb

    figures = run_dir / FIGURES
    logged: dict[str, Any] = {}
    for part, evaluation in evaluations.items():
        run.summary.update(headline(metrics[part], part))
        rows = [[*row[:-1], _picture(row[-1])] for row in case_rows(evaluation, part, figures)]
        logged[f"{part}/cases"] = wandb.Table(columns=list(CASE_COLUMNS), data=rows)
        landmarks = landmark_rows(metrics[part])
        logged[f"{part}/landmarks"] = wandb.Table(columns=list(LANDMARK_COLUMNS), data=landmarks)
    for key, ending in _PICTURES.items():
        for path in sorted(figures.glob(f"*.{ending}")):
            logged[f"{key}/{path.stem}"] = _picture(path)
    if (page := run_dir / PAGE).is_file():
        logged["report"] = wandb.Html(str(page))
    if logged:
        run.log(logged)


def headline(metrics: Mapping[str, Any], part: str) -> dict[str, float]:
    """Headline numbers of a split by their keys in W&B, without those that are undefined."""
    errors, intervals = metrics["radial_error_mm"], metrics["intervals"]["radial_error_mm"]
    numbers = {name: errors[key] for name, key in _KEYS.items()}
    numbers["mean_shape_mm"] = metrics["mean_shape_radial_error_mm"]["mean"]
    # A dot in a key would be a level of nesting.
    numbers |= {key.replace(".", "_"): rate for key, rate in metrics["success_rate"].items()}
    numbers["seconds_per_volume"] = metrics["seconds_per_volume"]
    for name, key in _KEYS.items():
        if (interval := intervals.get(key)) is not None:
            stem = name.removesuffix("_mm")
            numbers |= {f"{stem}_low_mm": interval[0], f"{stem}_high_mm": interval[1]}
    return {f"{part}/{name}": value for name, value in numbers.items() if value is not None}


def case_rows(evaluation: Evaluation, part: str, figures: Path) -> Iterator[list[Any]]:
    """Rows of `CASE_COLUMNS`, worst case first, with the path of a picture or None.

    Cases without any defined landmark are left out.
    """
    pictures = {
        case: path
        for label, case in chosen_cases(evaluation).items()
        if (path := figures / f"{part}_{label}_case.png").is_file()
    }
    errors = evaluation.errors_mm
    known = np.flatnonzero(evaluation.defined.any(axis=1))
    for row in known[np.argsort(-np.nanmean(errors[known], axis=1), kind="stable")]:
        case, own = evaluation.cases[row], errors[row]
        worst = evaluation.names[np.nanargmax(own)]
        numbers = (float(np.nanmean(own)), float(np.nanmax(own)))
        yield [case, *numbers, worst, pictures.get(case)]


def landmark_rows(metrics: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of `LANDMARK_COLUMNS` from the metrics of a split."""
    keys = ("n", "mean", "sd", "median", "p95", "mean_shape_mean")
    return [[name, *(row[key] for key in keys)] for name, row in metrics["per_landmark"].items()]


def _picture(path: Path | None) -> Any:
    import wandb

    if path is None:
        return None
    return wandb.Video(str(path), format="gif") if path.suffix == ".gif" else wandb.Image(str(path))
