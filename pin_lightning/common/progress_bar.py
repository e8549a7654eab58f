"""A progress bar that ends with its block."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar, cast

from rich import get_console
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
    """Count items on a terminal while they are worked on; elsewhere nothing is shown.

    Instead of `rich.progress.track`, whose threads an exception leaves to the garbage collector.
    That may run in one of them while it draws: it then waits for itself, and the next bar for it.

    Args:
        items: What the block iterates over, by way of what is given to it.
        description: Text before the bar.
        total: Number of items.
        console: Where the bar is drawn; none is standard output.
        quiet: Draw nothing on a terminal either.
    """
    console = console or get_console()
    shown = console.is_terminal and not quiet
    bar = Progress(console=console, transient=True, disable=not shown, auto_refresh=shown)
    counted = bar.track(items, total, description=description)
    with bar, closing(cast(Generator[Item, None, None], counted)) as generator:
        yield generator
