"""The page of a prediction without truth: the most doubtful volumes first."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages import tables
from pin_lightning.reports.pages.page import write_page
from pin_lightning.reports.pages.tables import Cell, Table, number, three_digits
from pin_lightning.reports.pages.thumbnails import MiddleSlices, Thumbnail, thumbnails
from pin_lightning.runs.doubts import Doubts, Reviewed, ReviewedPose, doubts_of
from pin_lightning.runs.error_bars import ErrorBars

PAGE = "review.html"
MOST_NAMED = 200  # volumes that failed, or are unlike the training, on the page
SlicesOf: TypeAlias = Callable[[str], MiddleSlices | None]


@dataclass(frozen=True)
class VolumeView:
    """A volume on the page; `ratio` says how doubtful its most doubtful landmark is.

    `uncertain` says that its pose is, and so every landmark.
    """

    name: str
    ratio: str
    uncertain: bool
    flagged: tuple[str, ...]
    pictures: tuple[Thumbnail, ...]
    table: Table


@dataclass
class Named:
    """Volumes that are named, each with a text.

    Attributes:
        shown: The first ones.
        more: Number of the others.
    """

    shown: list[tuple[str, str]] = field(default_factory=list)
    more: int = 0

    def add(self, name: str, text: str) -> None:
        """Name a volume."""
        if len(self.shown) < MOST_NAMED:
            self.shown.append((name, text))
        else:
            self.more += 1


class Review:
    """Counts predictions one by one, keeps the most doubtful, and writes their page.

    Args:
        names: Landmark names.
        error_bars: Error bars of the run, None without them.
        usual_mm: Usual spread of each landmark; of no meaning with error bars.
        most: Volumes on the page.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        error_bars: ErrorBars | None,
        usual_mm: Float64[np.ndarray, " L"],
        most: int,
    ) -> None:
        self.names, self.error_bars, self.usual_mm, self.most = names, error_bars, usual_mm, most
        self.total = self.flagged = self.flagged_volumes = self.uncertain = 0
        self.failed, self.unlike = Named(), Named()
        self._with_pose = False
        self._kept = list[tuple[tuple[bool, float], int, Reviewed, Doubts]]()

    def add(self, one: Reviewed) -> None:
        """Count a volume, and keep it while it is among the most doubtful."""
        doubts = doubts_of(one, self.usual_mm, self.error_bars)
        self.total += 1
        self.flagged += int(doubts.flagged.sum())
        self.flagged_volumes += bool(doubts.flagged.any())
        self.uncertain += one.uncertain
        self._with_pose |= one.pose is not None
        if one.remarks:
            self.unlike.add(one.name, "; ".join(one.remarks))
        heapq.heappush(self._kept, (doubts.rank, -self.total, one, doubts))
        if len(self._kept) > self.most:
            heapq.heappop(self._kept)

    def add_failed(self, name: str, file: str, reason: str) -> None:
        """Note the reason why a volume could not be predicted, without the folder of its file."""
        self.failed.add(name, reason.replace(file, Path(file).name))

    def write(self, output: Path, grid: Grid, run: str, slices: SlicesOf) -> Path:
        """Write the page into a folder.

        Args:
            output: The folder.
            grid: Working grid of the run.
            run: Name of the run.
            slices: Slices of a volume by its name, if there are any.
        """
        shown = [(one, doubts) for _, _, one, doubts in sorted(self._kept, reverse=True)]
        return write_page(
            output / PAGE,
            "review.html.j2",
            run=run,
            failed=self.failed,
            unlike=self.unlike,
            total=self.total,
            uncertain=self.uncertain,
            with_pose=self._with_pose,
            landmarks=len(self.names),
            bars=self.error_bars,
            flagged=self.flagged,
            flagged_volumes=self.flagged_volumes,
            summary=self._summary(shown) if shown else None,
            volumes=[self._view(one, doubts, grid, slices) for one, doubts in shown],
        )

    def _summary(self, shown: Sequence[tuple[Reviewed, Doubts]]) -> Table:
        rows = []
        for one, doubts in shown:
            worst = int(doubts.ratio.argmax())
            row = (
                Cell(one.name),
                *([_pose_cell(one.pose)] if self._with_pose else []),
                number(float(doubts.ratio[worst])),
                Cell(tables.UNKNOWN if one.uncertain else self.names[worst]),
                number(float(one.doubt_mm[worst])),
                tables.failures(int(doubts.flagged.sum())),
            )
            rows.append(row)
        columns = (
            *tables.names("Volume", *["Pose"] * self._with_pose),
            *tables.numbers("Times the usual"),
            *(*tables.names("of landmark"), *tables.numbers(f"{self._kind}, mm", "Flagged")),
        )
        return Table("Volumes, the most doubtful first", columns, tuple(rows), short=10)

    @property
    def _kind(self) -> str:
        return "Spread" if self.error_bars is None else "Radius"

    def _ratio(self, one: Reviewed, ratio: np.ndarray) -> str:
        if one.uncertain:
            return f"The pose is uncertain ({one.pose}): every landmark may be elsewhere"
        if one.outside.any():
            return "A landmark lies outside the scan"
        times = three_digits(float(ratio.max()))
        return f"{self._kind} {times} times the usual, at {self.names[int(ratio.argmax())]}"

    def _view(self, one: Reviewed, doubts: Doubts, grid: Grid, slices: SlicesOf) -> VolumeView:
        ratio, flagged, cut = doubts.ratio, doubts.flagged, slices(one.name)
        pictures = cut and thumbnails(cut, grid, self.names, one.radius_mm, flagged)
        return VolumeView(
            name=one.name,
            uncertain=one.uncertain,
            ratio=self._ratio(one, ratio),
            flagged=tuple(name for name, mark in zip(self.names, flagged, strict=True) if mark),
            pictures=tuple(pictures or ()),
            table=_positions(one, self.names, ratio, flagged),
        )


def _positions(
    one: Reviewed, names: tuple[str, ...], ratio: np.ndarray, flagged: np.ndarray
) -> Table:
    """Positions of a volume, the most doubtful first."""
    rows = []
    near = np.zeros_like(one.outside) if one.near_border is None else one.near_border
    for index in np.argsort(-ratio, kind="stable"):
        mark = bool(flagged[index])
        outside, xyz = bool(one.outside[index]), one.positions_world[index].tolist()
        position = (_coordinate(value, outside) for value in xyz)
        cells = [Cell(names[index]), *position, number(float(one.spread_mm[index]))]
        if one.radius_mm is not None:
            cells.append(number(float(one.radius_mm[index])))
        cells.append(number(float(ratio[index])))
        text = "outside" if outside else "border" if near[index] else "look" * mark
        rows.append((*cells, Cell(text, float(mark), tone="bad" if mark else "")))
    radius = () if one.radius_mm is None else ("Radius, mm",)
    titles = ("x, mm", "y, mm", "z, mm", "Spread, mm", *radius, "Times the usual", "Flagged")
    columns = (*tables.names("Landmark"), *tables.numbers(*titles))
    return Table(f"Landmarks of {one.name}", columns, tuple(rows), short=8)


def _coordinate(value: float, outside: bool) -> Cell:
    return Cell(tables.UNKNOWN) if outside else Cell(f"{value:.2f}", float(value))


def _pose_cell(pose: ReviewedPose | None) -> Cell:
    if pose is None:
        return Cell("")
    sure = "uncertain" if pose.uncertain else "sure"
    return Cell(sure, detail=str(pose), tone="bad" if pose.uncertain else "")
