"""The landmarks of many volumes in one table: ``landmarks.csv``."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pin_lightning.common.files import whole_file
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars

CSV_COLUMNS = ("volume", "file", "landmark", "frame", "x", "y", "z", "spread_mm", "seconds")
# After those, where the run has a calibration.
ERROR_BAR_COLUMNS = ("coverage", "radius_mm", "review")


@contextmanager
def landmark_table(
    path: Path, names: tuple[str, ...], error_bars: ErrorBars | None
) -> Iterator[Callable[[Reviewed], None]]:
    """A CSV to which predictions are added as they come; it appears when the block ends well.

    One row per volume and landmark, world RAS+ mm.

    Args:
        path: The file.
        names: Landmark names.
        error_bars: Of the run, none without them.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS if error_bars is None else CSV_COLUMNS + ERROR_BAR_COLUMNS)

        def add_rows(one: Reviewed) -> None:
            bars = [[] for _ in names] if error_bars is None else error_bars.cells(one)
            for row, bar in zip(_rows(one, names), bars, strict=True):
                writer.writerow([one.name, one.path, *row, f"{one.seconds:.3f}", *bar])

        yield add_rows


def _rows(one: Reviewed, names: tuple[str, ...]) -> list[list[str]]:
    return [
        [name, "RAS", *(f"{value:.4f}" for value in (*position, spread))]
        for name, position, spread in zip(names, one.positions_world, one.spread_mm, strict=True)
    ]
