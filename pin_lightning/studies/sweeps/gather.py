"""Table and figure of the finished jobs of a sweep."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.text import Text

from pin_lightning.cli.ending import end, note_failure
from pin_lightning.common.settings import refuse_missing
from pin_lightning.common.shown_table import print_table
from pin_lightning.studies.sweeps.closing import RECORD, CloseSweep, shared_overrides
from pin_lightning.studies.sweeps.published import published_of

log = logging.getLogger(__name__)

OPTUNA = "hydra_plugins.hydra_optuna_sweeper."
# Columns left out on the terminal, which has 80 characters.
HIDDEN = (
    "n",
    "Median",
    "95th percentile",
    "Jobs, SD of their means",
    "Difference from the reference",
)


class GatherJobs(CloseSweep):
    """Hydra callback that writes the table of a sweep of trainings at its end."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the settings of the table before the jobs run."""
        try:
            published: Any = OmegaConf.to_container(config.summary.published, resolve=True)
            published_of(published)
            check_choice(config)
        except ValueError as error:
            end(str(error), error)  # Hydra would only warn
        super().on_multirun_start(config)

    def close(self, config: DictConfig) -> None:
        """List the failed jobs, write and print the table of the finished ones."""
        try:
            gather(Path(config.hydra.sweep.dir), config, note_failure)
        except ValueError as error:
            note_failure(str(error))


def check_choice(config: DictConfig) -> None:
    """Check that a sweeper does not choose settings by the test cases.

    Raises:
        ValueError: It minimises the error, and no case validates.
    """
    if not str(config.hydra.sweeper._target_).startswith(OPTUNA) or "calibration" in config:
        return  # a cross-validation is evaluated on cases that the fold did not see
    split = config.data.split
    if not split.val_fraction and split.val_names is None:
        raise ValueError(
            f"data.split.val_fraction={split.val_fraction}: hydra/sweeper=optuna chooses by the "
            f"validation error, and no case validates; give data.split.val_fraction=0.2"
        )


def gather(sweep_dir: Path, config: Any, note: Callable[[str], None]) -> None:
    """Write ``table.md``, ``table.csv`` and ``figure.png`` of a sweep's finished jobs.

    Args:
        sweep_dir: Folder with a run folder for each job.
        config: Config of the sweep, with Hydra's part.
        note: Called with a line for each job that is not finished.

    Raises:
        ValueError: No job has finished, or a setting is wrong.
    """
    # Heavy imports: Hydra imports this file for every run, not only for sweeps.
    from pin_lightning.common.files import write_text
    from pin_lightning.common.tables import csv_text, markdown
    from pin_lightning.evaluation.bootstrap import BootstrapSettings
    from pin_lightning.reports.figures import plots
    from pin_lightning.reports.terminal_tables import empty_table
    from pin_lightning.studies.sweeps.figure import sweep_figure
    from pin_lightning.studies.sweeps.rows import read_jobs, rows_of
    from pin_lightning.studies.sweeps.table import cells_of, csv_rows, landmark_rows, table_rows

    jobs, failures = read_jobs(sweep_dir)
    shared = shared_overrides(config)
    unfinished = [failure.line(shared) for failure in failures]
    for line in unfinished:
        note(line)
    if not jobs:
        raise ValueError(f"sweep={sweep_dir}: no job has finished, so there is no table")
    summary = config.summary
    published: Any = OmegaConf.to_container(summary.published, resolve=True)
    bootstrap = BootstrapSettings(**config.report.bootstrap)
    cells = cells_of(rows_of(jobs, failures), summary.reference, published_of(published), bootstrap)
    title = summary.title or ""
    lines = [f"{title}\n\n" if title else "", markdown(*table_rows(cells, bootstrap.level))]
    by_landmark = landmark_rows(cells)
    if by_landmark[0]:
        lines.append("\n" + markdown(*by_landmark))
    lines.append(_reference_note(cells, summary.reference))
    if unfinished:
        lines.append("\nNot finished:\n\n" + "".join(f"- {line}\n" for line in unfinished))
    write_text(sweep_dir / "table.md", "".join(lines))
    write_text(sweep_dir / "table.csv", csv_text(csv_rows(cells)))
    plots.save(sweep_figure(cells, bootstrap.level, title), sweep_dir / "figure.png")
    for header, body in (table_rows(cells, bootstrap.level, HIDDEN), by_landmark):
        if header:
            table = empty_table(title, header, wrap=True)
            for row in body:
                table.add_row(*map(Text, row))
            print_table(table)
    log.info("%s: table.md, table.csv, figure.png", sweep_dir)


def gather_again(config: DictConfig) -> None:
    """Write the table of an earlier sweep.

    Args:
        config: Composed from `conf/gather.yaml`; null keeps the setting of the sweep.

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


def _reference_note(cells: Sequence[Any], reference: str | None) -> str:
    """Sentence that names the reference of differences; empty with one row."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    if len(methods) < 2:
        return ""
    chosen = reference or methods[0]
    return f"\nDifferences are from {chosen}, over the landmarks of the cases that both have.\n"
