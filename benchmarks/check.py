"""Time of the check of very many cases: ``python benchmarks/check.py 1000 12000``.

Small phantoms of ten landmarks are made, and checked twice: the second time their working volumes
are in the cache. Seconds are of one core: those that the process used.
"""

import sys
import tempfile
import time
from pathlib import Path

from hydra import compose, initialize_config_dir

from pin_lightning.cli.conf import CONF
from pin_lightning.common.tables import markdown
from pin_lightning.data.sources.phantom import phantom_cases
from pin_lightning.reports.data_check import check

HEADER = ("cases", "first check, core s", "again, core s", "again, ms a case")
SIZE, SPACING_MM = (12, 10, 11), (13.0, 13.0, 13.0)


def seconds(settings: list[str]) -> float:
    """Processor time of a check."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("check", settings)
    began = time.process_time()
    check(config)
    return time.process_time() - began


def row(count: int) -> tuple[str, ...]:
    """Cells of a number of cases."""
    with tempfile.TemporaryDirectory() as folder:
        phantom_cases(Path(folder, "data"), count, SIZE, SPACING_MM, seed=0)
        settings = ["data=folder", f"data.root={folder}/data", f"data.cache_dir={folder}/cache"]
        settings += [f"sheet={folder}/sheet.png", "data.spacing_mm=13"]
        first, again = seconds(settings), seconds(settings)
    return f"{count:,}", f"{first:.1f}", f"{again:.1f}", f"{1000 * again / count:.1f}"


def main() -> None:
    """Measure and print."""
    counts = [int(one) for one in sys.argv[1:]] or [1000, 12_000]
    rows = []
    for count in counts:  # the table grows
        rows.append(row(count))
        print(markdown(HEADER, rows), flush=True)


if __name__ == "__main__":
    main()
