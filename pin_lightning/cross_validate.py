"""Train all folds: ``python -m pin_lightning.cross_validate data=folder data.root=DIR``."""

from omegaconf import DictConfig

from pin_lightning.cli.job import run_training
from pin_lightning.cli.program import program


@program("cross_validate")
def main(config: DictConfig) -> float | None:
    """Run one cross-validation; returns the error so that a sweeper can minimise it."""
    return run_training("cross_validate", config, split="test")


if __name__ == "__main__":
    main()
