"""Tables on the terminal."""

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table


def print_table(table: Table, console: Console | None = None) -> None:
    """Print a table whose words are whole, in lines longer than a narrow terminal if need be.

    Rich itself would leave out what does not fit, down to whole columns.
    """
    for column in table.columns:
        cells = [str(one) for one in (column.header, *column.cells)]
        whole = cells if column.no_wrap else [word for one in cells for word in one.split()]
        column.min_width = max(map(cell_len, whole), default=0)
    console = console or Console()
    needed = console.measure(table, options=console.options.update(max_width=10_000)).minimum
    width, console.width = console.width, max(console.width, needed)
    console.print(table)
    console.width = width
