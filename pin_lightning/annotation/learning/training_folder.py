"""The folder of a training that a server has started, which tells all about it to the next server.

``training.json`` says of what it is, ``cases.csv`` and ``landmarks/`` are the annotations as they
were when it began, ``run/`` is the cross-validation. Its process holds ``.lock``, which the
operating system takes from a killed one, and writes ``ended.json`` when the run is whole.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pin_lightning.annotation.learner import DoneVolume
from pin_lightning.annotation.points import Position
from pin_lightning.common.files import write_json, write_text
from pin_lightning.common.spelling import one_spelling
from pin_lightning.common.tables import csv_text
from pin_lightning.data.landmarks.files import write_landmarks

FORMAT_VERSION = 1
TRAINING, ENDED, CANCELLED = "training.json", "ended.json", "cancelled"
LOCK, MESSAGES, JOB, RUN = ".lock", "train.log", "job.json", "run"
SECONDS_TO_LOCK = 1.0
CASES, LANDMARKS = "cases.csv", "landmarks"
Outcome = Literal["running", "finished", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True)
class Training:
    """What a training is of.

    Attributes:
        digest: Of its cases and landmarks: with the same ones it can go on.
        cases: Names of its cases.
        earlier: Of corrected cases, the positions in world RAS+ mm that were predicted before.
        began_at: Seconds since the epoch.
        settings: Settings of the cross-validation.
    """

    digest: str
    cases: tuple[str, ...]
    earlier: Mapping[str, Mapping[str, Position]]
    began_at: float
    settings: tuple[str, ...]


def digest_of(volumes: Sequence[DoneVolume], settings: Sequence[str]) -> str:
    """Digest of volumes, their landmarks and the settings of a training."""
    content = [
        [one.name, str(one.path), list(one.landmarks.names), one.landmarks.positions_world.tolist()]
        for one in sorted(volumes, key=lambda one: one.name)
    ]
    return sha256(json.dumps([content, list(settings)]).encode()).hexdigest()


def write_training(
    folder: Path, volumes: Sequence[DoneVolume], settings: Sequence[str], now: float
) -> Training:
    """Write the folder of a training; no image is copied.

    Raises:
        OSError: It cannot be written.
    """
    rows = [("case", "image", "landmarks")]
    for one in volumes:
        marks = Path(LANDMARKS, f"{one.id}.mrk.json")
        write_landmarks(folder / marks, one.landmarks)
        rows.append((one.name, str(one.path), str(marks)))
    write_text(folder / CASES, csv_text(rows))
    training = Training(
        digest_of(volumes, settings),
        tuple(one_spelling(one.name) for one in volumes),
        {one_spelling(one.name): dict(one.predicted) for one in volumes if one.is_corrected},
        now,
        tuple(settings),
    )
    write_json(folder / TRAINING, {"format_version": FORMAT_VERSION, **asdict(training)})
    return training


def read_training(folder: Path) -> Training | None:
    """Read what a training is of; None where that is not there, or damaged."""
    content = read_object(folder / TRAINING)
    try:
        if content.pop("format_version") != FORMAT_VERSION:
            return None
        earlier = {
            str(case): {str(name): (float(x), float(y), float(z)) for name, (x, y, z) in of.items()}
            for case, of in content.pop("earlier").items()
        }
        cases, settings = tuple(content.pop("cases")), tuple(content.pop("settings"))
        return Training(earlier=earlier, cases=cases, settings=settings, **content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none, or a damaged one."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_at_work(folder: Path) -> bool:
    """Whether the process of a training is alive."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def locked(folder: Path) -> int:
    """Lock a training; the open file, and with it the lock, is for its process to inherit.

    Raises:
        ValueError: It is locked.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    until = time.monotonic() + SECONDS_TO_LOCK
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:  # perhaps by `is_at_work`, for a moment
            if time.monotonic() > until:
                os.close(descriptor)
                raise ValueError("a training is running: wait for it, or cancel it") from error
            time.sleep(0.02)
        else:
            return descriptor


def outcome_of(folder: Path) -> tuple[Outcome, str]:
    """What became of a training, and why."""
    ended = read_object(folder / ENDED)
    if ended.get("code") == 0:
        return "finished", ""
    if (folder / CANCELLED).exists():
        return "cancelled", ""
    if ended:
        return "failed", str(ended.get("message", ""))
    if is_at_work(folder):
        return "running", ""
    return "interrupted", "it was interrupted; started again, it goes on where it ended"
