"""What is not done yet."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.inference.beginning import some
from pin_lightning.inference.files import InputFile
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.records import Failed, Records
from pin_lightning.inference.stamps import ABSENT, UNKNOWN
from pin_lightning.runs.doubts import Reviewed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        todo: Volumes to predict.
        failed: Names of those that failed before and are not tried again.
        done: Number of those that are predicted.
    """

    todo: Mapping[str, InputFile]
    failed: tuple[str, ...]
    done: int


def what_is_left(
    folder: Path, header: PredictionHeader, inputs: Mapping[str, Input], retry: bool
) -> Work:
    """Tell what is not done, or of an input that has changed since.

    Args:
        folder: Output folder.
        header: What predicts.
        inputs: Volumes by the names of their outputs.
        retry: Try again what failed.

    Raises:
        ValueError: The folder holds results of another file of the same name.
    """
    todo, failed, done, records = dict[str, InputFile](), list[str](), 0, Records(folder)
    gone = list[str]()
    for name, (file, _) in inputs.items():
        record = records.read(name, header.by)
        if record is None:
            todo[name] = file
            continue
        stamp, is_there = file.stamp(), _is_there(folder, header, name)
        if isinstance(record.one, Reviewed) and stamp in (ABSENT, UNKNOWN) and is_there:
            gone.append(file.shown)  # what is known of it stays
            continue
        changed = record.stamp != stamp or stamp == UNKNOWN
        if changed and record.source != file.source:
            raise ValueError(
                f"output={folder}: holds results of another {name}, {record.source}; give another "
                f"folder, or overwrite=true to do it anew"
            )
        if isinstance(record.one, Failed) and not changed and not retry:
            failed.append(name)
        elif changed or isinstance(record.one, Failed) or not is_there:
            todo[name] = file
        else:
            done += 1
    if gone:
        log.warning("predicted before, cannot be found now and are left alone: %s", some(gone))
    return Work(todo, tuple(failed), done + len(gone))


def _is_there(folder: Path, header: PredictionHeader, name: str) -> bool:
    path = folder / header.files(name)[0]
    with suppress(OSError):  # such as a name that is too long
        return path.stat().st_size > 0  # after a power cut a file may be empty
    return False
