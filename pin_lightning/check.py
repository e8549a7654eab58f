"""Check a data set before training: ``python -m pin_lightning.check data=folder data.root=DIR``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("check")
def main(config: "DictConfig") -> None:
    """Check all cases; exit code 2 if an error is found."""
    with importing():
        from pin_lightning.reports import data_check  # heavy, after the config has composed

    if data_check.check(config) > 0:
        raise SystemExit(2)


if __name__ == "__main__":
    main()
