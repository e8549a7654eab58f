"""Landmarks as BIDS tables: tab-separated, ``n/a`` where there is nothing, columns described."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pin_lightning.common.tables import as_text
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.outputs import unlike
from pin_lightning.runs.doubts import Reviewed

NOTHING = "n/a"
OUTSIDE, REVIEW, FOUND = "outside", "review", "found"
FRAME = "World coordinates of the scan as its header gives them: x to the right, y to the front, "
FRAME += "z to the top (RAS+)."


def columns_of(header: PredictionHeader) -> list[str]:
    """Columns of the table of an image."""
    radius = [] if header.calibration is None else ["radius_mm"]
    return ["label", "x", "y", "z", "spread_mm", *radius, "status", "remarks"]


def rows_of(one: Reviewed, header: PredictionHeader) -> Iterator[list[str]]:
    """Rows of an image, one for each landmark: RAS+ mm, and no numbers outside the scan."""
    bars, marked = header.error_bars, one.marked.tolist()
    cells: list[list[str]] = [[] for _ in header.names]
    if bars is not None:
        judged = bars.cells(one.spread_mm, one.marked)
        cells = [[radius] for _, radius, _ in judged]
        marked = [review == "yes" for *_, review in judged]
    columns = (header.names, one.positions_world, one.spread_mm, cells, one.outside, marked)
    for (name, xyz, spread, bar, outside, look), reasons in zip(
        zip(*columns, strict=True), one.reasons, strict=True
    ):
        numbers = [*(f"{value:.4f}" for value in xyz), f"{spread:.4f}", *bar]
        if outside:
            numbers = [NOTHING] * len(numbers)
        status = OUTSIDE if outside else REVIEW if look else FOUND
        yield [as_text(name), *numbers, status, "; ".join((*reasons, *unlike(one)))]


def tsv_line(cells: Iterable[str]) -> str:
    r"""A line of a table; a cell has no tab or line break, and is not empty.

    >>> tsv_line(["a\tb", ""])
    'a b\tn/a\n'
    """
    return "\t".join(" ".join(cell.split()) or NOTHING for cell in cells) + "\n"


def tsv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A whole table."""
    return "".join(map(tsv_line, [columns, *rows]))


def described(header: PredictionHeader) -> dict[str, Any]:
    """What a sidecar says of the columns and of the coordinate system."""
    axes = ("left (-) to right (+)", "back (-) to front (+)", "bottom (-) to top (+)")
    columns: dict[str, Any] = {"label": {"Description": "Name of the landmark."}}
    for axis, way in zip("xyz", axes, strict=True):
        columns[axis] = {"Description": f"Position from {way}.", "Units": "mm"}
    spread = "Root-mean-square distance of the ends of the starts from their mean."
    columns["spread_mm"] = {"Description": spread, "Units": "mm"}
    if header.calibration is not None:
        share = f"{100 * header.calibration.settings.coverage:g} %"
        radius = f"Radius about the position that holds the true landmark in {share} of cases."
        columns["radius_mm"] = {"Description": radius, "Units": "mm"}
    columns["status"] = {
        "Description": "Whether there is a position.",
        "Levels": {
            FOUND: "There is one.",
            REVIEW: "There is one, and a person should look at it.",
            OUTSIDE: "There is none: the landmark lies outside the scan.",
        },
    }
    columns["remarks"] = {"Description": "Why to look at the landmark or its image."}
    return {
        "AnatomicalLandmarkCoordinateSystem": "ScanRAS",
        "AnatomicalLandmarkCoordinateUnits": "mm",
        "AnatomicalLandmarkCoordinateSystemDescription": FRAME,
        **columns,
    }
