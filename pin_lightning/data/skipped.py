"""Skipped cases: selection by their errors, warnings, and the file `skipped.csv`."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.common.tables import csv_text, read_rows
from pin_lightning.data.checks.cases import Finding

log = logging.getLogger(__name__)

SKIPPED, COLUMNS = "skipped.csv", ("case", "reason")
ON_ERROR = ("refuse", "skip")


def skips_errors(on_error: object) -> bool:
    """True if ``data.on_error`` is ``skip``, False if ``refuse``; else raise ValueError."""
    if on_error not in ON_ERROR:
        raise ValueError(f"data.on_error={on_error}: give one of {', '.join(ON_ERROR)}")
    return on_error == "skip"


def errors_by_case(findings: Iterable[Finding]) -> dict[str, str]:
    """First error message of each case, without errors of the data set as a whole."""
    errors: dict[str, str] = {}
    for finding in findings:
        if finding.level == "error" and finding.case:
            errors.setdefault(finding.case, finding.message)
    return errors


def left_out_findings(skipped: Mapping[str, str]) -> list[Finding]:
    """Warnings about skipped cases, given the reasons by case."""
    return [Finding("warning", case, "", f"left out: {why}") for case, why in skipped.items()]


def count_skipped(skipped: Mapping[str, str], cases: int) -> None:
    """Log how many of the data set's cases were skipped, if any."""
    if skipped:
        said = "data.on_error=skip: %d of %d cases left out; %s says why"
        log.warning(said, len(skipped), cases, SKIPPED)


def write_skipped(run_dir: Path, skipped: Mapping[str, str]) -> None:
    """Write ``skipped.csv`` with a row per case; remove it if no case was skipped."""
    if not skipped:
        (run_dir / SKIPPED).unlink(missing_ok=True)
        return
    write_text(run_dir / SKIPPED, csv_text([COLUMNS, *skipped.items()]))


def read_skipped(run_dir: Path) -> dict[str, str]:
    """Reasons of skipping by case, from a run folder.

    Raises:
        ValueError: The file is damaged.
    """
    path = run_dir / SKIPPED
    if not path.is_file():
        return {}
    return {row["case"]: row["reason"] for row in read_rows(path, COLUMNS)}
