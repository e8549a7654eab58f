"""The page of a prediction without truth: which volumes a person should look at first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages.page import write_page
from pin_lightning.reports.pages.tables import Cell, Column, Table, number, three_digits
from pin_lightning.reports.pages.thumbnails import MiddleSlices, Thumbnail, thumbnails
from pin_lightning.runs.doubts import Doubts, Reviewed, doubts_of
from pin_lightning.runs.error_bars import ErrorBars

PAGE = "review.html"


@dataclass(frozen=True)
class VolumeView:
    """A volume on the page.

    Attributes:
        name: Of its outputs.
        ratio: Of its most doubtful landmark, in words.
        flagged: Names of the landmarks to look at.
        pictures: Slices through the landmarks.
        table: Positions.
    """

    name: str
    ratio: str
    flagged: tuple[str, ...]
    pictures: tuple[Thumbnail, ...]
    table: Table


@dataclass
class Review:
    """Collects predictions as they come, and writes the page in the end.

    Attributes:
        names: Landmark names.
        error_bars: Of the run, none without them.
        volumes: What was predicted so far.
        failed: Volumes that could not be, with the reason.
    """

    names: tuple[str, ...]
    error_bars: ErrorBars | None
    volumes: list[Reviewed] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def add_failed(self, name: str, path: Path, reason: str) -> None:
        """Keep why a volume could not be predicted."""
        self.failed.append((name, _without_folder(reason, path)))

    def write(
        self,
        output: Path,
        grid: Grid,
        most: int,
        run: str,
        slices: Callable[[str], MiddleSlices],
    ) -> Path:
        """Write the page.

        Args:
            output: The folder it is written to.
            grid: Working grid of the run.
            most: Volumes shown at most.
            run: Name of the run.
            slices: Gives those of a volume by its name.
        """
        now = datetime.now(UTC)
        doubts = None
        if self.volumes:
            doubt_mm = np.stack([one.doubt_mm for one in self.volumes])
            doubts = doubts_of(doubt_mm, self.error_bars)
        shown = [] if doubts is None else doubts.order[:most]
        return write_page(
            output / PAGE,
            "review.html.j2",
            run=run,
            date=f"{now.day} {now:%B %Y, %H:%M} UTC",
            failed=self.failed,
            total=len(self.volumes),
            landmarks=len(self.names),
            flagged=0 if doubts is None else int(doubts.flagged.sum()),
            flagged_volumes=0 if doubts is None else int(doubts.flagged.any(axis=1).sum()),
            bars=self.error_bars,
            summary=None if doubts is None else self._summary(doubts, shown),
            volumes=[] if doubts is None else list(self._views(doubts, shown, grid, slices)),
        )

    def _summary(self, doubts: Doubts, shown: Sequence[int]) -> Table:
        """The volumes shown, in one table."""
        rows = []
        for index in shown:
            worst = int(doubts.ratio[index].argmax())
            flagged = int(doubts.flagged[index].sum())
            cells = (Cell(self.volumes[index].name), number(float(doubts.ratio[index, worst])))
            tone = "bad" if flagged else ""
            marked = Cell(str(flagged), float(flagged), tone=tone)
            doubt = number(float(self.volumes[index].doubt_mm[worst]))
            rows.append((*cells, Cell(self.names[worst]), doubt, marked))
        columns = (
            *(Column("Volume", numeric=False), Column("Times the usual")),
            *(Column("of landmark", numeric=False), Column(f"{self._kind}, mm"), Column("Flagged")),
        )
        return Table("Volumes, the most doubtful first", columns, tuple(rows), short=10)

    @property
    def _kind(self) -> str:
        return "Spread" if self.error_bars is None else "Radius"

    def _ratio(self, one: Reviewed, ratio: np.ndarray) -> str:
        """How doubtful a volume is, in words."""
        worst = int(ratio.argmax())
        if one.outside.any():
            return "A landmark lies outside the volume"
        times = three_digits(float(ratio[worst]))
        return f"{self._kind} {times} times the usual, at {self.names[worst]}"

    def _views(
        self,
        doubts: Doubts,
        shown: Sequence[int],
        grid: Grid,
        slices: Callable[[str], MiddleSlices],
    ) -> Iterator[VolumeView]:
        for index in shown:
            one, flagged = self.volumes[index], doubts.flagged[index]
            pictures = thumbnails(slices(one.name), grid, self.names, one.radius_mm, flagged)
            yield VolumeView(
                name=one.name,
                ratio=self._ratio(one, doubts.ratio[index]),
                flagged=tuple(name for name, mark in zip(self.names, flagged, strict=True) if mark),
                pictures=tuple(pictures),
                table=_positions(one, self.names, doubts.ratio[index], flagged),
            )


def _positions_mark(outside: bool, flagged: bool) -> str:
    return "outside" if outside else "look" if flagged else ""


def _without_folder(reason: str, path: Path) -> str:
    """A message in which the file is named without where it is on this machine."""
    return reason.replace(str(path), path.name)


def _positions(
    one: Reviewed, names: tuple[str, ...], ratio: np.ndarray, flagged: np.ndarray
) -> Table:
    """Positions of a volume, the most doubtful first."""
    rows = []
    for index in np.argsort(-ratio, kind="stable"):
        mark = bool(flagged[index])
        position = (Cell(f"{value:.2f}", float(value)) for value in one.positions_world[index])
        cells = [Cell(names[index]), *position, number(float(one.spread_mm[index]))]
        if one.radius_mm is not None:
            cells.append(number(float(one.radius_mm[index])))
        cells.append(number(float(ratio[index])))
        text = _positions_mark(bool(one.outside[index]), mark)
        rows.append((*cells, Cell(text, float(mark), tone="bad" if mark else "")))
    columns = (
        *(Column("Landmark", numeric=False), Column("x, mm"), Column("y, mm"), Column("z, mm")),
        *(Column("Spread, mm"), *(() if one.radius_mm is None else (Column("Radius, mm"),))),
        *(Column("Times the usual"), Column("Flagged")),
    )
    return Table(f"Landmarks of {one.name}", columns, tuple(rows), short=8)
