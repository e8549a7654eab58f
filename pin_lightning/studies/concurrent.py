"""Several trainings at the same time, each in a process with its share of the cores."""

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from pin_lightning.distributed.process import end_on_sigterm, keep_freed_memory

log = logging.getLogger(__name__)

MESSAGES = "train.log"


def run_at_once(
    function: Callable[..., object],
    arguments: Sequence[tuple[Any, ...]],
    folders: Sequence[Path],
    at_once: int,
) -> None:
    """Call a function for each of several arguments in processes of their own.

    What a call prints and logs goes to ``train.log`` in its folder. Small networks use one core
    better than two, so that two trainings at once are done before two that follow one another.

    Args:
        function: A function of a module.
        arguments: Of each call.
        folders: Of each call, made where there is none.
        at_once: Calls at the same time.

    Raises:
        Exception: The first that a call raises, after those that have begun are finished.
        ValueError: The process of a call was killed.
        SystemExit: A process was asked to end; the others are asked as well, and save themselves.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit threads that do not run
    threads = max(1, torch.get_num_threads() // at_once)
    # A process for each call, as a program of its own would be: nothing is left of the one before.
    with ProcessPoolExecutor(at_once, context, max_tasks_per_child=1) as pool:
        waiting = iter(zip(arguments, folders, strict=True))
        running: dict[Future[None], Path] = {}
        try:
            while True:
                # No more than run now: the pool would begin what it holds after this process is
                # asked to end.
                for own, folder in islice(waiting, at_once - len(running)):
                    call = pool.submit(_call, function, own, folder / MESSAGES, threads)
                    running[call] = folder
                if not running:
                    return
                for call in wait(running, return_when=FIRST_COMPLETED).done:
                    folder = running.pop(call)
                    call.result()
                    log.info("%s: finished", folder.name)
        except BrokenProcessPool as error:
            raise ValueError(
                f"{folder.parent}: a process was killed, maybe for want of memory; "
                f"start again with the same run_dir"
            ) from error
        except SystemExit:  # this process is asked to end, or one of the others was
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _call(
    function: Callable[..., object], arguments: tuple[Any, ...], messages: Path, threads: int
) -> None:
    messages.parent.mkdir(parents=True, exist_ok=True)
    with messages.open("a", encoding="utf-8") as file:
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    keep_freed_memory()
    end_on_sigterm()
    torch.set_num_threads(threads)
    function(*arguments)
