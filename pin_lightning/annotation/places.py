"""Where annotations may lie: apart from scans, runs and other outputs."""

import os
from pathlib import Path

from omegaconf import DictConfig

from pin_lightning.annotation.volumes import Scans
from pin_lightning.inference.files import LocalInput
from pin_lightning.inference.header import HEADER
from pin_lightning.runs.folder import FOLDS, RECORD


def refuse_places(config: DictConfig, scans: Scans) -> None:
    """Refuse an output folder that is, holds or lies in a folder of scans, a run or an output.

    Raises:
        ValueError: It does.
    """
    output = Path(config.output)
    folders = {_folder(one.file.path) for one in scans.values() if isinstance(one.file, LocalInput)}
    given = Path(str(config.input))
    if given.is_dir():
        folders = {given, *folders}
    for one in sorted(folders):
        _refuse_nested(output, f"input={config.input}", one)
    if config.run is not None and Path(config.run).is_dir():
        _refuse_nested(output, f"run={config.run}", Path(config.run))
    for name in (HEADER, RECORD, FOLDS):
        if (output / name).exists():
            raise ValueError(
                f"output={config.output}: holds {name} of another program; give another folder"
            )


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _refuse_nested(output: Path, what: str, other: Path) -> None:
    """Refuse folders that are one, or of which one holds the other, whatever links there are."""
    own, others = Path(os.path.realpath(output)), Path(os.path.realpath(other))
    how = "is" if own == others else "holds" if own in others.parents else "lies in"
    if own == others or own in others.parents or others in own.parents:
        raise ValueError(f"output={output}: {how} {other} of {what}; give a folder apart from it")
