"""Train all folds: ``python -m pin_lightning.cross_validate data=folder data.root=DIR``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("cross_validate")
def main(config: "DictConfig") -> float | None:
    """Run one cross-validation; returns the error so that a sweeper can minimise it."""
    from pin_lightning.cli.job import run_training  # heavy, once the program ends in order

    return run_training("cross_validate", config, split="test")


if __name__ == "__main__":
    main()
