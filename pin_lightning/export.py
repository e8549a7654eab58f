"""Write a run as ONNX files: ``python -m pin_lightning.export RUN output=FOLDER``."""

import sys
from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.cli.run_argument import with_run
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("export")
def main(config: "DictConfig") -> None:
    """Write the files; exit code 2 if their outputs differ from PyTorch's."""
    with importing():
        from pin_lightning.deployment import writing  # heavy, after the config has composed

    writing.export(config)


if __name__ == "__main__":
    sys.argv[1:] = with_run(sys.argv[1:])
    main()
