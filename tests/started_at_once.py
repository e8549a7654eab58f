"""Processes that predict, begun by a server that has imported everything: they start at once."""

import multiprocessing
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path


def server() -> ForkServerContext:
    """A context whose processes begin with PyTorch and the program in memory."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pin_lightning.inference.run", "conftest"])
    return context


def start(context: ForkServerContext, said: Path, settings: Sequence[str]) -> BaseProcess:
    """Start a prediction; what it says goes to the end of a file."""
    process = context.Process(target=_predict, args=(said, list(settings)))
    process.start()
    return process


def _predict(said: Path, settings: Sequence[str]) -> None:
    import torch

    from conftest import composed
    from pin_lightning.inference.run import infer

    torch.set_num_threads(1)
    with said.open("a", encoding="utf-8") as sys.stdout:
        failed = infer(composed(*settings, config_name="infer"))
    raise SystemExit(2 if failed else 0)
