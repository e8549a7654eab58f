"""Rows of measurements: a printed table, a Markdown table and a JSON file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from pin_lightning.common.shown_table import print_table

HEADER = ("what", "seconds", "floor", "x floor", "reference", "x faster", "at most")


@dataclass(frozen=True)
class Row:
    """One thing that was timed.

    Attributes:
        what: Its name.
        seconds: Median time.
        floor_seconds: Time that the machine's own ceilings would allow.
        floor: Which ceiling that is.
        reference: A plain way to do the same.
        reference_seconds: Its time in the same run.
        at_most_seconds: Target.
    """

    what: str
    seconds: float
    floor_seconds: float | None = None
    floor: str = ""
    reference: str = ""
    reference_seconds: float | None = None
    at_most_seconds: float | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADER`."""
        floor, reference, target = self.floor_seconds, self.reference_seconds, self.at_most_seconds
        said = "" if floor is None else f"{_time(floor)} ({self.floor})"
        slower = "" if reference is None else f"{self.reference}: {_time(reference)}"
        met = "" if target is None else f"{_time(target)}{'' if self.seconds <= target else ' !'}"
        return (
            self.what,
            _time(self.seconds),
            said,
            "" if floor is None else f"{self.seconds / floor:.1f}",
            slower,
            "" if reference is None else f"{reference / self.seconds:.1f}",
            met,
        )


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 0.1 else f"{seconds * 1e3:.3g} ms"


@dataclass(frozen=True)
class Fact:
    """A measured number that is not a time, such as a share or an amount of memory."""

    what: str
    value: float
    unit: str
    target: str = ""


def show(machine: dict[str, Any], rows: Sequence[Row], facts: Sequence[Fact]) -> None:
    """Print the tables."""
    table = Table(*HEADER, title=", ".join(f"{key} {value}" for key, value in machine.items()))
    for row in rows:
        table.add_row(*row.cells())
    others = Table("what", "value", "target")
    for fact in facts:
        others.add_row(fact.what, f"{fact.value:.3g} {fact.unit}", fact.target)
    print_table(table)
    print_table(others)


def write(
    folder: Path, machine: dict[str, Any], rows: Sequence[Row], facts: Sequence[Fact]
) -> None:
    """Write `bench.json` and, to be copied into RESULTS.md, `bench.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "rows": [*map(asdict, rows)], "facts": [*map(asdict, facts)]}
    (folder / "bench.json").write_text(json.dumps(content, indent=2) + "\n")
    lines = [_line(HEADER), _line(["---"] * len(HEADER)), *(_line(row.cells()) for row in rows)]
    lines += ["", _line(["what", "value", "target"]), _line(["---"] * 3)]
    lines += [_line([one.what, f"{one.value:.3g} {one.unit}", one.target]) for one in facts]
    (folder / "bench.md").write_text("\n".join(lines) + "\n")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
