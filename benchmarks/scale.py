"""Time and memory for many volumes, from rates measured on the data of a run.

``OMP_NUM_THREADS=1 python benchmarks/scale.py RUN``: times are core seconds of a program with one
thread, so that they count for other numbers of cores. Of a run that finds the pose, a scan of the
size of a CT is measured, too: the first case, surrounded by what its faces look like.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from pose.disturbances import surrounded
from pose.field import loaded
from pose.measures import Measurer
from run_data import cases_of

from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.conf import CONF
from pin_lightning.common.tables import markdown
from pin_lightning.data.survey import survey
from pin_lightning.inference.run import infer
from pin_lightning.method.patches import bordered_size
from pin_lightning.method.pyramid import coarser_size
from pin_lightning.runs.folder import read_config, read_record
from pin_lightning.runs.pose_stage import pose_folder
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
        written_bytes: What `infer.py` writes of it.
        step_s: A training step.
        scan_bytes: A large scan as it is stored; None without a pose stage.
        scan_s: The scan to landmarks.
    """

    image_bytes: float
    cache_bytes: float
    stack_bytes: float
    preprocess_s: float
    start_s: float
    predict_s: float
    written_bytes: float
    step_s: float
    scan_bytes: float | None = None
    scan_s: float = 0.0


def core_seconds(call: Callable[[], object]) -> float:
    """Time of the processor, threads that read included."""
    began = time.process_time()
    call()
    return time.process_time() - began


def measure(run: Path, most: int, scan: Sequence[int]) -> Rates:
    """Rates of a run, on its own data.

    Args:
        run: Run folder.
        most: Cases at most.
        scan: Voxels of the large scan.
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
        scan_bytes, scan_s = None, 0.0
        if has_pose_stage(run):
            large = large_scan(run, Path(folder), scan)
            scan_bytes = float(large.stat().st_size)
            scan_s = core_seconds(lambda: predictor.predict(large))
        return Rates(
            image_bytes=sum(path.stat().st_size for path in images) / len(images),
            cache_bytes=sum(path.stat().st_size for path in cache.iterdir()) / len(images),
            stack_bytes=sum(bordered_size(len(images), size)[0] for size in sizes) / len(images),
            preprocess_s=(first - again) / len(images),
            start_s=again / len(images),
            predict_s=core_seconds(lambda: list(predictor.predict_many(images))) / len(images),
            written_bytes=written(run, images, Path(folder) / "out") / len(images),
            step_s=step_seconds(run, config, Path(folder)),
            scan_bytes=scan_bytes,
            scan_s=scan_s,
        )


def has_pose_stage(run: Path) -> bool:
    """Whether a run finds the pose."""
    return pose_folder(run).is_dir()


def large_scan(run: Path, folder: Path, size: Sequence[int]) -> Path:
    """The first case in a scan of some voxels, as a compressed file."""
    measurer = Measurer(run)
    scan = loaded(measurer, cases_of(read_config(run))[0])
    large = surrounded(scan, size, np.random.default_rng(0))
    path = folder / "large.nii.gz"
    nib.save(nib.Nifti1Image(large.voxels.astype(np.int16), large.affine), path)
    return path


def written(run: Path, images: Sequence[Path], output: Path) -> int:
    """Bytes that `infer.py` writes."""
    given = f"[{','.join(map(str, images))}]"
    settings = quote_arguments([f"run={run}", f"input={given}", f"output={output}", "device=cpu"])
    with initialize_config_dir(str(CONF), version_base="1.3"):
        infer(compose("infer", settings))
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())


def step_seconds(run: Path, config: DictConfig, folder: Path) -> float:
    """Time of a step: what more steps take more."""
    config = config.copy()
    config.report.pictures, config.ckpt_path, config.logger = False, None, None
    if has_pose_stage(run):
        config.pose.run = str(run)  # is not trained again
    config.data.cache_dir, config.trainer.val_check_interval = str(folder / "all"), 1000

    def trained(steps: int) -> float:
        config.trainer.max_steps = steps
        return core_seconds(lambda: train(config, folder / "run"))

    trained(FEW_STEPS)  # makes the working volumes
    return (trained(MORE_STEPS) - trained(FEW_STEPS)) / (MORE_STEPS - FEW_STEPS)


def plan(
    rates: Rates, volumes: int, cores: int, steps: int, price: float
) -> list[tuple[str, str, str]]:
    """Rows: what, what one takes, what all of them come to.

    Args:
        rates: Measured.
        volumes: Number of volumes.
        cores: That share the work where each volume can be taken by itself.
        steps: Training steps.
        price: Of a core hour.
    """

    def stored(what: str, size: float) -> tuple[str, str, str]:
        return what, f"{size / 1e6:.3g} MB", f"{volumes * size / GB:,.0f} GB"

    def cost(hours: float) -> str:
        return f"{hours:,.1f} core h, {hours * price:,.2f} at {price:g} each"

    def shared(what: str, seconds: float) -> tuple[str, str, str]:
        hours = volumes * seconds / HOUR
        said = f"{cost(hours)}; {hours / cores:,.2f} h on {cores} cores"
        return what, f"{seconds:.3g} core s", said

    def alone(what: str, seconds: float, times: int) -> tuple[str, str, str]:
        return what, f"{seconds:.3g} core s", cost(times * seconds / HOUR)

    rows = [
        stored("images", rates.image_bytes),
        stored("cached working volumes", rates.cache_bytes),
        stored("file mapped by loader=resident", rates.stack_bytes),
        shared("making working volumes", rates.preprocess_s),
        alone("start of a training, volumes cached", rates.start_s, volumes),
        alone(f"{steps:,} training steps", rates.step_s, steps),
        shared("inference, from image to landmarks", rates.predict_s),
        stored("what inference writes", rates.written_bytes),
    ]
    if rates.scan_bytes is not None:
        rows += [
            stored("large scans", rates.scan_bytes),
            shared("inference, from a large scan to landmarks", rates.scan_s),
        ]
    return rows


def main() -> None:
    """Measure, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--volumes", type=int, default=50_000)
    parser.add_argument("--cores", type=int, default=64, help="of all nodes together")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--cases", type=int, default=20, help="that are measured, at most")
    parser.add_argument("--price", type=float, default=0.05, help="of a core hour")
    parser.add_argument("--scan", type=int, nargs=3, default=(512, 512, 400), help="voxels")
    given = parser.parse_args()
    rates = measure(given.run, given.cases, given.scan)
    header = ("what", "measured: one", f"computed: {given.volumes:,} volumes")
    print(markdown(header, plan(rates, given.volumes, given.cores, given.steps, given.price)))


if __name__ == "__main__":
    main()
