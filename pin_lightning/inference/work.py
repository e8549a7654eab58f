"""What is not done yet."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.records import Failed, Records
from pin_lightning.inference.stamps import stamp_of


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        todo: Volumes to predict.
        failed: Names of those that failed before and are not tried again.
        done: Number of those that are predicted.
    """

    todo: Mapping[str, Path]
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
    todo, failed, done, records = dict[str, Path](), list[str](), 0, Records(folder)
    for name, (path, _) in inputs.items():
        record = records.read(name)
        if record is None or record.by != header.by:
            todo[name] = path
            continue
        changed = record.stamp != stamp_of(path)
        if changed and record.source != source_of(path):
            raise ValueError(
                f"output={folder}: holds results of another {name}, {record.source}; give another "
                f"folder, or overwrite=true to do it anew"
            )
        if isinstance(record.one, Failed) and not changed and not retry:
            failed.append(name)
        elif changed or isinstance(record.one, Failed) or not _is_there(folder, header, name):
            todo[name] = path
        else:
            done += 1
    return Work(todo, tuple(failed), done)


def _is_there(folder: Path, header: PredictionHeader, name: str) -> bool:
    return (folder / header.files(name)[0]).is_file()


def source_of(path: Path) -> str:
    """An input as an absolute path, in the words of a record."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
