"""Evaluate a run on new cases: ``python -m pin_lightning.evaluate run=RUN data.root=DIR``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("evaluate")
def main(config: "DictConfig") -> None:
    """Predict new cases, compare with the truth, and write the results of a training."""
    with importing():
        from pin_lightning.studies import new_cases  # heavy, after the config has composed

    new_cases.evaluate_new(config)


if __name__ == "__main__":
    main()
