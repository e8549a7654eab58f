"""Skipped cases: selection by their errors, warnings, and the file `skipped.csv`."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from pin_lightning.common.files import write_text
from pin_lightning.data.checks.cases import Finding

log = logging.getLogger(__name__)

SKIPPED = "skipped.csv"
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
        log.warning(
            "data.on_error=skip: %d of %d cases left out; %s says why",
            *(len(skipped), cases, SKIPPED),
        )


def write_skipped(run_dir: Path, skipped: Mapping[str, str]) -> None:
    """Write ``skipped.csv`` with a row per case; remove it if no case was skipped."""
    if not skipped:
        (run_dir / SKIPPED).unlink(missing_ok=True)
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("case", "reason"), *skipped.items()])
    write_text(run_dir / SKIPPED, text.getvalue())


def read_skipped(run_dir: Path) -> dict[str, str]:
    """Reasons of skipping by case, from a run folder.

    Raises:
        ValueError: The file is damaged.
    """
    path = run_dir / SKIPPED
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return {row["case"]: row["reason"] for row in csv.DictReader(file)}
        except (KeyError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path}: is damaged ({error}); restore or delete it") from error
