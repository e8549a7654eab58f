"""The page of a prediction without truth: the most doubtful volumes first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages import tables
from pin_lightning.reports.pages.page import write_page
from pin_lightning.reports.pages.tables import Cell, Table, number, three_digits
from pin_lightning.reports.pages.thumbnails import MiddleSlices, Thumbnail, thumbnails
from pin_lightning.runs.doubts import Doubts, Reviewed, ReviewedPose, doubts_of
from pin_lightning.runs.error_bars import ErrorBars

PAGE = "review.html"


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
class Review:
    """Collects predictions one by one and writes their page.

    Attributes:
        names: Landmark names.
        error_bars: Error bars of the run, None without them.
        volumes: Predictions so far.
        failed: Volumes that could not be predicted, with the reason.
    """

    names: tuple[str, ...]
    error_bars: ErrorBars | None
    volumes: list[Reviewed] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def add_failed(self, name: str, path: Path, reason: str) -> None:
        """Note the reason why a volume could not be predicted, without the folder of its file."""
        self.failed.append((name, reason.replace(str(path), path.name)))

    def write(
        self, output: Path, grid: Grid, most: int, run: str, slices: Callable[[str], MiddleSlices]
    ) -> Path:
        """Write the page of at most so many volumes into a folder.

        `slices` gives the slices of a volume by its name, `grid` is the working grid of the run.
        """
        content: dict[str, Any] = {"flagged": 0, "flagged_volumes": 0, "summary": None}
        content["volumes"] = []
        if self.volumes:
            doubt_mm = np.stack([one.doubt_mm for one in self.volumes])
            marked = np.stack([one.marked for one in self.volumes])
            doubts = doubts_of(doubt_mm, self.error_bars, marked)
            content = {
                "flagged": int(doubts.flagged.sum()),
                "flagged_volumes": int(doubts.flagged.any(axis=1).sum()),
                "summary": self._summary(doubts, most),
                "volumes": list(self._views(doubts, most, grid, slices)),
            }
        return write_page(
            output / PAGE,
            "review.html.j2",
            run=run,
            failed=self.failed,
            unlike=[(one.name, "; ".join(one.remarks)) for one in self.volumes if one.remarks],
            total=len(self.volumes),
            uncertain=sum(one.uncertain for one in self.volumes),
            with_pose=self._with_pose,
            landmarks=len(self.names),
            bars=self.error_bars,
            **content,
        )

    def _summary(self, doubts: Doubts, most: int) -> Table:
        rows = []
        for index in doubts.order[:most]:
            one, worst = self.volumes[index], int(doubts.ratio[index].argmax())
            row = (
                Cell(one.name),
                *([_pose_cell(one.pose)] if self._with_pose else []),
                number(float(doubts.ratio[index, worst])),
                Cell(tables.UNKNOWN if one.uncertain else self.names[worst]),
                number(float(one.doubt_mm[worst])),
                tables.failures(int(doubts.flagged[index].sum())),
            )
            rows.append(row)
        columns = (
            *tables.names("Volume", *["Pose"] * self._with_pose),
            *tables.numbers("Times the usual"),
            *(*tables.names("of landmark"), *tables.numbers(f"{self._kind}, mm", "Flagged")),
        )
        return Table("Volumes, the most doubtful first", columns, tuple(rows), short=10)

    @property
    def _with_pose(self) -> bool:
        return any(one.pose is not None for one in self.volumes)

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

    def _views(
        self, doubts: Doubts, most: int, grid: Grid, slices: Callable[[str], MiddleSlices]
    ) -> Iterator[VolumeView]:
        for index in doubts.order[:most]:
            one, flagged = self.volumes[index], doubts.flagged[index]
            pictures = thumbnails(slices(one.name), grid, self.names, one.radius_mm, flagged)
            yield VolumeView(
                name=one.name,
                uncertain=one.uncertain,
                ratio=self._ratio(one, doubts.ratio[index]),
                flagged=tuple(name for name, mark in zip(self.names, flagged, strict=True) if mark),
                pictures=tuple(pictures),
                table=_positions(one, self.names, doubts.ratio[index], flagged),
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
