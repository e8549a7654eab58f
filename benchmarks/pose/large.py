"""A test case in a scan of 500 x 500 x 800 voxels: memory, time and error of ``infer.py``."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from programs import peak_gb

from pin_lightning.data.images.reading import stem
from pin_lightning.data.landmarks.files import read_landmarks
from pose.disturbances import Scan, surrounded
from pose.field import loaded
from pose.given import own_settings
from pose.measures import Measurer
from pose.tables import number, show

HEADER = ("scan", "voxels", "peak memory, GB", "s", "mean radial error, mm")


def predicted(measurer: Measurer, scan: Scan, image: Path, output: Path) -> tuple[str, ...]:
    """Cells of a scan that ``infer.py`` predicts."""
    given = [f"run={measurer.run}", f"input={image}", f"output={output}"]
    peak, seconds = peak_gb("infer.py", *given)
    found = read_landmarks(output / f"{stem(image)}.mrk.json")
    found_world = found.select(measurer.names).positions_world
    errors_mm = np.linalg.norm(found_world - scan.landmarks_world[measurer.own], axis=1)
    size = " x ".join(map(str, scan.voxels.shape))
    return (size, number(peak, 2), number(seconds, 1), number(float(np.nanmean(errors_mm))))


def main(given: Sequence[str]) -> None:
    """Predict a test case as it is and in a large scan, print."""
    own, _ = own_settings("large", given, {"run": None, "size": [500, 500, 800]})
    if own["run"] is None:
        raise SystemExit("give run=RUN, a run folder with a pose stage")
    measurer = Measurer(Path(own["run"]))
    case = measurer.tested()[0]
    scan = loaded(measurer, case)
    large = surrounded(scan, own["size"], np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "large.nii"
        nib.save(nib.Nifti1Image(large.voxels, large.affine), image)
        rows = [
            (case.name, *predicted(measurer, scan, case.image, Path(folder) / "as_it_is")),
            ("in a large scan", *predicted(measurer, large, image, Path(folder) / "large")),
        ]
    show(own["output"] / "large.md", str(own["run"]), HEADER, rows)
