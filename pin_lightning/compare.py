"""Compare two runs: ``python -m pin_lightning.compare RUN_A RUN_B``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pin_lightning.cli.program import in_order


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="pin-lightning compare",
        description="Compare two runs on the cases and landmarks that both have.",
    )
    what = "folder of train.py or of cross_validate, or a predictions.csv"
    parser.add_argument("a", metavar="RUN_A", type=Path, help=what)
    parser.add_argument("b", metavar="RUN_B", type=Path, help="another")
    parser.add_argument("--split", default="test", help="test (default) or val")
    radii = "radii of the success rates in mm (default: 0.5 1 2 4 8)"
    parser.add_argument("--radii", metavar="MM", type=float, nargs="+", help=radii)
    files = "folder for comparison.csv, comparison.md and comparison.png"
    parser.add_argument("--output", metavar="FOLDER", type=Path, help=files)
    return parser.parse_args(given)


@in_order
def main(given: Sequence[str] | None = None) -> None:
    """Print the comparison and, with ``--output``, write it; exit code 2 on bad input."""
    asked = arguments(given)
    # Heavy imports, after the arguments
    from pin_lightning.cli.tasks import one_line_errors
    from pin_lightning.studies.comparison.report import RADII_MM, compare_runs

    compare = one_line_errors(compare_runs)
    compare(asked.a, asked.b, asked.split, asked.radii or RADII_MM, asked.output)


if __name__ == "__main__":
    main()
