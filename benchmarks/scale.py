"""Time and memory for many volumes, from rates measured on the data of a run.

``OMP_NUM_THREADS=1 python benchmarks/scale.py RUN``: times are core seconds of a program with one
thread, so that they count for other numbers of cores.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from run_data import cases_of

from pin_lightning.common.tables import markdown
from pin_lightning.data.survey import survey
from pin_lightning.method.patches import bordered_size
from pin_lightning.method.pyramid import coarser_size
from pin_lightning.runs.folder import read_config, read_record
from pin_lightning.runs.predictor import Predictor
from pin_lightning.training.run import train

FEW_STEPS, MORE_STEPS = 5, 25
HOUR, GB = 3600, 1e9


@dataclass(frozen=True)
class Rates:
    """Time of one volume, or of one step.

    Attributes:
        image_bytes: Image as it is stored.
        cache_bytes: Working volume.
        stack_bytes: Its part of the file that `loader=resident` maps.
        preprocess_s: Image to working volume.
        start_s: Header, landmarks and checks, once working volumes are cached.
        predict_s: Image to landmarks.
        step_s: A training step.
    """

    image_bytes: float
    cache_bytes: float
    stack_bytes: float
    preprocess_s: float
    start_s: float
    predict_s: float
    step_s: float


def core_seconds(call: Callable[[], object]) -> float:
    """Time of the processor, threads that read included."""
    began = time.process_time()
    call()
    return time.process_time() - began


def measure(run: Path, most: int) -> Rates:
    """Rates of a run, on its own data.

    Args:
        run: Run folder.
        most: Cases at most.
    """
    config, grid = read_config(run), read_record(run).grid
    cases = cases_of(config)[:most]
    images = [case.image for case in cases]
    predictor = Predictor.load(run, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")

        def look() -> None:
            survey(cases, cache, None, grid.spacing_mm, grid.size)

        first, again = core_seconds(look), core_seconds(look)
        sizes = [coarser_size(grid.size, factor) for factor in config.model.patch_spacings]
        return Rates(
            image_bytes=sum(path.stat().st_size for path in images) / len(images),
            cache_bytes=sum(path.stat().st_size for path in cache.iterdir()) / len(images),
            stack_bytes=sum(bordered_size(len(images), size)[0] for size in sizes) / len(images),
            preprocess_s=(first - again) / len(images),
            start_s=again / len(images),
            predict_s=core_seconds(lambda: list(predictor.predict_many(images))) / len(images),
            step_s=step_seconds(config, Path(folder)),
        )


def step_seconds(config: DictConfig, folder: Path) -> float:
    """Time of a step: what more steps take more."""
    config = config.copy()
    config.report.pictures, config.ckpt_path, config.logger = False, None, None
    config.data.cache_dir, config.trainer.val_check_interval = str(folder / "all"), 1000

    def trained(steps: int) -> float:
        config.trainer.max_steps = steps
        return core_seconds(lambda: train(config, folder / "run"))

    trained(FEW_STEPS)  # makes the working volumes
    return (trained(MORE_STEPS) - trained(FEW_STEPS)) / (MORE_STEPS - FEW_STEPS)


def plan(rates: Rates, volumes: int, cores: int, steps: int) -> list[tuple[str, str, str]]:
    """Rows: what, what one takes, what all of them come to.

    Args:
        rates: Measured.
        volumes: Number of volumes.
        cores: That share the work where each volume can be taken by itself.
        steps: Training steps.
    """

    def stored(what: str, size: float) -> tuple[str, str, str]:
        return what, f"{size / 1e6:.3g} MB", f"{volumes * size / GB:,.0f} GB"

    def shared(what: str, seconds: float) -> tuple[str, str, str]:
        hours = volumes * seconds / HOUR
        said = f"{hours:,.1f} core h: {hours / cores:,.2f} h on {cores} cores"
        return what, f"{seconds:.3g} core s", said

    def alone(what: str, seconds: float, times: int) -> tuple[str, str, str]:
        return what, f"{seconds:.3g} core s", f"{times * seconds / HOUR:,.1f} core h"

    return [
        stored("images", rates.image_bytes),
        stored("cached working volumes", rates.cache_bytes),
        stored("file mapped by loader=resident", rates.stack_bytes),
        shared("making working volumes", rates.preprocess_s),
        alone("start of a training, volumes cached", rates.start_s, volumes),
        alone(f"{steps:,} training steps", rates.step_s, steps),
        shared("inference, from image to landmarks", rates.predict_s),
    ]


def main() -> None:
    """Measure, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--volumes", type=int, default=50_000)
    parser.add_argument("--cores", type=int, default=64, help="of all nodes together")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--cases", type=int, default=20, help="that are measured, at most")
    given = parser.parse_args()
    rates = measure(given.run, given.cases)
    header = ("what", "measured: one", f"computed: {given.volumes:,} volumes")
    print(markdown(header, plan(rates, given.volumes, given.cores, given.steps)))


if __name__ == "__main__":
    main()
