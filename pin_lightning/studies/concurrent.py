"""Concurrent trainings, each in a process with its share of the cores."""

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

from pin_lightning.distributed.process import end_on_signals, keep_freed_memory, postpone_end

log = logging.getLogger(__name__)

MESSAGES = "train.log"


def run_at_once(
    function: Callable[..., object],
    arguments: Sequence[tuple[Any, ...]],
    folders: Sequence[Path],
    at_once: int,
) -> None:
    """Call a function with each of several arguments, in a process for each call.

    Output and log of a call go to ``train.log`` in its folder. Small networks use one core better
    than two, so that two concurrent trainings finish sooner than two in sequence.

    Args:
        function: A function of a module.
        arguments: Arguments of each call.
        folders: Folder of each call, made if absent.
        at_once: Number of concurrent calls.

    Raises:
        Exception: The first exception of a call, after the calls that have begun are finished.
        ValueError: The process of a call was killed.
        SystemExit: A process was asked to end; the others are asked as well, and save their state.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit locks of other threads
    threads = max(1, torch.get_num_threads() // at_once)
    # A process for each call, so that no state of an earlier one is left.
    with ProcessPoolExecutor(at_once, context, max_tasks_per_child=1) as pool:
        waiting = iter(zip(arguments, folders, strict=True))
        running: dict[Future[None], Path] = {}
        try:
            while True:
                # Submit no more than can run now: the pool would begin waiting calls even after
                # this process is asked to end.
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
                f"{folder.parent}: a process was killed, possibly for lack of memory; "
                f"start again with the same run_dir"
            ) from error
        except SystemExit:  # this process is asked to end, or one of the others was
            postpone_end(until_saved=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            postpone_end(until_saved=False)


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
    end_on_signals()
    torch.set_num_threads(threads)
    function(*arguments)
