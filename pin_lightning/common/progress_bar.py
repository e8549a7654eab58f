"""Progress bar whose thread ends with its block."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar, cast

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")


@contextmanager
def progress_bar(
    items: Iterable[Item],
    description: str,
    total: int,
    console: Console | None = None,
    quiet: bool = False,
) -> Iterator[Iterator[Item]]:
    """Show a progress bar on a terminal while the block iterates over the yielded items.

    `rich.progress.track` leaves its thread to the garbage collector after an exception. If the
    collector runs in such a thread while it draws, that thread and the next bar deadlock.

    Args:
        items: Items to iterate over.
        description: Text before the bar.
        total: Number of items.
        console: Console of the bar; standard error by default.
        quiet: Draw nothing on a terminal either.
    """
    console = console or Console(stderr=True)
    shown = console.is_terminal and not quiet
    bar = Progress(console=console, transient=True, disable=not shown, auto_refresh=shown)
    counted = bar.track(items, total, description=description)
    with bar, closing(cast(Generator[Item, None, None], counted)) as generator:
        yield generator
