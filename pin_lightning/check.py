"""Check a data set before training: ``python -m pin_lightning.check data=folder data.root=DIR``."""

import hydra
from omegaconf import DictConfig

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.program import one_line_errors, start


@hydra.main(config_path=str(CONF), config_name="check", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Check all cases; exit code 2 when there is an error among the findings."""
    from pin_lightning.reports.data_check import (
        check,  # heavy imports, after the config has composed
    )

    if check(config) > 0:
        raise SystemExit(2)


if __name__ == "__main__":
    start(main)
