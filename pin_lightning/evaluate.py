"""Evaluate a run on new cases: ``python -m pin_lightning.evaluate run=RUN data.root=DIR``."""

import hydra
from omegaconf import DictConfig

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.program import one_line_errors, start


@hydra.main(config_path=str(CONF), config_name="evaluate", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Predict new cases, put the truth beside them, and leave what a training leaves."""
    from pin_lightning.studies.new_cases import evaluate_new  # heavy, after the config has composed

    evaluate_new(config)


if __name__ == "__main__":
    start(main)
