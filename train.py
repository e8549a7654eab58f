"""Train and evaluate a landmark detector: ``python train.py model=multi shape=pca data=folder``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pin_lightning.entry import one_line_errors, start


@hydra.main(config_path="conf", config_name="train", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> float:
    """Run one training; returns the held-out error so that a sweeper can optimise it."""
    from pin_lightning.training import train  # heavy imports, after the config has composed

    metrics = train(config, Path(HydraConfig.get().runtime.output_dir))
    part = "val" if "val" in metrics else "test"
    return metrics[part]["radial_error_mm"]["mean"]


if __name__ == "__main__":
    start(main)
