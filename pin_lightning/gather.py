"""Close a sweep with one table and one figure: ``python -m pin_lightning.gather sweep=FOLDER``.

A sweep of `train.py` does this by itself, through a Hydra callback.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pin_lightning.entry import CONF, note_failure, one_line_errors, refuse_missing, start

log = logging.getLogger(__name__)
# In the files only: a terminal has 80 columns.
HIDDEN = ("n", "Median", "95th percentile", "Difference from the reference")


class GatherJobs(Callback):
    """Hydra callback that gathers the jobs when a multirun has ended."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Say what is wrong with the table's settings before the jobs run, not after."""
        from pin_lightning.sweeps.table import published_of

        try:
            published: Any = OmegaConf.to_container(config.summary.published, resolve=True)
            published_of(published)
        except ValueError as error:
            note_failure(str(error))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table; a sweep without finished jobs has none."""
        try:
            gather(Path(config.hydra.sweep.dir), config)
        except ValueError as error:  # Hydra would make a warning of it
            note_failure(str(error))


def gather(sweep_dir: Path, config: Any) -> None:
    """Write ``table.md``, ``table.csv`` and ``figure.png`` of a sweep's finished jobs.

    Args:
        sweep_dir: Folder with a run folder for each job.
        config: With the nodes ``summary`` and ``report`` of `conf/train.yaml`.

    Raises:
        ValueError: No job has finished, or a setting is wrong.
    """
    # Heavy imports: Hydra imports this file before it knows whether there is a sweep.
    from pin_lightning import plots
    from pin_lightning.files import write_text
    from pin_lightning.report_settings import BootstrapSettings
    from pin_lightning.sweeps.figure import sweep_figure
    from pin_lightning.sweeps.rows import read_jobs, rows_of
    from pin_lightning.sweeps.table import (
        cells_of,
        csv_text,
        landmark_rows,
        published_of,
        table_rows,
    )
    from pin_lightning.text_tables import markdown

    jobs, unfinished = read_jobs(sweep_dir)
    summary = config.summary
    published: Any = OmegaConf.to_container(summary.published, resolve=True)
    bootstrap = BootstrapSettings(**config.report.bootstrap)
    cells = cells_of(rows_of(jobs), summary.reference, published_of(published), bootstrap)
    title = summary.title or ""
    lines = [f"{title}\n\n" if title else "", markdown(*table_rows(cells, bootstrap.level))]
    by_landmark = landmark_rows(cells)
    if by_landmark[0]:
        lines.append("\n" + markdown(*by_landmark))
    lines.append(_reference_note(cells, summary.reference))
    if unfinished:
        names = ", ".join(folder.name for folder in unfinished)
        lines.append(f"\nNot finished: job {names}.\n")
        log.error("not finished: job %s", names)
    write_text(sweep_dir / "table.md", "".join(lines))
    write_text(sweep_dir / "table.csv", csv_text(cells))
    plots.save(sweep_figure(cells, bootstrap.level, title), sweep_dir / "figure.png")
    for header, body in (table_rows(cells, bootstrap.level, HIDDEN), by_landmark):
        if header:
            Console().print(_terminal_table(title, header, body))
    log.info("%s: table.md, table.csv, figure.png", sweep_dir)


def _reference_note(cells: Sequence[Any], reference: str | None) -> str:
    """What differences are from; nothing where there is one row."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    if len(methods) < 2:
        return ""
    chosen = reference or methods[0]
    return f"\nDifferences are from {chosen}, over the landmarks of the cases that both have.\n"


def _terminal_table(title: str, header: list[str], body: list[list[str]]) -> Table:
    table = Table(title=Text(title) if title else None)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left")
    for line in body:
        table.add_row(*map(Text, line))
    return table


@hydra.main(config_path=str(CONF), config_name="gather", version_base="1.3")
@one_line_errors
def main(config: DictConfig) -> None:
    """Gather the jobs of a sweep, with the settings that it was started with or other ones.

    Raises:
        ValueError: The folder is not that of a sweep, or a setting is wrong.
    """
    refuse_missing(config)
    sweep_dir = Path(config.sweep)
    record = sweep_dir / "multirun.yaml"
    if not record.is_file():
        raise ValueError(f"sweep={sweep_dir}: has no multirun.yaml; give the folder of a sweep")
    before: Any = OmegaConf.load(record)
    for key, value in config.summary.items():
        if value is not None:
            before.summary[key] = value
    gather(sweep_dir, before)


if __name__ == "__main__":
    start(main)
