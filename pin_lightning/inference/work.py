"""What is not done yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pin_lightning.inference.files import InputFile
from pin_lightning.inference.header import PredictionHeader
from pin_lightning.inference.inputs import Input
from pin_lightning.inference.records import Failed, Records


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
    for name, (file, _) in inputs.items():
        record = records.read(name)
        if record is None or record.by != header.by:
            todo[name] = file
            continue
        changed = record.stamp != file.stamp()
        if changed and record.source != file.source:
            raise ValueError(
                f"output={folder}: holds results of another {name}, {record.source}; give another "
                f"folder, or overwrite=true to do it anew"
            )
        if isinstance(record.one, Failed) and not changed and not retry:
            failed.append(name)
        elif changed or isinstance(record.one, Failed) or not _is_there(folder, header, name):
            todo[name] = file
        else:
            done += 1
    return Work(todo, tuple(failed), done)


def _is_there(folder: Path, header: PredictionHeader, name: str) -> bool:
    return (folder / header.files(name)[0]).is_file()
