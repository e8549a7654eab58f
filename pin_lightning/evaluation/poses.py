"""Found poses beside those of the true landmarks: judgement, ``poses.csv``, metrics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.alignment import Pose
from pin_lightning.common.files import write_text
from pin_lightning.common.tables import csv_number, csv_text, read_rows
from pin_lightning.data.anatomy import Anatomy
from pin_lightning.method.pose.finder import FoundPose
from pin_lightning.method.pose.limits import Judged

_LABELS = ("split", "case")
_ERRORS = ("rotation_error_degrees", "position_error_mm")
_NUMBERS = (*_ERRORS, "score", "lead", "seconds")
_YES = {True: "yes", False: "no", None: ""}
CSV_COLUMNS = (*_LABELS, *_ERRORS, "score", "lead", "uncertain", "right", "seconds")


@dataclass(frozen=True)
class PoseResult:
    """The pose found in a case, compared with the one fitted to its true landmarks.

    Attributes:
        case: Case name.
        rotation_degrees: Angle between the two; NaN where the true pose is not known.
        position_mm: Mean distance of the reference landmarks placed by the two; NaN likewise.
        score: Score of the found pose.
        lead: Score of the second best pose minus that of the best; infinite without a second.
        uncertain: Whether the pose was called uncertain.
        right: Whether it is the true one, but for small errors; None where that is not known.
        seconds: Time to find it.
    """

    case: str
    rotation_degrees: float
    position_mm: float
    score: float
    lead: float
    uncertain: bool
    right: bool | None
    seconds: float

    @classmethod
    def of(
        cls,
        case: str,
        found: FoundPose,
        true: Pose | None,
        anatomy: Anatomy,
        uncertain: bool,
        seconds: float,
    ) -> "PoseResult":
        """Compare a found pose with the true one, where it is known."""
        about = (found.score, found.lead, uncertain)
        if true is None:
            return cls(case, math.nan, math.nan, *about, None, seconds)
        judged = Judged.of(found, true, anatomy.reference_mm, anatomy.extent_mm)
        apart_mm = judged.share * anatomy.extent_mm
        return cls(case, judged.degrees, apart_mm, *about, judged.is_right, seconds)


def write_poses(path: str | Path, poses: Mapping[str, Sequence[PoseResult]]) -> None:
    """Write one CSV row per split and case; no file where there is no pose."""
    rows = [[split, *_cells(one)] for split, found in poses.items() for one in found]
    if rows:
        write_text(Path(path), csv_text([CSV_COLUMNS, *rows]))


def _cells(one: PoseResult) -> list[str]:
    errors = (one.rotation_degrees, one.position_mm, one.score, one.lead)
    words = (_YES[one.uncertain], _YES[one.right])
    return [one.case, *map(csv_number, errors), *words, csv_number(one.seconds)]


def read_poses(path: str | Path) -> dict[str, list[PoseResult]]:
    """Read the poses of each split; empty without the file, as in a run without a pose stage.

    Raises:
        ValueError: The file lacks a column, or a cell is not a number.
    """
    poses: dict[str, list[PoseResult]] = {}
    if not Path(path).is_file():
        return poses
    right = {word: value for value, word in _YES.items()}
    for row in read_rows(path, CSV_COLUMNS, _NUMBERS):
        one = PoseResult(
            case=row["case"],
            rotation_degrees=row["rotation_error_degrees"],
            position_mm=row["position_error_mm"],
            score=row["score"],
            lead=math.inf if math.isnan(row["lead"]) else row["lead"],
            uncertain=row["uncertain"] != "no",
            right=right.get(row["right"]),
            seconds=row["seconds"],
        )
        poses.setdefault(row["split"], []).append(one)
    return poses


def pose_metrics(poses: Sequence[PoseResult]) -> dict[str, Any]:
    """Metrics under ``poses``, safe for JSON; empty without poses.

    Errors and counts of right and wrong are over the cases whose true pose is known.
    """
    if not poses:
        return {}
    known = [one for one in poses if one.right is not None]
    sure = [one for one in known if not one.uncertain]
    numbers = {
        "n": len(poses),
        "known": len(known),
        "right": sum(one.right is True for one in known),
        "uncertain": sum(one.uncertain for one in poses),
        "wrong_and_sure": sum(one.right is False for one in sure),
        "rotation_degrees": _summary([one.rotation_degrees for one in known]),
        "position_mm": _summary([one.position_mm for one in known]),
        "seconds": float(np.median([one.seconds for one in poses])),
    }
    return {"poses": numbers}


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"median": None, "largest": None}
    return {"median": float(np.median(values)), "largest": max(values)}
