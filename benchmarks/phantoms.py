"""Models on the same phantoms: ``python benchmarks/phantoms.py`` (half an hour).

The presets as they are, `multi` as in `make demo`, and `single`, a network for each landmark, with
the settings of the demo for three of the ten. Started again, it goes on with what is not finished.
"""

import argparse
import logging
import time
from pathlib import Path

import numpy as np
from accuracy import write
from hydra import compose, initialize_config_dir

from pin_lightning.cli.conf import CONF
from pin_lightning.common.shown_table import print_table
from pin_lightning.distributed.process import keep_freed_memory
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.runs.folds import is_finished
from pin_lightning.training.run import train

# The data and the split of the demo for all.
DATA = ["data=phantom", "data.spacing_mm=2.5", "data.source.num_cases=180"]
DATA += ["data.split.val_fraction=0.05", "data.split.test_fraction=0.15"]
MODELS = {
    "multi": ["experiment=demo", "model=multi"],
    "preset=fast": ["preset=fast", "pose=as_scanned"],
    "preset=accurate": ["preset=accurate", "pose=as_scanned"],
}
SINGLE = ["experiment=demo", "model=single"]
SINGLES = ("centerHead", "frontHead", "backHead")


def tested(name: str, settings: list[str], output: Path) -> Evaluation:
    """Test cases of a run, trained where it is not yet."""
    folder = output / name.replace("=", "_")
    if not is_finished(folder):
        began = time.perf_counter()
        names = [f"run_name={folder.name}", f"run_dir={folder}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("train", [*DATA, *settings, *names])
        train(config, folder)
        logging.info("%s: %.0f s", name, time.perf_counter() - began)
    return read_predictions(folder / "predictions.csv")["test"]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/phantoms"))
    output: Path = parser.parse_args().output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    errors = {}
    for name, settings in MODELS.items():
        evaluation = tested(name, settings, output)
        errors[name] = evaluation.errors_mm
    errors["mean shape"] = evaluation.mean_shape_errors_mm
    singles = [
        tested(f"single {one}", [*SINGLE, f"model.landmark={one}"], output) for one in SINGLES
    ]
    columns = [evaluation.names.index(one) for one in SINGLES]
    three = {f"{name}, three landmarks": own[:, columns] for name, own in errors.items()}
    single = np.concatenate([one.errors_mm for one in singles], axis=1)
    three["single, three landmarks"] = single
    title = f"{len(evaluation.cases)} test cases, {len(evaluation.names)} landmarks"
    print_table(write(errors, output / "table.md", title, reference="multi"))
    title = f"the same test cases, {', '.join(SINGLES)}"
    reference = "multi, three landmarks"
    print_table(write(three, output / "table_three.md", title, reference=reference))


if __name__ == "__main__":
    main()
