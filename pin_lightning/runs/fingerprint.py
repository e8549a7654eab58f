"""Fingerprint of a run: equal only where predictions are the same."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pin_lightning.runs import folder
from pin_lightning.runs.folds import CALIBRATION, is_folds_folder, read_folds
from pin_lightning.runs.pose_stage import POSE_RECORD, pose_folder


def run_fingerprint(run: Path) -> str:
    """Hash of the files from which a run, or the folds of a cross-validation, is loaded.

    Raises:
        ValueError: One is not there.
    """
    digest = hashlib.sha256()
    for path in _files(run):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(run).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:32]


def _files(run: Path) -> Iterator[Path]:
    yield from (path for path in (run / CALIBRATION, run / folder.CONFIG) if path.is_file())
    if is_folds_folder(run):
        for fold in read_folds(run):
            yield from _files(fold)
        return
    yield from (run / folder.RECORD, folder.best_checkpoint(run))
    pose = pose_folder(run)
    for path in (pose / POSE_RECORD, pose / folder.LAST_CHECKPOINT):
        if path.is_file():
            yield path
    if (first := run / folder.FIRST_STAGE).is_dir():
        yield from _files(first)
