"""What a comparison of two runs leaves: a printed table, and files where they are asked for."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pin_lightning.common.files import output_folder, write_text
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.evaluation import RADII_MM
from pin_lightning.reports.figures import plots
from pin_lightning.studies.comparison.paired import Comparison, Difference, compare
from pin_lightning.studies.comparison.plot import comparison_figure
from pin_lightning.studies.comparison.runs import pair_runs
from pin_lightning.studies.comparison.tables import (
    Labels,
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
    """Compare two runs on what both have, print it, and write it where asked.

    Args:
        path_a: Folder of a run or of a cross-validation, or a ``predictions.csv``.
        path_b: Another.
        split: Which cases: ``test`` or ``val``.
        radii_mm: Radii of the success rates, in mm.
        output: Folder of the files; none writes none.

    Raises:
        ValueError: The runs cannot be compared, or the folder cannot be written to.
    """
    if output is not None:
        output_folder("--output", output)
    paired = pair_runs(path_a, path_b, split)
    settings = (paired.names, sorted(set(radii_mm)), BootstrapSettings())
    comparison = compare(paired.a_mm, paired.b_mm, *settings)
    labels = Labels(_label(path_a), _label(path_b), split)
    console = Console()
    console.print(comparison_table(comparison, labels))
    for sentence in (verdict(comparison), *remarks(comparison), *paired.notes):
        console.print(sentence, markup=False, highlight=False)
    if output is not None:
        write_comparison(output, comparison, labels, paired.notes)
    return comparison


def _label(path: Path) -> str:
    """The last two parts of a path: a run folder is often only a date, or a number of a sweep."""
    return "/".join(path.resolve().parts[-2:])


def write_comparison(
    folder: Path, comparison: Comparison, labels: Labels, notes: Sequence[str]
) -> None:
    """Write ``comparison.csv``, ``comparison.md`` and ``comparison.png``.

    Args:
        folder: Where to.
        comparison: From `compare`.
        labels: What the runs are called.
        notes: What was left out, and the like.
    """
    write_text(folder / "comparison.csv", comparison_csv(comparison))
    write_text(folder / "comparison.md", comparison_markdown(comparison, labels, notes))
    figure = comparison_figure(comparison, f"A: {labels.a}   B: {labels.b}")
    plots.save(figure, folder / "comparison.png")


def comparison_csv(comparison: Comparison) -> str:
    """The same as CSV in full precision; a cell is empty where there is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, one in comparison.numbers.items():
        told = [comparison.told_apart] if name == "mean" else [""]
        writer.writerow(["all", name, comparison.num_cases, *_cells(one), "", "", *told])
    for name, landmark in comparison.landmarks.items():
        simultaneous = landmark.simultaneous or ("", "")
        cells = [*_cells(landmark), *simultaneous, landmark.told_apart]
        writer.writerow(["landmark", name, landmark.n, *cells])
    return text.getvalue()


def _cells(one: Difference) -> list[float | str]:
    return [one.a, one.b, one.difference, *(one.interval or ("", ""))]
