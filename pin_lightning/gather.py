"""Close a sweep with one table and one figure: ``python -m pin_lightning.gather sweep=FOLDER``.

A sweep of `train.py` does this by itself, through a Hydra callback.
"""

import logging
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.program import one_line_errors, start
from pin_lightning.common.settings import refuse_missing
from pin_lightning.studies.sweeps.closing import RECORD
from pin_lightning.studies.sweeps.gather import gather

log = logging.getLogger(__name__)


@hydra.main(config_path=str(CONF), config_name="gather", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Gather the jobs of a sweep, with the settings that it was started with or other ones.

    Raises:
        ValueError: The folder is not that of a sweep, or a setting is wrong.
    """
    refuse_missing(config)
    sweep_dir = Path(config.sweep)
    record = sweep_dir / RECORD
    if not record.is_file():
        raise ValueError(f"sweep={sweep_dir}: has no {RECORD}; give the folder of a sweep")
    before: Any = OmegaConf.load(record)
    for key, value in config.summary.items():
        if value is not None:
            before.summary[key] = value
    gather(sweep_dir, before, log.error)


if __name__ == "__main__":
    start(main)
