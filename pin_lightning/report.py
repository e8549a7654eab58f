"""Make the page of a run again: ``python -m pin_lightning.report run=RUN``."""

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from pin_lightning.cli.conf import CONF
from pin_lightning.cli.program import one_line_errors, start
from pin_lightning.common.settings import refuse_missing

log = logging.getLogger(__name__)


@hydra.main(config_path=str(CONF), config_name="report", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Write the page from the files of the run; neither its data nor its weights are needed."""
    # Heavy, after the config is composed.
    from pin_lightning.evaluation.settings import ReportSettings, report_again
    from pin_lightning.reports.pages.run_page import write_run_page
    from pin_lightning.runs.folds import config_of

    refuse_missing(config)
    run_dir = Path(config.run)
    report = report_again(config_of(run_dir).get("report", {}), config.report)
    log.info("%s", write_run_page(run_dir, ReportSettings.of(report)))


if __name__ == "__main__":
    start(main)
