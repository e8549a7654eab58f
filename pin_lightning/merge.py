"""Make the tables of all parts of a prediction: ``python -m pin_lightning.merge output=DIR``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("merge")
def main(config: "DictConfig") -> None:
    """Make tables and page; exit code 2 if a volume is missing or could not be predicted."""
    with importing():
        from pin_lightning.inference import merging  # heavy, after the config has composed

    if not merging.merge(config):
        raise SystemExit(2)


if __name__ == "__main__":
    main()
