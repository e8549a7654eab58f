"""Train and evaluate a landmark detector: ``python train.py data=folder data.root=DIR``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pin_lightning.cli.failures import in_sweep
from pin_lightning.cli.program import one_line_errors, start
from pin_lightning.studies.sweeps.job import run_alone


@hydra.main(config_path="conf", config_name="train", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> float | None:
    """Run one training; returns the validation error so that a sweeper can minimise it.

    None where no cases validate: a choice by the test cases would spoil what they say.
    """
    hydra_config = HydraConfig.get()
    config.overrides = list(hydra_config.overrides.task)
    run_dir = Path(hydra_config.runtime.output_dir)
    if in_sweep():
        metrics = run_alone("pin_lightning.training.run.train_job", config, run_dir)
    else:
        from pin_lightning.training.run import train  # heavy imports, after the config has composed

        metrics = train(config, run_dir)
    return metrics["val"]["radial_error_mm"]["mean"] if "val" in metrics else None


if __name__ == "__main__":
    start(main)
