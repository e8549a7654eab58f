"""Predict landmarks: ``python infer.py run=RUN input='volumes/*.nii.gz' output=predictions``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program
from pin_lightning.distributed.process import importing

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("infer")
def main(config: "DictConfig") -> None:
    """Predict every volume; exit code 2 when one could not be predicted."""
    with importing():
        from pin_lightning.inference import run  # heavy, after the config has composed

    if run.infer(config) > 0:
        raise SystemExit(2)


if __name__ == "__main__":
    main()
