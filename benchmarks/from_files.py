"""Times of what begins with files, on the CPU: preprocessing, file to markups, torchio's queue."""

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import nibabel as nib
import numpy as np
import torch
from machine import median_seconds
from nibabel.processing import resample_from_to
from results import Row
from scipy import ndimage
from setups import BATCH, Setup

from pin_lightning.common.geometry import grid_affine
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.preprocessing import preprocess
from pin_lightning.runs.predictor import Predictor
from pin_lightning.training.samples.queue import queue_loader
from pin_lightning.training.samples.resident import ResidentLoader
from pin_lightning.training.samples.sampler import ShapePatchSampler

CPU = torch.device("cpu")
SIZE, SPACING_MM = (200, 146, 134), 0.15  # micro-CT of a mouse skull
FILES = 12


def write_scans(folder: Path, count: int = FILES) -> list[Path]:
    """Compressed NIfTI files: smooth structure with noise over an empty background."""
    noise = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(noise.standard_normal(SIZE).astype(np.float32), 4)
    body = smooth > np.quantile(smooth, 0.7)
    paths = []
    for number in range(count):
        grey = 120 + 40 * noise.standard_normal(SIZE)
        voxels = np.where(np.roll(body, 5 * number, 0), grey, 0).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"scan{number:02}.nii.gz")
        nib.save(nib.Nifti1Image(voxels, np.diag([*3 * [SPACING_MM], 1])), paths[-1])
    return paths


def preprocessing(setup: Setup, path: Path, repetitions: int) -> Row:
    """One file to its working volume."""
    grid = setup.grid

    def with_nibabel() -> np.ndarray:
        image = nib.load(path)
        target = (grid.size, grid_affine(image.affine, image.shape, grid))
        return resample_from_to(image, target, order=1).get_fdata()

    content = path.read_bytes()
    return Row(
        f"preprocess {SIZE[0]} x {SIZE[1]} x {SIZE[2]} .nii.gz",
        median_seconds(lambda: preprocess(path, grid), repetitions, CPU),
        median_seconds(lambda: gzip.decompress(content), repetitions, CPU),
        "decompression",
        "nibabel resample_from_to",
        median_seconds(with_nibabel, repetitions, CPU),
    )


def whole_path(setup: Setup, paths: list[Path], output: Path, at_most: float) -> Row:
    """Files to markups, per file, as `infer.py` does it."""
    predictor = Predictor(setup.localizer(), tuple(map(str, range(setup.landmarks))), "cpu")

    def write(name: str, prediction: object) -> None:
        write_landmarks(output / f"{name}.mrk.json", prediction.landmarks)  # type: ignore[attr-defined]

    def together() -> None:
        for path, prediction in predictor.predict_many(paths):
            write(path.name, prediction)

    def one_by_one() -> None:
        for path in paths:
            write(path.name, predictor.predict(path))

    return Row(
        f"{setup.name}: file to markups, per file of {len(paths)}",
        median_seconds(together, 3, CPU) / len(paths),
        reference="one file after another",
        reference_seconds=median_seconds(one_by_one, 3, CPU) / len(paths),
        at_most_seconds=at_most,
    )


def samples_per_second(loader: object, samples: int) -> float:
    """Samples per second that a loader gives on its own, once its first batch is there."""
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    next(batches)
    count = -(-samples // BATCH)
    began = perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH / (perf_counter() - began)


def queue(setup: Setup, paths: list[Path], settings: str) -> Callable[[ShapePatchSampler], object]:
    """Make a queue with settings such as ``num_workers=0 samples_per_volume=64``."""
    numbers = {key: int(value) for key, value in (one.split("=") for one in settings.split())}

    def loader(sampler: ShapePatchSampler) -> object:
        return queue_loader(paths, setup.shapes_mm, sampler, CPU, BATCH, **numbers)

    return loader


def queue_settings(setup: Setup, paths: list[Path]) -> dict[str, float]:
    """Samples per second of the queue by its settings: workers, samples per volume, length."""
    found = {}
    for workers, per_volume in itertools.product((0, 1, 2), (16, 64, 256)):
        length = max(512, per_volume * 4)
        settings = f"num_workers={workers} samples_per_volume={per_volume} queue_length={length}"
        loader = queue(setup, paths, settings)(setup.sampler(CPU))
        found[settings] = samples_per_second(loader, 1024)
    return found


def resident_speed(setup: Setup, paths: list[Path]) -> float:
    """Samples per second of the resident loader."""
    loader = ResidentLoader(paths, setup.shapes_mm, setup.sampler(CPU), CPU, BATCH)
    return samples_per_second(loader, 2048)
