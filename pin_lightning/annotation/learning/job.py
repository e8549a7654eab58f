"""The process of a training: runs the cross-validation, and notes how it ended.

It inherits the lock of the training as an open file, so that there is no moment without, and passes
it on: if this process alone is killed, the training that is left still counts as running. It is the
leader of its process group, so that all of a training is ended together, and lives on when the
server ends: the next one finds it by its lock.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pin_lightning.annotation.learning.settings import PROGRAM
from pin_lightning.annotation.learning.training_folder import (
    ENDED,
    MESSAGES,
    TRAINING,
    read_training,
)
from pin_lightning.common.files import write_json

ASKED_TO_END = {128 + signal.SIGTERM, 128 + signal.SIGINT}
_ERROR = "error: "


def main(arguments: Sequence[str]) -> None:
    """Run the training of a folder, whose lock is an open file."""
    folder, lock = Path(arguments[0]), int(arguments[1])
    for one in (signal.SIGTERM, signal.SIGINT):  # it ends when the training has ended
        signal.signal(one, lambda *_: None)
    (folder / ENDED).unlink(missing_ok=True)
    training = read_training(folder)
    if training is None:
        write_json(folder / ENDED, {"code": 2, "message": f"{TRAINING} is damaged"})
        return
    command = [sys.executable, "-m", f"pin_lightning.{PROGRAM}", *training.settings]
    with (folder / MESSAGES).open("ab") as messages:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            check=False,
            pass_fds=(lock,),
        )
    code = ended.returncode
    if code >= 0 and code not in ASKED_TO_END:
        write_json(folder / ENDED, {"code": code, "message": _reason(folder / MESSAGES)})


def _reason(messages: Path) -> str:
    """The line that says why a program ended, without which the last one."""
    lines = messages.read_text("utf-8", "replace").splitlines()
    lines = [line.strip() for line in lines[-50:] if line.strip()]
    said = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    return (said or lines or [""])[-1][:1000]


if __name__ == "__main__":
    main(sys.argv[1:])
