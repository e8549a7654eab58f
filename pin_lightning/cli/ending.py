"""The end of a program: one line for each failure, and exit code 2."""

import sys
from contextlib import ExitStack
from typing import NoReturn

from pin_lightning.distributed.process import EXIT_CODE, asked_to_end
from pin_lightning.distributed.ranks import rank_name

at_end = ExitStack()  # closes the sweep that this process runs
failed_jobs: list[str] = []  # of that sweep


def note_failure(mistake: str) -> None:
    """Print the line of a failed job or table; the sweep then ends with exit code 2."""
    print(f"error: {mistake}", file=sys.stderr)
    failed_jobs.append(mistake)


def end(mistake: str, error: BaseException) -> NoReturn:
    """Print the line of an error and end this process with exit code 2.

    If it has been asked to end, that is the reason, which `program.in_order` says.
    """
    if asked_to_end(error) is not None:
        raise SystemExit(EXIT_CODE) from error
    name = rank_name()
    print(f"error: {name}: {mistake}" if name else f"error: {mistake}", file=sys.stderr)
    raise SystemExit(2) from error
