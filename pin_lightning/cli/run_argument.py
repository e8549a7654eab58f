"""The run as an argument without a name: ``pin-lightning export RUN``."""

from collections.abc import Sequence
from pathlib import Path


def with_run(arguments: Sequence[str]) -> list[str]:
    """Turn the first folder or file among the arguments into ``run=``.

    A first argument that is no setting counts as one, so that the error names a wrong one.

    >>> with_run(["outputs/run", "opset=20"])
    ['run=outputs/run', 'opset=20']
    """
    for index, one in enumerate(arguments):
        is_name = one[:1] not in ("", *"-+~") and "=" not in one
        if Path(one).exists() or (index == 0 and is_name):
            return [*arguments[:index], f"run={one}", *arguments[index + 1 :]]
    return list(arguments)
