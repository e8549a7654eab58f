"""Close a sweep with one table and one figure: ``python -m pin_lightning.gather sweep=FOLDER``.

A sweep of `train.py` does this by itself, through a Hydra callback.
"""

from omegaconf import DictConfig

from pin_lightning.cli.program import program
from pin_lightning.studies.sweeps.gather import gather_again


@program("gather")
def main(config: DictConfig) -> None:
    """Gather the jobs of a sweep, with its own settings or other ones."""
    gather_again(config)


if __name__ == "__main__":
    main()
