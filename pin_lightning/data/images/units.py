"""Units of length that a header names."""

from pathlib import Path

MILLIMETRES = ("mm", "millimeter", "millimeters", "millimetre", "millimetres")
UNSAID = ("", "?", "unknown", "none")


def check_unit(path: Path, unit: str) -> None:
    """Validate that a unit of length is the millimetre, or not said.

    Other units are refused, not converted: programs that ignore them place landmarks elsewhere.

    Raises:
        ValueError: It is another one.
    """
    if unit.strip().lower() not in (*MILLIMETRES, *UNSAID):
        raise ValueError(f"{path}: its units are {unit}; save it in millimetres")
