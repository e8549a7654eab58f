"""PredictingRun: what predicts for a server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pin_lightning.runs.folder import read_record
from pin_lightning.runs.folds import is_folds_folder, read_folds
from pin_lightning.runs.found import found_run


@dataclass(frozen=True)
class PredictingRun:
    """What predicts.

    Attributes:
        folder: Folder of the run, or of a cross-validation.
        names: Its landmarks.
        settings: Further settings of ``infer``, such as the device.
        title: What people call it; the name of its folder if empty.
        given: What names it to the process that predicts, which may begin much later and unpacks
            a file by itself; the folder if empty.
    """

    folder: Path
    names: tuple[str, ...]
    settings: Mapping[str, Any]
    title: str = ""
    given: str = ""

    @classmethod
    def of(cls, run: str | Path, settings: Mapping[str, Any], title: str = "") -> "PredictingRun":
        """A run as of `found_run`, with the landmarks that it or its folds have.

        Raises:
            ValueError: It is none.
        """
        folder = found_run(run)
        return cls(folder, names_of_run(folder), settings, title, str(run))

    @property
    def shown(self) -> str:
        """Its title."""
        return self.title or self.folder.name


def names_of_run(folder: Path) -> tuple[str, ...]:
    """Landmarks of a run, or of the folds of a cross-validation.

    Raises:
        ValueError: It is none.
    """
    return read_record(read_folds(folder)[0] if is_folds_folder(folder) else folder).names


def settings_of(run: PredictingRun, output: Path) -> dict[str, Any]:
    """Settings of ``infer`` by which a run predicts into a folder, as of `PredictionChild`."""
    return {
        **{"run": run.given or str(run.folder), "output": str(output), "input": "", "log": "json"},
        **{"planes": False, "review_page": 0, "batch_size": 1, "readers": 1, **run.settings},
    }
