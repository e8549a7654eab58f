"""Tables of all volumes: ``landmarks.csv`` and ``failed.csv``."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.files import whole_file
from pin_lightning.common.tables import as_text
from pin_lightning.inference.outputs import unlike
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed, ReviewedPose
from pin_lightning.runs.error_bars import ErrorBars

CSV_COLUMNS = ("volume", "file", "landmark", "frame", "x", "y", "z", "spread_mm", "seconds")
ERROR_BAR_COLUMNS = ("coverage", "radius_mm", "review")  # added for a run with a calibration
POSE_COLUMNS = ("pose", "pose_score", "pose_lead")  # added for a run that finds the pose
REMARKS = "remarks"  # the last column: why to look at a landmark or its volume
FAILED_COLUMNS = ("volume", "file", "reason")


@contextmanager
def landmark_table(
    path: Path, names: tuple[str, ...], error_bars: ErrorBars | None, with_pose: bool = False
) -> Iterator[Callable[[Reviewed], None]]:
    """Write predictions as they come to a CSV that appears when the block ends without an error.

    One row per volume and landmark, world RAS+ mm, without coordinates outside the scan.

    Args:
        path: The table.
        names: Landmark names.
        error_bars: Error bars of the run, if it has any: columns of their own.
        with_pose: Whether the run finds the pose: columns of how sure it is.
    """
    bar_columns = () if error_bars is None else ERROR_BAR_COLUMNS
    pose_columns = POSE_COLUMNS if with_pose else ()
    with _table(path, (*CSV_COLUMNS, *bar_columns, *pose_columns, REMARKS)) as write_row:

        def add_rows(one: Reviewed) -> None:
            bars: list[list[str]] = [[] for _ in names]
            if error_bars is not None:
                bars = error_bars.cells(one.spread_mm, one.marked)
            pose, seconds = _pose_cells(one.pose) if with_pose else [], f"{one.seconds:.3f}"
            columns = (names, one.positions_world, one.outside, one.spread_mm, bars, one.reasons)
            for name, position, outside, spread, bar, reasons in zip(*columns, strict=True):
                xyz = [""] * 3 if outside else [f"{value:.4f}" for value in position]
                named = [as_text(text) for text in (one.name, one.file, name)]
                cells = [*named, "RAS", *xyz, f"{spread:.4f}", seconds]
                write_row([*cells, *bar, *pose, "; ".join((*reasons, *unlike(one)))])

        yield add_rows


@contextmanager
def failed_table(path: Path) -> Iterator[Callable[[Failed], None]]:
    """Write what could not be predicted, as `landmark_table`; a header if nothing failed."""
    with _table(path, FAILED_COLUMNS) as write_row:

        def add_row(one: Failed) -> None:
            write_row([as_text(cell) for cell in (one.name, one.file, one.reason)])

        yield add_row


@contextmanager
def _table(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[str]], Any]]:
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield writer.writerow


def _pose_cells(pose: ReviewedPose | None) -> list[str]:
    if pose is None:
        return [""] * len(POSE_COLUMNS)
    lead = f"{pose.lead:.4f}" if np.isfinite(pose.lead) else ""
    return ["uncertain" if pose.uncertain else "sure", f"{pose.score:.4f}", lead]
