"""Folds that another program was trained on: what it found, and what that took."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from beside.training import MEASURED
from pin_lightning.common.files import write_json
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.runs.folder import PREDICTIONS


@dataclass(frozen=True)
class Elsewhere:
    """What the training of another program took.

    Attributes:
        settings: Its settings.
        steps: Gradient steps.
        training_seconds: Time of these.
        peak_gb: Peak resident memory of its process.
        weights: Numbers that were learnt.
    """

    settings: Mapping[str, Any]
    steps: int
    training_seconds: float
    peak_gb: float
    weights: int


def folds_in(folder: Path) -> list[Path]:
    """Folders of the folds in a folder, by number.

    Raises:
        ValueError: There is none.
    """
    found = sorted(folder.glob("fold[0-9]*"), key=lambda one: int(one.name.removeprefix("fold")))
    if not found:
        raise ValueError(f"{folder}: holds no folds, as fold0; give a folder that does")
    return found


def write_elsewhere(folder: Path, measured: Elsewhere, evaluation: Evaluation) -> None:
    """Write what was found, and last what it took, which marks the fold as finished."""
    write_predictions(folder / PREDICTIONS, {"test": evaluation})
    write_json(folder / MEASURED, asdict(measured))


def read_elsewhere(folder: Path) -> Elsewhere | None:
    """What the training of a fold took; None where it is not finished."""
    path = folder / MEASURED
    return Elsewhere(**json.loads(path.read_text("utf-8"))) if path.is_file() else None
