"""The file that keeps how the starts of each case converged: ``convergence.csv``."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pin_lightning.common.files import write_text
from pin_lightning.evaluation.convergence import Convergence

_NUMBERS = ("radial_error_mm", "movement_mm", "spread_mm")
CONVERGENCE_COLUMNS = ("split", "case", "iteration", *_NUMBERS)


def write_convergence(path: str | Path, splits: Mapping[str, Mapping[str, Convergence]]) -> None:
    """Write one CSV row per split, case and iteration; the file appears only when complete.

    Iteration 0 is before the first. A cell is empty where its value is undefined.

    Args:
        path: The CSV file; its folder is made if absent.
        splits: By the name of the split and of the case.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CONVERGENCE_COLUMNS)
    for split, cases in splits.items():
        for case, one in cases.items():
            columns = zip(one.error_mm, one.movement_mm, one.spread_mm, strict=True)
            for iteration, numbers in enumerate(columns):
                writer.writerow([split, case, iteration, *map(_cell, numbers)])
    write_text(Path(path), text.getvalue())


def read_convergence(path: str | Path) -> dict[str, dict[str, Convergence]]:
    """What `write_convergence` wrote, by the name of the split and of the case.

    Raises:
        ValueError: The file lacks a column, or a cell is not a number.
    """
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [one for one in CONVERGENCE_COLUMNS if one not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: lacks the column {missing[0]}; give a convergence.csv")
        rows: dict[str, dict[str, list[list[float]]]] = {}
        for row in reader:
            cases = rows.setdefault(row["split"], {})
            try:
                numbers = [float("nan" if row[name] == "" else row[name]) for name in _NUMBERS]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}: {error}; mend or delete that row") from error
            cases.setdefault(row["case"], []).append(numbers)
    return {
        split: {case: Convergence(*np.array(numbers).T) for case, numbers in cases.items()}
        for split, cases in rows.items()
    }


def _cell(value: float) -> str:
    """Tenths of a micrometre are enough to draw; small files."""
    return f"{value:.4f}" if np.isfinite(value) else ""
