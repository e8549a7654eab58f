"""The process that predicts for a server: one volume for each name that it is told.

It works in an output folder as `inference.run` does, so that a server that starts again finds what
is done, and ends when the server has ended, however that came.
"""

import logging
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO

from omegaconf import DictConfig

from pin_lightning.cli.config_tree import composed
from pin_lightning.common.errors import user_mistake
from pin_lightning.distributed.process import end_on_signals, importing, keep_freed_memory

STDIN = 0
NICENESS = 10  # the server goes first


def main() -> None:
    """Read settings, volumes and then names, one a line; say what became of each.

    Settings of ``infer`` and volumes by the names of their outputs are pickled. The first line on
    the standard output says ``ready`` and which volumes are not done, or ``refused`` and why.
    """
    stdin = os.fdopen(os.dup(STDIN), "rb")
    settings, inputs = pickle.load(stdin)
    end_on_signals()
    keep_freed_memory()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    names: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(stdin, names), daemon=True).start()
    with importing():
        from pin_lightning.annotation import predicting
        from pin_lightning.inference.lines import say
    try:
        predicting.predict_as_told(_config(settings), inputs, _told(names))
    except Exception as error:
        say(state="refused", reason=user_mistake(error) or f"{type(error).__name__}: {error}")
        raise SystemExit(2) from error


def _listen(stdin: IO[bytes], names: "queue.Queue[str]") -> None:
    """Pass names on; end this process when the server has ended, which closes the pipe."""
    for line in stdin:
        names.put(line.decode("utf-8", "surrogatepass").rstrip("\n"))
    os.kill(os.getpid(), signal.SIGTERM)


def _told(names: "queue.Queue[str]") -> Iterator[str]:
    while True:
        yield names.get()


def _config(settings: Mapping[str, object]) -> DictConfig:
    config: DictConfig = composed("infer")
    for key, value in settings.items():
        config[key] = value
    return config


if __name__ == "__main__":
    main()
