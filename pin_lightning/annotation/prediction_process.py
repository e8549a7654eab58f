"""The process that predicts for a server: one volume for each name that it is told.

It works in an output folder as `inference.run` does, so that a server that starts again finds what
is done, and ends when the server has ended, however that came.
"""

import logging
import os
import pickle
import sys
from collections.abc import Mapping

from omegaconf import DictConfig

from pin_lightning.cli.config_tree import composed
from pin_lightning.common.errors import FULL, user_mistake
from pin_lightning.distributed.parent import lines_of_parent
from pin_lightning.distributed.process import end_on_signals, importing, keep_freed_memory

STDIN = 0
NICENESS = 10  # the server goes first


def main() -> None:
    """Read settings, volumes and then names, one a line; say what became of each.

    Settings of ``infer`` and volumes by the names of their outputs are pickled. The first line on
    the standard output says ``ready`` and which volumes are not done, or ``refused`` and why; at
    any time it may say that the disk is ``full``, and end.
    """
    stdin = os.fdopen(os.dup(STDIN), "rb")
    settings, inputs = pickle.load(stdin)
    end_on_signals()
    keep_freed_memory()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    names = (line.decode("utf-8", "surrogatepass")[:-1] for line in lines_of_parent(stdin))
    with importing():
        from pin_lightning.annotation import predicting
        from pin_lightning.inference.lines import say
    try:
        predicting.predict_as_told(_config(settings), inputs, names)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            say(state="full", reason=error.strerror)
        else:
            reason = user_mistake(error) or f"{type(error).__name__}: {error}"
            say(state="refused", reason=reason)
        raise SystemExit(2) from error


def _config(settings: Mapping[str, object]) -> DictConfig:
    config: DictConfig = composed("infer")
    for key, value in settings.items():
        config[key] = value
    return config


if __name__ == "__main__":
    main()
