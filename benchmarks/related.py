"""PIN beside the systems of other papers: ``python benchmarks/related.py SETTING=VALUE...``.

``python benchmarks/related.py data=folder data.root=FOLDER`` trains `multi`, `single`, `shared` and
every system of the registry on ``folds=5`` folds, and ends in one table and one figure of all test
cases. Each fold is trained by ``train.py`` in a process of its own, whose time and memory count.

- ``only=[heatmap,shared]``: some methods.
- ``poses=[as_scanned]``: as the scans lie, for data that lie in line; ``[find]`` behind the pose
  stage, or both.
- ``landmarks=[CSP]``: landmarks for which `single` is trained, a network for each; all by default.
- ``minutes=null``: longest time of a run, training and test cases.
- ``others.NAME=FOLDER``: another program on the same folds, as ``benchmarks/peer.py`` leaves it.
- ``METHOD.SETTING=VALUE``: a setting of one method, as ``shared.trainer.max_steps=2000``; others
  are for all to which they apply.

Results are in ``output=outputs/related``: ``table.md``, ``figure.png`` and a run folder for each
method, pose and fold. Started again, it goes on with what is not finished. ``small=true`` takes a
few small phantoms and steps. A run that fails is named, the others go on, and the exit code is 2.
"""

import logging
import sys
from pathlib import Path

from beside.figure import figure_of
from beside.plan import OWN, SMALL, SMALL_OWN, methods_of
from beside.table import HEADER, in_order, measured, measured_elsewhere, rows
from beside.training import train_all
from pose.given import own_settings
from pose.tables import show

from pin_lightning.cli.ending import failed_jobs, note_failure
from pin_lightning.cli.refusals import hydra_refusal
from pin_lightning.distributed.process import end_on_signals
from pin_lightning.reports.figures import plots

OTHERS = "others."


def main() -> None:
    """Train what is not trained yet, and compare."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    end_on_signals()
    own, settings = own_settings("related", sys.argv[1:], OWN, SMALL)
    if own["small"]:
        own |= {name: value for name, value in SMALL_OWN.items() if own[name] == OWN[name]}
    output = own["output"]
    others = [one.removeprefix(OTHERS) for one in settings if one.startswith(OTHERS)]
    settings = [one for one in settings if not one.startswith(OTHERS)]
    try:
        methods = methods_of(own, settings)
        for line in train_all(methods, own["minutes"]):
            note_failure(line)
        found = [one for one in map(measured, methods) if one is not None]
        for name, _, folder in (one.partition("=") for one in others):
            found.append(measured_elsewhere(name, Path(folder)))
    except Exception as error:
        if (mistake := hydra_refusal(error, "train", settings)) is None:
            raise
        note_failure(mistake)
        found = []
    if found:
        title = f"{own['folds']} folds, {' '.join(settings)}"
        show(output / "table.md", title, HEADER, rows(found))
        plots.save(figure_of(in_order(found)), output / "figure.png")
    if failed_jobs:
        raise SystemExit(2)


if __name__ == "__main__":
    main()
