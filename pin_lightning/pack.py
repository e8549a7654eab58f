"""Pack a run into one file: ``python -m pin_lightning.pack RUN output=FILE.zip``."""

import sys
from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.cli.run_argument import with_run
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("pack")
def main(config: "DictConfig") -> None:
    """Write the file, and print its model card."""
    with importing():
        from pin_lightning.deployment import packing  # heavy, after the config has composed

    packing.pack(config)


if __name__ == "__main__":
    sys.argv[1:] = with_run(sys.argv[1:])
    main()
