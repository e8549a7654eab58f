"""Predict landmarks: ``python infer.py run=RUN input='volumes/*.nii.gz' output=predictions``."""

import hydra
from omegaconf import DictConfig

from pin_lightning.cli.program import one_line_errors, start


@hydra.main(config_path="conf", config_name="infer", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Predict every volume; exit code 2 when one could not be predicted."""
    from pin_lightning.inference.run import infer  # heavy imports, after the config has composed

    if infer(config) > 0:
        raise SystemExit(2)


if __name__ == "__main__":
    start(main)
