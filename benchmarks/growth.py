"""Cost as work grows, of PIN and the systems beside it: ``python benchmarks/growth.py``.

The time to localise all landmarks in a volume, that of a training step, and the peak memory of
both, against the number of landmarks and that of voxels. Methods are untrained, and see volumes at
full resolution. Each cell is measured in a process of its own, of limited memory and time, so that
the table says where a method ends.

- ``only=[heatmap,shared]``: some methods.
- ``landmarks=[10,45,180]`` in the smallest volumes; ``sides=[1,2,4]`` times the sides of volumes of
  54 x 35 x 47 voxels, with the fewest landmarks.
- ``gigabytes=16 minutes=5``: limits of a cell.

Table and figure are in ``output=outputs/growth``; started again, it goes on. An agent that has not
learnt walks less far than one that has. A training step of PIN is that of its network, without
patches; times of ``single``, a network for each landmark, are those of all its networks.
"""

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from beside.cell import Cell, Cost, measure
from beside.figure import growth_figure
from beside.plan import METHODS
from beside.training import reason
from machine import describe
from pose.given import own_settings
from pose.tables import number, show
from processes import run_measured

from pin_lightning.cli.ending import failed_jobs, note_failure
from pin_lightning.common.files import write_json
from pin_lightning.reports.figures import plots

log = logging.getLogger(__name__)
ONE = "one"  # the program asks itself for a cell
HEADER = ("method", "landmarks", "voxels", "localising, s", "training step, s", "peak, GB")
OWN: Mapping[str, Any] = {
    "output": "outputs/growth",
    "only": None,
    "landmarks": [10, 45, 180],
    "sides": [1, 2, 4],
    "gigabytes": 16,
    "minutes": 5,
}


def main() -> None:
    """Measure all cells and show the table; asked for one, write its numbers."""
    if sys.argv[1:2] == [ONE]:
        given = json.loads(sys.argv[2])
        gigabytes, path = given.pop("gigabytes"), Path(given.pop("path"))
        write_json(path, measure(Cell(**given), gigabytes))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    own, unknown = own_settings("growth", sys.argv[1:], OWN)
    if unknown:
        raise SystemExit(f"{unknown[0]}: is no setting\n{__doc__}")
    costs: dict[Cell, Cost | None] = {}
    for method in own["only"] or METHODS:
        cells = [Cell(method, landmarks, 1) for landmarks in own["landmarks"]]
        cells += [Cell(method, own["landmarks"][0], side) for side in own["sides"] if side > 1]
        for cell in cells:
            log.info("%s", cell)
            costs[cell] = _cost(cell, own)
    rows = [
        (cell.method, str(cell.landmarks), " x ".join(map(str, cell.grid.size)), *_shown(cost))
        for cell, cost in costs.items()
    ]
    title = f"{describe(torch.device('cpu'))['processor']}, {torch.get_num_threads()} threads"
    show(own["output"] / "growth.md", title, HEADER, rows)
    measured = {cell: cost for cell, cost in costs.items() if cost is not None}
    plots.save(growth_figure(measured), own["output"] / "growth.png")
    if failed_jobs:
        raise SystemExit(2)


def _cost(cell: Cell, own: Mapping[str, Any]) -> Cost | None:
    """Measure a cell in a process of its own, unless that was done; None where it failed."""
    path = own["output"].absolute() / f"{cell.method}_{cell.landmarks}_{cell.side}.json"
    if path.is_file():
        return Cost(**json.loads(path.read_text("utf-8")))
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {**vars(cell), "gigabytes": own["gigabytes"], "path": str(path.with_suffix(".times"))}
    said = path.with_suffix(".log")
    with said.open("w", encoding="utf-8") as output:
        command = ("benchmarks/growth.py", ONE, json.dumps(given))
        ended = run_measured(*command, minutes=own["minutes"], output=output)
    if ended.stopped:
        cost = Cost(ended.peak_gb, ended=f"over {own['minutes']:g} min")
    elif ended.code == 0:
        times = json.loads(path.with_suffix(".times").read_text("utf-8"))
        cost = Cost(ended.peak_gb, **times)
    elif ended.code < 0 or "alloc" in said.read_text("utf-8", errors="replace").lower():
        cost = Cost(ended.peak_gb, ended=f"over {own['gigabytes']:g} GB")
    else:
        note_failure(f"{cell}: {reason(ended, None, said)}")
        return None
    write_json(path, asdict(cost))
    return cost


def _shown(cost: Cost | None) -> tuple[str, str, str]:
    """Cells of the table."""
    if cost is None:
        return "failed", "failed", "-"
    if cost.ended is not None:
        return cost.ended, cost.ended, number(cost.peak_gb, 2)
    localise, step = ("-" if one is None else number(one, 3) for one in cost.times)
    return localise, step, number(cost.peak_gb, 2)


if __name__ == "__main__":
    main()
