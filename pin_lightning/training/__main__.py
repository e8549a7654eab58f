"""Train and evaluate a landmark detector: ``python train.py data=folder data.root=DIR``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("train")
def main(config: "DictConfig") -> float | None:
    """Run one training and return the validation error, which a sweeper can minimise.

    None without validation cases: a choice by the test cases would bias their error.
    """
    from pin_lightning.cli.job import run_training  # heavy, once the program ends in order

    return run_training("train", config, split="val")


if __name__ == "__main__":
    main()
