"""Write a run as ONNX files: ``python -m pin_lightning.export RUN output=FOLDER``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


def with_run(arguments: Sequence[str]) -> list[str]:
    """Turn the first folder among the arguments into ``run=FOLDER``.

    A first argument that is no setting counts as a folder, so that the error names a wrong one.

    >>> with_run(["outputs/run", "opset=20"])
    ['run=outputs/run', 'opset=20']
    """
    for index, one in enumerate(arguments):
        is_name = one[:1] not in ("", *"-+~") and "=" not in one
        if Path(one).is_dir() or (index == 0 and is_name):
            return [*arguments[:index], f"run={one}", *arguments[index + 1 :]]
    return list(arguments)


@program("export")
def main(config: "DictConfig") -> None:
    """Write the files; exit code 2 if their outputs differ from PyTorch's."""
    with importing():
        from pin_lightning.deployment import writing  # heavy, after the config has composed

    writing.export(config)


if __name__ == "__main__":
    sys.argv[1:] = with_run(sys.argv[1:])
    main()
