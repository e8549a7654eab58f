"""Tables of errors for the terminal and as Markdown."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

PLANE_HEADER = ("Plane", "n", "Mean °", "SD", "Median", "Mean mm", "SD", "Median")
TABLE_HEADER = ("Landmark", "n", "Mean", "SD", "Median", "Mean shape")


def error_table(metrics: Mapping[str, Any], title: str) -> Table:
    """Table of the errors in mm of each landmark and of all, for the terminal.

    Args:
        metrics: From `metrics_of`.
        title: Shown above; markup is not interpreted.
    """
    table = Table(title=Text(f"{title} (radial error, mm)"))
    for index, header in enumerate(TABLE_HEADER):
        table.add_column(header, justify="right" if index else "left", no_wrap=index > 0)
    *landmarks, everything = _table_rows(metrics)
    for row in landmarks:
        table.add_row(*map(Text, row))
    table.add_section()
    table.add_row(*map(Text, everything), style="bold")
    return table


def plane_table(metrics: Mapping[str, Any]) -> Table:
    """Table of the angles and offsets of the standard planes, for the terminal.

    Args:
        metrics: With ``planes`` of `plane_metrics`.
    """
    table = Table(title="Standard planes (angle, offset of the centre)")
    for index, header in enumerate(PLANE_HEADER):
        table.add_column(header, justify="right" if index else "left", no_wrap=index > 0)
    for name, plane in metrics["planes"].items():
        parts = (plane["angle_degrees"], plane["offset_mm"])
        values = [part[key] for part in parts for key in ("mean", "sd", "median")]
        table.add_row(Text(name), str(plane["n"]), *map(_two_places, values))
    return table


def _table_rows(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = [(name, *_table_cells(row)) for name, row in metrics["per_landmark"].items()]
    total = sum(row["n"] for row in metrics["per_landmark"].values())
    mean_shape = metrics["mean_shape_radial_error_mm"]["mean"]
    overall = {**metrics["radial_error_mm"], "n": total, "mean_shape_mean": mean_shape}
    return [*rows, ("All landmarks", *_table_cells(overall))]


def _table_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    values = [row[key] for key in ("mean", "sd", "median", "mean_shape_mean")]
    return (str(row["n"]), *map(_two_places, values))


def _two_places(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
