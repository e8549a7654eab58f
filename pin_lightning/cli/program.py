"""Entry points of programs, which end in order from their first moment on.

What takes long to import, Hydra among it, is imported once Ctrl-C and SIGTERM are seen to.
"""

import atexit
import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pin_lightning.distributed.process import (
    asked_to_end,
    end_on_signals,
    ignore_signals,
    keep_freed_memory,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig


def in_order(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of an entry point: Ctrl-C and SIGTERM end it in one line with their exit codes."""

    @functools.wraps(main)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            keep_freed_memory()  # before there is another thread, whose memory would be apart
            end_on_signals()
            return main(*args, **kwargs)
        except BaseException as error:
            asked = asked_to_end(error)
            if asked is None:
                raise
            print(f"error: ended by {asked[1]}", file=sys.stderr)
            raise SystemExit(asked[0]) from error
        finally:
            atexit.register(ignore_signals)  # the first to be called of what is registered by now

    return wrapper


def program(name: str) -> Callable[[Callable[["DictConfig"], Any]], Callable[[], None]]:
    """Decorator that makes a Hydra program of a function of its config in `conf`."""

    def decorate(task: Callable[["DictConfig"], Any]) -> Callable[[], None]:
        @in_order
        def main() -> None:
            from pin_lightning.cli.hydra_program import start

            start(name, task)

        return main

    return decorate
