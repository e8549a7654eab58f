"""Train all folds: ``python -m pin_lightning.cross_validate data=folder data.root=DIR``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pin_lightning.entry import CONF, one_line_errors, start


@hydra.main(config_path=str(CONF), config_name="cross_validate", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> float:
    """Run one cross-validation; returns the error so that a sweeper can optimise it."""
    # Heavy imports, after the config has composed.
    from pin_lightning.cross_validation import cross_validate

    metrics = cross_validate(config, Path(HydraConfig.get().runtime.output_dir))
    return metrics["test"]["radial_error_mm"]["mean"]


if __name__ == "__main__":
    start(main)
