"""The end of a program: one line for each failure, and exit code 2."""

import sys
from contextlib import ExitStack
from typing import NoReturn

from pin_lightning.distributed.ranks import rank_name

at_end = ExitStack()  # closes the sweep that this process runs, if it runs one
failed_jobs: list[str] = []  # of that sweep


def note_failure(mistake: str) -> None:
    """Print the one line of a job or a table that failed; the sweep ends with exit code 2."""
    print(f"error: {mistake}", file=sys.stderr)
    failed_jobs.append(mistake)


def end(mistake: str, error: BaseException) -> NoReturn:
    """End this process with the one line for an error, and exit code 2."""
    name = rank_name()
    print(f"error: {name}: {mistake}" if name else f"error: {mistake}", file=sys.stderr)
    raise SystemExit(2) from error
