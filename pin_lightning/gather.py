"""Close a sweep with one table and one figure: ``python -m pin_lightning.gather sweep=FOLDER``.

A sweep of `train.py` does this by itself, through a Hydra callback.
"""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("gather")
def main(config: "DictConfig") -> None:
    """Gather the jobs of a sweep, with its own settings or other ones."""
    from pin_lightning.studies.sweeps.gather import gather_again

    gather_again(config)


if __name__ == "__main__":
    main()
