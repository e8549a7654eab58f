"""Peak memory and cold start of the real programs: ``make bench``.

72 volumes of 324 x 207 x 279 voxels, the paper's data, trained in the paper's configuration.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from machine import describe
from processes import REPOSITORY, run_measured
from results import Fact, show
from scipy import ndimage

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks

SIZE, SPACING_MM, LANDMARKS = (324, 207, 279), 0.5, 10
TARGET_GB = 3.0


def write_cases(root: Path, count: int) -> None:
    """Images and markups of a made-up data set: structure that is shifted from case to case."""
    random = np.random.default_rng(0)
    noise = random.standard_normal([side // 3 for side in SIZE]).astype(np.float32)
    small = ndimage.zoom(ndimage.gaussian_filter(noise, 2), 3, order=1)
    structure = np.pad(
        small, [(0, side - has) for side, has in zip(SIZE, small.shape, strict=True)]
    )
    low, high = np.quantile(structure, [0.01, 0.99])
    scaled = ((structure - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    mean_ijk = random.uniform(0.25, 0.75, (LANDMARKS, 3)) * SIZE
    affine = np.diag([*3 * [SPACING_MM], 1])
    for part in ("images", "landmarks"):
        (root / part).mkdir()
    for case in range(count):
        shift = random.integers(-15, 16, 3)
        image = nib.Nifti1Image(np.roll(scaled, shift, axis=(0, 1, 2)), affine)
        nib.save(image, root / "images" / f"case{case:03}.nii")
        ijk = mean_ijk + shift + random.normal(0, 4, mean_ijk.shape)
        names = [f"L{number}" for number in range(LANDMARKS)]
        markups = LandmarkSet.of(names, ijk * SPACING_MM)
        write_landmarks(root / "landmarks" / f"case{case:03}.mrk.json", markups)


def peak_gb(*command: str) -> tuple[float, float]:
    """Peak resident memory in GB and the seconds of one of the programs."""
    ended = run_measured(*command)
    if ended.code:
        raise SystemExit(f"{' '.join(command)} ended with {ended.code}")
    return ended.peak_gb, ended.seconds


def seconds_to_first_step(run: Path, *command: str) -> float:
    """From the start of the program to the checkpoint that follows its first step."""
    checkpoint = run / "checkpoints" / "last.ckpt"
    checkpoint.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=REPOSITORY)
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.05)
    taken = time.perf_counter() - began
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return taken


def more_facts(folder: Path, volumes: int, settings: list[str], steps: list[str]) -> list[Fact]:
    """The same training and its cold start with cached volumes, and a prediction by its run."""
    run, cached = folder / "run", "the same with its working volumes cached"
    again = peak_gb("train.py", *settings, *steps)
    one = ["trainer.max_steps=1", "trainer.val_check_interval=1"]
    cold = seconds_to_first_step(run, "train.py", *settings, *one)
    paths = [f"run={run}", f"input={folder}/data/images", f"output={folder}/predictions"]
    peak, seconds = peak_gb("infer.py", *paths)
    return [
        Fact(cached, again[0], "GB", f"<= {TARGET_GB:g} GB"),
        Fact(cached, again[1], "s"),
        Fact("the same: start to first step", cold, "s", "<= 15 s"),
        Fact(f"infer.py, {volumes} volumes: peak memory", peak, "GB"),
        Fact("infer.py: seconds per volume", seconds / volumes, "s"),
    ]


def main() -> None:
    """Write the data, run both programs, print and keep their peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volumes", type=int, default=72)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--memory", action="store_true", help="of training, and nothing else")
    parser.add_argument("--loader", default="resident")
    parser.add_argument("--output", type=Path, default=Path("outputs/bench"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, run = Path(folder, "data"), Path(folder, "run")
        root.mkdir()
        write_cases(root, given.volumes + 2)
        common = ["data=folder", f"data.root={root}", f"data.cache_dir={folder}/cache"]
        common += [f"data.spacing_mm={SPACING_MM}", "experiment=paper", f"run_dir={run}"]
        common += [f"loader={given.loader}", "data.split.val_fraction=0"]
        common += [f"data.split.test_names=[case000,case{given.volumes + 1:03}]"]
        steps = [f"trainer.max_steps={given.steps}", f"trainer.val_check_interval={given.steps}"]
        first = peak_gb("train.py", *common, *steps)
        others = [] if given.memory else more_facts(Path(folder), given.volumes + 2, common, steps)
    what = f"{given.volumes} volumes, {given.steps} steps, loader={given.loader}"
    facts = [
        Fact(f"train.py, {what}: peak memory", first[0], "GB", f"<= {TARGET_GB:g} GB"),
        Fact("train.py: seconds", first[1], "s"),
        *others,
    ]
    import torch  # only here: this process should be small beside those it measures

    machine = describe(torch.device("cpu"))
    given.output.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "facts": [vars(fact) for fact in facts]}
    (given.output / "programs.json").write_text(json.dumps(content, indent=2) + "\n")
    show(machine, [], facts)


if __name__ == "__main__":
    main()
