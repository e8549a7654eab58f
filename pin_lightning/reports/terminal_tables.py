"""Tables of errors for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

PLANE_HEADER = ("Plane", "n", "Mean °", "SD", "Median", "Mean mm", "SD", "Median")
POSE_HEADER = ("Poses", "Right", "Uncertain", "Sure, wrong", "Angle °", "Most", "Off mm", "Most")
ERROR_HEADER = ("Landmark", "n", "Mean", "SD", "Median", "Mean shape")


def empty_table(title: str, header: Sequence[str], wrap: bool = False) -> Table:
    """A table without rows: names on the left, then numbers, which `wrap` folds; no markup."""
    table = Table(title=Text(title))
    for index, text in enumerate(header):
        table.add_column(text, justify="right" if index else "left", no_wrap=index > 0 and not wrap)
    return table


def error_table(metrics: Mapping[str, Any], title: str) -> Table:
    """Errors in mm of each landmark and of all, from `metrics_of`."""
    table = empty_table(f"{title} (radial error, mm)", ERROR_HEADER)
    landmarks = metrics["per_landmark"]
    for name, row in landmarks.items():
        table.add_row(Text(name), *_cells(row))
    table.add_section()
    mean_shape = metrics["mean_shape_radial_error_mm"]["mean"]
    total = {"n": sum(row["n"] for row in landmarks.values()), "mean_shape_mean": mean_shape}
    table.add_row("All landmarks", *_cells(metrics["radial_error_mm"] | total), style="bold")
    return table


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield str(row["n"])
    yield from (_two_places(row[key]) for key in ("mean", "sd", "median", "mean_shape_mean"))


def plane_table(metrics: Mapping[str, Any]) -> Table:
    """Angles and offsets of the standard planes, from metrics with those of `plane_metrics`."""
    table = empty_table("Standard planes (angle, offset of the centre)", PLANE_HEADER)
    for name, plane in metrics["planes"].items():
        parts = (plane["angle_degrees"], plane["offset_mm"])
        values = [part[key] for part in parts for key in ("mean", "sd", "median")]
        table.add_row(Text(name), str(plane["n"]), *map(_two_places, values))
    return table


def pose_table(metrics: Mapping[str, Any]) -> Table:
    """Found poses beside the true ones, from metrics with those of `pose_metrics`."""
    table = empty_table("Poses (rotation, and distance of the landmarks placed)", POSE_HEADER)
    poses = metrics["poses"]
    right = f"{poses['right']} of {poses['known']}"
    counts = (str(poses["n"]), right, str(poses["uncertain"]), str(poses["wrong_and_sure"]))
    parts = (poses["rotation_degrees"], poses["position_mm"])
    values = [part[key] for part in parts for key in ("median", "largest")]
    table.add_row(*counts, *map(_two_places, values))
    return table


def _two_places(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
