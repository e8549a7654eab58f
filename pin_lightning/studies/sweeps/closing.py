"""End of a sweep: list its failed jobs, however it ended."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from pin_lightning.cli.ending import at_end, end, note_failure
from pin_lightning.cli.failures import Failure, read_failure
from pin_lightning.common.files import output_folder

RECORD = "multirun.yaml"


class CloseSweep(Callback):
    """Hydra callback that lists the failed jobs of a sweep, also if sweeper or launcher fail.

    Hydra does not call its own `on_multirun_end` then.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write a record, by whose time the jobs of this sweep differ from earlier ones."""
        try:
            record = output_folder("hydra.sweep.dir", config.hydra.sweep.dir) / RECORD
        except ValueError as error:
            end(str(error), error)  # Hydra would only warn
        earlier = (record.read_bytes(), record.stat()) if record.is_file() else None
        OmegaConf.save(config, record)
        at_end.push(partial(self._end, config, earlier))

    def _end(
        self,
        config: DictConfig,
        earlier: tuple[bytes, os.stat_result] | None,
        kind: type | None,
        *error: Any,
    ) -> None:
        """Close a sweep; undo the record if it failed before its first job."""
        folder = Path(config.hydra.sweep.dir)
        if kind is None or job_folders(folder):
            self.close(config)
        elif earlier is not None:
            content, times = earlier
            (folder / RECORD).write_bytes(content)
            os.utime(folder / RECORD, ns=(times.st_atime_ns, times.st_mtime_ns))
        else:
            (folder / RECORD).unlink()
            with suppress(OSError):  # other files stay
                folder.rmdir()

    def close(self, config: DictConfig) -> None:
        """Print a line for each failed job."""
        shared = shared_overrides(config)
        for failure in failures_of(Path(config.hydra.sweep.dir)):
            note_failure(failure.line(shared))


def shared_overrides(config: Any) -> set[str]:
    """Overrides of a sweep's command line that all its jobs share, as the jobs name them."""
    given = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    plain = [one for one in given if not one.is_sweep_override()]
    values = {f"{one.get_key_element()}={one.get_value_element_as_str()}" for one in plain}
    return values | {str(one.input_line) for one in plain}


def failures_of(sweep_dir: Path) -> list[Failure]:
    """Failures of the jobs of a sweep, in the order of their numbers."""
    found = map(read_failure, job_folders(sweep_dir))
    return [failure for failure in found if failure is not None]


def job_folders(sweep_dir: Path) -> list[Path]:
    """Folders of the jobs of a sweep, by number, without those of an earlier sweep.

    Raises:
        ValueError: There is no such folder.
    """
    if not sweep_dir.is_dir():
        raise ValueError(f"sweep={sweep_dir}: there is no such folder; give that of a sweep")
    folders = [path for path in sweep_dir.iterdir() if path.is_dir() and path.name.isdigit()]
    own = [path for path in folders if _last_written(path) >= began(sweep_dir)]
    return sorted(own, key=lambda path: int(path.name))


def began(sweep_dir: Path) -> float:
    """Time at which a sweep began: that of its record, which is written before the jobs."""
    record = sweep_dir / RECORD
    return record.stat().st_mtime if record.is_file() else 0.0


def _last_written(folder: Path) -> float:
    times = [path.stat().st_mtime for path in folder.iterdir()]
    return max(times, default=folder.stat().st_mtime)
