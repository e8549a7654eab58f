"""Train and evaluate a landmark detector: ``python train.py data=folder data.root=DIR``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from pin_lightning.entry import one_line_errors, start


@hydra.main(config_path="conf", config_name="train", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> float | None:
    """Run one training; returns the error so that a sweeper can optimise it.

    It is that of the validation cases, else of the test cases; none where all cases train.
    """
    # Heavy imports, after the config has composed.
    from pin_lightning.experiment_loggers import name_group
    from pin_lightning.strategies import refuse_starting_again
    from pin_lightning.training import train

    hydra_config = HydraConfig.get()
    config.overrides = list(hydra_config.overrides.task)
    if hydra_config.mode is RunMode.MULTIRUN:
        config.run_name = f"{config.run_name}_{hydra_config.job.num}"
        name_group(config, Path(hydra_config.sweep.dir).name)
        refuse_starting_again(config, "a sweep")
    metrics = train(config, _run_dir(config))
    measured = metrics.get("val", metrics.get("test"))
    return None if measured is None else measured["radial_error_mm"]["mean"]


def _run_dir(config: DictConfig) -> Path:
    """The run folder; Hydra gives processes that are not the first one none (`ranks`)."""
    from pin_lightning.ranks import is_first

    hydra_config = HydraConfig.get()
    own = is_first() or hydra_config.mode is RunMode.MULTIRUN
    return Path(hydra_config.runtime.output_dir if own else config.run_dir)


if __name__ == "__main__":
    start(main)
