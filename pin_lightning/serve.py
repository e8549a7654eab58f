"""Annotate in the browser: ``python -m pin_lightning.serve run=RUN input=scans output=DIR``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("serve")
def main(config: "DictConfig") -> None:
    """Serve until this process is asked to end."""
    with importing():
        from pin_lightning.annotation import serving  # heavy, after the config has composed

    serving.serve(config)


if __name__ == "__main__":
    main()
