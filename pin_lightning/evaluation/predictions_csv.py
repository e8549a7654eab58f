"""Reading and writing ``predictions.csv``: predictions of annotated cases beside the truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.files import write_text
from pin_lightning.common.tables import csv_number, csv_text, read_rows
from pin_lightning.evaluation.evaluation import Evaluation

_PREDICTED, _TRUE = ("x", "y", "z"), ("true_x", "true_y", "true_z")
_MEAN_SHAPE = ("mean_shape_x", "mean_shape_y", "mean_shape_z")
_LABELS, _OTHERS = ("split", "case", "landmark"), ("spread_mm", "seconds")
_POSITIONS = (*_PREDICTED, *_TRUE, "radial_error_mm", *_MEAN_SHAPE, "mean_shape_error_mm")
_LATER = ("localise_seconds",)  # files of earlier versions lack it
CSV_COLUMNS = (*_LABELS, *_POSITIONS, *_OTHERS, *_LATER)
_NUMBERS = (*_PREDICTED, *_TRUE, *_MEAN_SHAPE, *_OTHERS)


def write_predictions(path: str | Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write one CSV row per split, case and landmark; the file appears only when complete.

    Positions are world RAS+ mm. A cell is empty where its value is undefined. Numbers have full
    precision, so that `metrics_of` gives the same after `read_predictions`.
    """
    rows = [[split, *row] for split, one in evaluations.items() for row in _rows(one)]
    write_text(Path(path), csv_text([CSV_COLUMNS, *rows]))


def _rows(evaluation: Evaluation) -> list[list[str]]:
    """Cells of every case and landmark, in the order of `CSV_COLUMNS` after the split."""
    shape = evaluation.defined.shape
    truth = np.where(evaluation.defined[..., None], evaluation.truth_world, np.nan)
    blocks = (
        evaluation.predicted_world,
        truth,
        evaluation.errors_mm[..., None],
        evaluation.mean_shape_world,
        evaluation.mean_shape_errors_mm[..., None],
        evaluation.spread_mm[..., None],
        np.broadcast_to(evaluation.seconds[:, None, None], (*shape, 1)),
        np.broadcast_to(evaluation.localise_seconds[:, None, None], (*shape, 1)),
    )
    numbers = np.concatenate(blocks, axis=-1)
    cases, names = evaluation.cases, evaluation.names
    return [
        [cases[case], names[landmark], *map(csv_number, numbers[case, landmark])]
        for case, landmark in np.ndindex(shape)
    ]


def read_predictions(path: str | Path) -> dict[str, Evaluation]:
    """Read the evaluation of each split from a file of `write_predictions`.

    Errors are computed anew from the positions; the error columns are not read.

    Raises:
        ValueError: The file lacks a column, a cell is not a number, or the cases of a split
            differ in their landmarks.
    """
    splits: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in read_rows(path, (*_LABELS, *_NUMBERS), (*_NUMBERS, *_LATER)):
        splits.setdefault(row["split"], {}).setdefault(row["case"], []).append(row)
    try:
        return {split: _from_rows(cases) for split, cases in splits.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _from_rows(cases: Mapping[str, list[dict[str, Any]]]) -> Evaluation:
    names = [tuple(row["landmark"] for row in rows) for rows in cases.values()]
    for case, other in zip(cases, names, strict=True):
        if other != names[0]:
            raise ValueError(f"case {case} has other landmarks than {next(iter(cases))}")
    truth_world = _numbers(cases, *_TRUE)
    return Evaluation(
        cases=tuple(cases),
        names=names[0],
        truth_world=truth_world,
        defined=np.isfinite(truth_world).all(axis=-1),
        predicted_world=_numbers(cases, *_PREDICTED),
        mean_shape_world=_numbers(cases, *_MEAN_SHAPE),
        spread_mm=_numbers(cases, "spread_mm")[..., 0],
        seconds=_numbers(cases, "seconds")[:, 0, 0],
        localise_seconds=_numbers(cases, *_LATER)[:, 0, 0],
    )


def _numbers(
    cases: Mapping[str, list[dict[str, Any]]], *columns: str
) -> Float64[np.ndarray, "N L M"]:
    return np.array([[[row[name] for name in columns] for row in rows] for rows in cases.values()])
