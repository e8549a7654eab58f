"""What a server says of a finished training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pin_lightning.annotation.learning.improvement import Position, improvement
from pin_lightning.annotation.volumes import volume_id
from pin_lightning.data.skipped import read_skipped
from pin_lightning.evaluation.contradictions import Contradiction
from pin_lightning.evaluation.contradictions_csv import read_contradictions
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folder import CONTRADICTIONS, PREDICTIONS
from pin_lightning.runs.folds import read_folds


def result_of(run_dir: Path, earlier: Mapping[str, Mapping[str, Position]]) -> dict[str, Any]:
    """Numbers and text about a finished cross-validation, safe for JSON.

    Args:
        run_dir: Its folder.
        earlier: Of corrected cases, positions that were predicted before.

    Raises:
        ValueError: A file of it is damaged.
    """
    found = improvement(read_predictions(run_dir / PREDICTIONS)["test"], earlier)
    contradictions = read_contradictions(run_dir / CONTRADICTIONS)
    left_out = {case: why for one in read_folds(run_dir) for case, why in read_skipped(one).items()}
    result: dict[str, Any] = {"text": found.text, "cases": found.num_cases}
    result["out_of_fold_mm"] = found.error_mm
    if found.moved:
        result["moved_points"] = found.moved
        result["moved_points_before_mm"] = found.mean_mm("before")
        result["moved_points_now_mm"] = found.mean_mm("after")
    if contradictions:
        result["annotations_to_check"] = len(contradictions)
    if left_out:
        result["left_out"] = ", ".join(left_out)
    corrected = [
        {
            **{"id": volume_id(one.case), "name": one.case, "moved": one.moved},
            **{"before_mm": one.moved_before_mm, "now_mm": one.moved_after_mm},
            "all_points_now_mm": one.after_mm,
        }
        for one in found.cases
    ]
    return {
        **result,
        "corrected": corrected,
        "contradictions": [contradiction_json(one) for one in contradictions],
        "left_out_reasons": left_out,
    }


def contradiction_json(one: Contradiction) -> dict[str, Any]:
    """A contradiction with the id of its volume."""
    return {
        **{"id": volume_id(one.case), "name": one.case, "kind": one.kind},
        "landmarks": list(one.landmarks),
        "error_mm": list(one.error_mm),
        "limit_mm": list(one.limit_mm),
        "message": one.message,
    }
