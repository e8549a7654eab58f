"""Report of a comparison of two runs: a printed table, and files on request."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from pin_lightning.common.files import output_folder, write_text
from pin_lightning.common.shown_table import print_table
from pin_lightning.common.tables import csv_text
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.evaluation import RADII_MM
from pin_lightning.reports.figures import plots
from pin_lightning.studies.comparison.paired import Comparison, Difference, compare
from pin_lightning.studies.comparison.plot import comparison_figure
from pin_lightning.studies.comparison.runs import pair_runs
from pin_lightning.studies.comparison.tables import (
    comparison_markdown,
    comparison_table,
    remarks,
    verdict,
)

_NUMBERS = ("n", "a", "b", "difference", "low", "high", "simultaneous_low", "simultaneous_high")
CSV_COLUMNS = ("what", "name", *_NUMBERS, "told_apart")


def compare_runs(
    path_a: Path,
    path_b: Path,
    split: str = "test",
    radii_mm: Sequence[float] = RADII_MM,
    output: Path | None = None,
) -> Comparison:
    """Compare two runs on the cases and landmarks that both have, and print the result.

    Args:
        path_a: Folder of a run or of a cross-validation, or a ``predictions.csv``.
        path_b: Another.
        split: Cases to compare: ``test`` or ``val``.
        radii_mm: Radii of the success rates, in mm.
        output: Folder for ``comparison.csv``, ``comparison.md`` and ``comparison.png``; by default
            no files are written.

    Raises:
        ValueError: The runs cannot be compared, or the folder cannot be written to.
    """
    if output is not None:
        output_folder("--output", output)
    paired = pair_runs(path_a, path_b, split)
    settings = (paired.names, sorted(set(radii_mm)), BootstrapSettings())
    comparison = compare(paired.a_mm, paired.b_mm, *settings)
    runs = (f"A: {_label(path_a)}", f"B: {_label(path_b)}")
    heading = (*runs, f"{comparison.num_cases} {split} cases")
    console = Console()
    print_table(comparison_table(comparison, heading))
    for sentence in (verdict(comparison), *remarks(comparison), *paired.notes):
        console.print(sentence, markup=False, highlight=False)
    if output is not None:
        write_text(output / "comparison.csv", csv_text(csv_rows(comparison)))
        markdown = comparison_markdown(comparison, heading, paired.notes)
        write_text(output / "comparison.md", markdown)
        plots.save(comparison_figure(comparison, "   ".join(runs)), output / "comparison.png")
    return comparison


def _label(path: Path) -> str:
    """Last two parts of a path: a run folder is often only a date, or a number of a sweep."""
    return "/".join(path.resolve().parts[-2:])


def csv_rows(comparison: Comparison) -> Iterator[Sequence[object]]:
    """Header and rows of ``comparison.csv``; a cell is empty where there is no number."""
    yield CSV_COLUMNS
    for name, one in comparison.numbers.items():
        told = [comparison.told_apart] if name == "mean" else [""]
        yield ["all", name, comparison.num_cases, *_cells(one), "", "", *told]
    for name, landmark in comparison.landmarks.items():
        simultaneous = landmark.simultaneous or ("", "")
        cells = [*_cells(landmark), *simultaneous, landmark.told_apart]
        yield ["landmark", name, landmark.n, *cells]


def _cells(one: Difference) -> list[float | str]:
    return [one.a, one.b, one.difference, *(one.interval or ("", ""))]
