"""The pose stage: ``python benchmarks/poses.py WHAT SETTING=VALUE...``.

- ``folds data.root=DIR``: all folds of a preset, or ``only=[0,3]``; poses, errors and times.
- ``few data.root=DIR``: trained on 1, 2, 5 and 10 cases, the others are predicted; three draws of
  the cases, or some: ``counts=[1] draws=[2]``.
- ``field run=RUN``: parts of the scan cut away, padding, metal, turned files; and whether volumes
  without the anatomy are marked uncertain (``other=DIR``: images of another anatomy).
- ``ablation data.root=DIR``: the pose stage alone, each time with one thing otherwise.
- ``large run=RUN``: a test case in a scan of 500 x 500 x 800 voxels.
- ``phantoms``: heads in any orientation, in volumes of twice the extent.

Each prints a table and writes it into its folder ``output=outputs/poses/WHAT``. Started again, it
goes on with what is not finished. ``small=true`` takes a few small phantoms and steps, a minute.
All other settings are those of a training.
"""

import logging
import sys

from pose import ablation, few, field, folds, large, phantoms

from pin_lightning.distributed.process import keep_freed_memory

WHAT = {
    "folds": folds.main,
    "few": few.main,
    "field": field.main,
    "ablation": ablation.main,
    "large": large.main,
    "phantoms": phantoms.main,
}


def main() -> None:
    """Run one of the measurements."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    what, *given = sys.argv[1:] or [""]
    if what not in WHAT:
        raise SystemExit(f"{__doc__}\ngive one of {', '.join(WHAT)}")
    keep_freed_memory()
    WHAT[what](given)


if __name__ == "__main__":
    main()
