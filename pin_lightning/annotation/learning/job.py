"""The process of a training: holds its lock, runs the cross-validation, notes how it ended.

It is the leader of its process group, so that all of a training is ended together, and lives on
when the server ends: the next one finds it by its lock.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from pin_lightning.annotation.learning.training_folder import (
    ENDED,
    JOB,
    LOCK,
    MESSAGES,
    read_training,
)
from pin_lightning.common.files import write_json

SECONDS_TO_BEGIN = 30.0
ASKED_TO_END = {128 + signal.SIGTERM, 128 + signal.SIGINT}
_ERROR = "error: "


def main(arguments: Sequence[str]) -> None:
    """Run the training of a folder."""
    folder = Path(arguments[0])
    for one in (signal.SIGTERM, signal.SIGINT):  # it ends when the training has ended
        signal.signal(one, lambda *_: None)
    with FileLock(folder / LOCK, timeout=SECONDS_TO_BEGIN):
        (folder / ENDED).unlink(missing_ok=True)
        write_json(folder / JOB, {"pid": os.getpid()})
        training = read_training(folder)
        if training is None:
            write_json(folder / ENDED, {"code": 2, "message": "training.json is damaged"})
            return
        command = [sys.executable, "-m", "pin_lightning.cross_validate", *training.settings]
        with (folder / MESSAGES).open("ab") as messages:
            streams = {"stdout": messages, "stderr": messages, "stdin": subprocess.DEVNULL}
            code = subprocess.run(command, check=False, **streams).returncode
        if code >= 0 and code not in ASKED_TO_END:
            content = {"code": code, "message": _reason(folder / MESSAGES)}
            write_json(folder / ENDED, content)


def _reason(messages: Path) -> str:
    """The line that says why a program ended, without which the last one."""
    lines = messages.read_text("utf-8", "replace").splitlines()
    lines = [line.strip() for line in lines[-50:] if line.strip()]
    said = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    return (said or lines or [""])[-1][:1000]


if __name__ == "__main__":
    main(sys.argv[1:])
