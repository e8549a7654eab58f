"""What a run leaves to look at: metrics.json, predictions.csv, figures and a printed table."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from pin_lightning import plots
from pin_lightning.evaluation import (
    Evaluation,
    error_table,
    metrics_of,
    write_json,
    write_predictions,
)
from pin_lightning.inspection import AnnotatedCase
from pin_lightning.predictor import Prediction, Predictor
from pin_lightning.preprocessing import preprocess
from pin_lightning.run_folder import LOGS


def report(
    run_dir: Path, predictor: Predictor, parts: Mapping[str, Sequence[AnnotatedCase]]
) -> dict[str, Any]:
    """Evaluate the cases of each split, write and print the results.

    Args:
        run_dir: Where `metrics.json`, `predictions.csv` and `figures/` are written.
        predictor: The trained predictor.
        parts: Annotated cases of each split to evaluate.

    Returns:
        The contents of `metrics.json`.
    """
    evaluations = {part: evaluate(predictor, cases, part) for part, cases in parts.items()}
    metrics = {part: metrics_of(evaluation) for part, evaluation in evaluations.items()}
    write_json(run_dir / "metrics.json", metrics)
    write_predictions(run_dir / "predictions.csv", evaluations)
    if (logged := run_dir / LOGS / "metrics.csv").is_file():  # a very short run logs nothing
        plots.save(plots.training_figure(logged), run_dir / "figures/training.png")
    for part, evaluation in evaluations.items():
        figure = plots.error_figure(evaluation)
        plots.save(figure, run_dir / f"figures/{part}_errors.png")
        _case_figures(run_dir, predictor, parts[part], evaluation, part)
        Console().print(error_table(metrics[part], f"{part}: {len(parts[part])} cases"))
    return metrics


def evaluate(predictor: Predictor, cases: Sequence[AnnotatedCase], part: str) -> Evaluation:
    """Predict annotated cases from their image files and put the truth beside them."""
    paths = [annotated.case.image for annotated in cases]
    arrays = []  # not the predictions: their trajectories are large
    with closing(predictor.predict_many(paths)) as results:
        for _, found in track(results, f"evaluating {part}", len(paths), transient=True):
            if isinstance(found, ValueError):
                raise found
            shapes = (found.positions_world, found.mean_shape_world)
            arrays.append((*shapes, found.spread_mm, np.float64(found.seconds)))
    predicted_world, mean_shape_world, spread_mm, seconds = map(np.stack, zip(*arrays, strict=True))
    return Evaluation(
        cases=tuple(annotated.case.name for annotated in cases),
        names=predictor.names,
        truth_world=np.stack([annotated.landmarks.positions_world for annotated in cases]),
        defined=np.stack([annotated.landmarks.defined for annotated in cases]),
        predicted_world=predicted_world,
        mean_shape_world=mean_shape_world,
        spread_mm=spread_mm,
        seconds=seconds,
    )


def _case_figures(
    run_dir: Path,
    predictor: Predictor,
    cases: Sequence[AnnotatedCase],
    evaluation: Evaluation,
    part: str,
) -> None:
    """Three-plane views and start paths of the median and the worst case."""
    errors = evaluation.errors_mm
    order = np.argsort(np.nanmean(errors, axis=1))
    for label, index in {"median": order[(len(order) - 1) // 2], "worst": order[-1]}.items():
        annotated = cases[index]
        volume = preprocess(annotated.case.image, predictor.localizer.grid)
        prediction = predictor.localise(volume)
        title = f"{annotated.case.name}: {label} {part} case, mean error "
        title += f"{np.nanmean(errors[index]):.2f} mm"
        for name, figure in _views(
            predictor, volume.intensity.numpy(), prediction, annotated, title
        ):
            plots.save(figure, run_dir / f"figures/{part}_{label}_{name}.png")


def _views(
    predictor: Predictor,
    intensity: np.ndarray,
    prediction: Prediction,
    annotated: AnnotatedCase,
    title: str,
) -> list[tuple[str, plots.Figure]]:
    grid, names = predictor.localizer.grid, predictor.names
    path_mm = prediction.trajectory.landmarks_mm[0].double().cpu().numpy()
    predicted_mm = prediction.trajectory.prediction_mm[0].double().cpu().numpy()
    truth_ijk = grid.mm_to_ijk(annotated.landmarks_mm.double().numpy())
    shown = (intensity, grid.spacing_mm)
    case = plots.case_figure(*shown, truth_ijk, grid.mm_to_ijk(predicted_mm), names, title)
    paths = plots.trajectory_figure(*shown, grid.mm_to_ijk(path_mm), truth_ijk, names, title)
    return [("case", case), ("starts", paths)]
