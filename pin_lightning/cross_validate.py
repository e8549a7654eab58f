"""Train all folds: ``python -m pin_lightning.cross_validate data=folder data.root=DIR``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.failures import in_sweep
from pin_lightning.cli.program import one_line_errors, start
from pin_lightning.studies.sweeps.job import run_alone


@hydra.main(config_path=str(CONF), config_name="cross_validate", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> float:
    """Run one cross-validation; returns the error so that a sweeper can optimise it."""
    hydra_config = HydraConfig.get()
    config.overrides = list(hydra_config.overrides.task)
    run_dir = Path(hydra_config.runtime.output_dir)
    if in_sweep():
        metrics = run_alone(
            "pin_lightning.studies.cross_validation.cross_validate", config, run_dir
        )
    else:
        # Heavy imports, after the config has composed.
        from pin_lightning.studies.cross_validation import cross_validate

        metrics = cross_validate(config, run_dir)
    return metrics["test"]["radial_error_mm"]["mean"]


if __name__ == "__main__":
    start(main)
