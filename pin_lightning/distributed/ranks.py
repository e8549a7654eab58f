"""Which of the processes that were started together this one is; imports nothing heavy."""

import os
from collections.abc import Sequence

# Numbers from 0, which torchrun, SLURM, the user of several machines and Lightning set.
_NUMBERS = {"RANK": "rank", "SLURM_PROCID": "rank", "NODE_RANK": "node", "LOCAL_RANK": "rank"}


def rank_name() -> str:
    """What this process is called, such as ``rank 1``; empty for the first, or only, one."""
    for variable, word in _NUMBERS.items():
        number = os.environ.get(variable, "0")
        if number != "0":
            return f"{word} {number}"
    return ""


def is_first() -> bool:
    """Whether this process is the one that writes results, tells of them, and goes on alone."""
    return rank_name() == ""


def arguments_of_others(given: Sequence[str]) -> list[str]:
    """What Hydra is told in all processes but the first: they leave no file and no folder.

    Args:
        given: What all were told. A run folder in it is that of all; else its name is of the second
            in which a process began, and the others have none.

    >>> arguments_of_others(["run_dir=here"])
    []
    """
    if is_first():
        return []
    known = any(one.startswith(("run_dir=", "hydra.run.dir=")) for one in given)
    return [
        "hydra.job_logging.root.handlers=[console]",
        "++hydra.job_logging.handlers.file.delay=true",  # not written to, so not made
        "hydra.output_subdir=null",
        *([] if known else ["hydra.run.dir=."]),
    ]
