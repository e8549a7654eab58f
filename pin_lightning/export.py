"""Write a run as ONNX files: ``python -m pin_lightning.export RUN output=FOLDER``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.cli.program import program


def with_run(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command line, with ``run=FOLDER`` for a folder alone.

    The first argument need not be one, so that a wrong folder is named as such.

    >>> with_run(["outputs/run", "opset=20"])
    ['run=outputs/run', 'opset=20']
    """

    def alone(index: int, one: str) -> bool:
        named = one[:1] not in ("", *"-+~") and "=" not in one
        return Path(one).is_dir() or (index == 0 and named)

    found = next((i for i, one in enumerate(arguments) if alone(i, one)), None)
    return [f"run={one}" if i == found else one for i, one in enumerate(arguments)]


@program("export")
def main(config: DictConfig) -> None:
    """Write the files; exit code 2 where they would not compute what PyTorch does."""
    from pin_lightning.deployment import writing  # heavy, after the config has composed

    writing.export(config)


if __name__ == "__main__":
    sys.argv[1:] = with_run(sys.argv[1:])
    main()
