"""Predictions of annotated cases beside the truth: numbers, tables and the files that keep them."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from rich.table import Table
from rich.text import Text

from pin_lightning.files import write_text
from pin_lightning.metrics import radial_errors, success_rates, summarise

# Doubling steps, from sub-millimetre microscopy to the paper's 5 mm fetal head errors.
RADII_MM = (0.5, 1.0, 2.0, 4.0, 8.0)
TABLE_HEADER = ("Landmark", "n", "Mean", "SD", "Median", "Mean shape")

_PREDICTED, _TRUE = ("x", "y", "z"), ("true_x", "true_y", "true_z")
_MEAN_SHAPE = ("mean_shape_x", "mean_shape_y", "mean_shape_z")
_LABELS, _OTHERS = ("split", "case", "landmark"), ("spread_mm", "seconds")
_POSITIONS = (*_PREDICTED, *_TRUE, "radial_error_mm", *_MEAN_SHAPE, "mean_shape_error_mm")
CSV_COLUMNS = (*_LABELS, *_POSITIONS, *_OTHERS)
_NEEDED = (*_LABELS, *_PREDICTED, *_TRUE, *_MEAN_SHAPE, *_OTHERS)
_POINTS = ("truth_world", "predicted_world", "mean_shape_world")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was predicted for the cases of one split, in world RAS+ mm.

    Attributes:
        cases: Case names.
        names: Landmark names.
        truth_world: True positions; any value, NaN too, where undefined.
        defined: Which landmarks have a true position.
        predicted_world: Predicted positions.
        mean_shape_world: The guess that uses no image: the mean training shape.
        spread_mm: Root-mean-square distance of the starts' final positions from their mean.
        seconds: Time to predict each case.

    Raises:
        ValueError: There is no case or landmark, a name is there twice, an array has another
            shape or type, or a prediction or a defined true position is not finite.
    """

    cases: tuple[str, ...]
    names: tuple[str, ...]
    truth_world: Float64[np.ndarray, "N L 3"]
    defined: Bool[np.ndarray, "N L"]
    predicted_world: Float64[np.ndarray, "N L 3"]
    mean_shape_world: Float64[np.ndarray, "N L 3"]
    spread_mm: Float64[np.ndarray, "N L"]
    seconds: Float64[np.ndarray, " N"]

    def __post_init__(self) -> None:
        """Refuse what would make the numbers wrong without a word."""
        for kind, labels in (("cases", self.cases), ("names", self.names)):
            if not labels or len(set(labels)) != len(labels):
                raise ValueError(f"{kind}={labels}: give at least one, each only once")
        self._check_arrays()
        # Left in, such errors would drop out of the means as if undefined.
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
        shapes |= {"defined": each, "spread_mm": each, "seconds": each[:1]}
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


def metrics_of(evaluation: Evaluation) -> dict[str, Any]:
    """Numbers that sum up an evaluation, safe for JSON: None where nothing is defined.

    Errors are in mm, over all defined landmarks of all cases as in the paper's Table 2;
    ``mean_shape`` is the error of the guess that uses no image.
    """
    errors, mean_shape = evaluation.errors_mm, evaluation.mean_shape_errors_mm
    return {
        "num_cases": len(evaluation.cases),
        "radial_error_mm": {**_summary(errors, "mean", "sd", "median"), "p95": _p95(errors)},
        "mean_shape_radial_error_mm": _summary(mean_shape, "mean", "sd", "median"),
        "success_rate": _success(errors),
        "per_landmark": {
            name: {
                **_summary(errors[:, index], "n", "mean", "sd", "median"),
                "mean_shape_mean": _summary(mean_shape[:, index], "mean")["mean"],
            }
            for index, name in enumerate(evaluation.names)
        },
        "per_case": {
            case: _summary(errors[index], "mean")["mean"]
            for index, case in enumerate(evaluation.cases)
        },
        "seconds_per_volume": _summary(evaluation.seconds, "median")["median"],
    }


def _summary(values: Float64[np.ndarray, "..."], *keys: str) -> dict[str, float | int | None]:
    if not np.isfinite(values).any():
        return {key: 0 if key == "n" else None for key in keys}
    summary = summarise(values)
    return {key: summary[key] for key in keys}


def _p95(errors: Float64[np.ndarray, "N L"]) -> float | None:
    finite = errors[np.isfinite(errors)]
    return float(np.percentile(finite, 95)) if finite.size else None


def _success(errors: Float64[np.ndarray, "N L"]) -> dict[str, float | None]:
    keys = [f"within_{radius_mm:g}_mm" for radius_mm in RADII_MM]
    if not np.isfinite(errors).any():
        return dict.fromkeys(keys)
    return dict(zip(keys, success_rates(errors, RADII_MM), strict=True))


def write_predictions(path: str | Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write one CSV row per split, case and landmark; the file appears only when complete.

    Positions are world RAS+ mm. A cell is empty where its value is undefined. Numbers are
    written in full precision, so `metrics_of` gives the same numbers after `read_predictions`.

    Args:
        path: The CSV file; its folder is made if absent.
        evaluations: Evaluation of each split.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for split, evaluation in evaluations.items():
        writer.writerows([split, *row] for row in _rows(evaluation))
    write_text(Path(path), text.getvalue())


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
    )
    numbers = np.concatenate(blocks, axis=-1)
    return [
        [evaluation.cases[case], evaluation.names[landmark], *map(_cell, numbers[case, landmark])]
        for case, landmark in np.ndindex(shape)
    ]


def _cell(value: float) -> str:
    return repr(float(value)) if np.isfinite(value) else ""


def read_predictions(path: str | Path) -> dict[str, Evaluation]:
    """Evaluation of each split from a file of `write_predictions`.

    Errors are computed again from the positions; the file's own error columns are not read.

    Raises:
        ValueError: The file lacks a column, a cell is not a number, or the cases of a split
            differ in their landmarks.
    """
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: lacks the column {missing[0]}; give a predictions.csv")
        splits: dict[str, dict[str, list[dict[str, str]]]] = {}
        for row in reader:
            splits.setdefault(row["split"], {}).setdefault(row["case"], []).append(row)
    try:
        return {split: _from_rows(cases) for split, cases in splits.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _from_rows(cases: Mapping[str, list[dict[str, str]]]) -> Evaluation:
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
    )


def _numbers(
    cases: Mapping[str, list[dict[str, str]]], *columns: str
) -> Float64[np.ndarray, "N L M"]:
    cells = [[[row[column] for column in columns] for row in rows] for rows in cases.values()]
    return np.array([[[float(cell or "nan") for cell in row] for row in rows] for rows in cells])


def write_json(path: str | Path, data: Any) -> None:
    """Write data as JSON; the file appears only when complete.

    Raises:
        ValueError: The data hold NaN or infinity, which JSON does not know.
    """
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path}: JSON knows no NaN or infinity; write None instead") from error
    write_text(Path(path), text + "\n")


def error_table(metrics: Mapping[str, Any], title: str) -> Table:
    """Table of the errors in mm of each landmark and of all, for the terminal.

    Args:
        metrics: From `metrics_of`.
        title: Shown above; markup is not interpreted.
    """
    table = Table(title=Text(f"{title} (radial error, mm)"))
    for index, header in enumerate(TABLE_HEADER):
        table.add_column(header, justify="right" if index else "left", no_wrap=index > 0)
    *landmarks, everything = _table_rows(metrics)
    for row in landmarks:
        table.add_row(*map(Text, row))
    table.add_section()
    table.add_row(*map(Text, everything), style="bold")
    return table


def markdown_table(metrics: Mapping[str, Any]) -> str:
    """The same table as Markdown, ending in a newline.

    Args:
        metrics: From `metrics_of`.
    """
    rows = [TABLE_HEADER, ("---", *["---:"] * (len(TABLE_HEADER) - 1)), *_table_rows(metrics)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in escaped)


def _table_rows(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = [(name, *_table_cells(row)) for name, row in metrics["per_landmark"].items()]
    total = sum(row["n"] for row in metrics["per_landmark"].values())
    mean_shape = metrics["mean_shape_radial_error_mm"]["mean"]
    overall = {**metrics["radial_error_mm"], "n": total, "mean_shape_mean": mean_shape}
    return [*rows, ("All landmarks", *_table_cells(overall))]


def _table_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    values = [row[key] for key in ("mean", "sd", "median", "mean_shape_mean")]
    return (str(row["n"]), *("-" if value is None else f"{value:.2f}" for value in values))
