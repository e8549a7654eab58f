"""Write a run as ONNX files: ``python -m pin_lightning.export RUN output=FOLDER``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from pin_lightning.entry import CONF, one_line_errors, start


def with_run(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command line, the first one as ``run=FOLDER`` where it is a folder alone.

    >>> with_run(["outputs/run", "opset=20"])
    ['run=outputs/run', 'opset=20']
    """
    first, *rest = arguments or [""]
    alone = first and first[0] not in "-+~" and ("=" not in first or Path(first).is_dir())
    return [f"run={first}", *rest] if alone else list(arguments)


@hydra.main(config_path=str(CONF), config_name="export", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Write the files; exit code 2 where they would not compute what PyTorch does."""
    from pin_lightning.deployment.writing import export  # heavy, after the config has composed

    export(config)


if __name__ == "__main__":
    sys.argv[1:] = with_run(sys.argv[1:])
    start(main)
