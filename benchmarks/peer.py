"""A program that people use today on the same folds: ``python benchmarks/peer.py run=FOLDS``.

landmarker (https://github.com/predict-idlab/landmarker) is trained on the training cases of each
fold, and finds its test cases, in an environment of its own that ``python=ENV/bin/python`` names:
``python3 -m venv ENV && ENV/bin/pip install landmarker==0.4.1``.

- ``run=FOLDS``: folder of a cross-validation, or of a method of ``benchmarks/related.py``, of scans
  as they lie.
- ``minutes=10``: time to train on a fold, or ``max_steps=100000`` before it is over.
- ``learning_rate=1e-6``, which its documentation has, and ``seed=0``.
- ``most_voxels=60000``: of a volume; where there are more, volumes are coarser.

Results are in ``output=outputs/landmarker``, a folder for each fold. Started again, it goes on with
those that are not finished. ``benchmarks/related.py others.landmarker=FOLDER`` has them as a row.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from beside.elsewhere import Elsewhere, folds_in, read_elsewhere, write_elsewhere
from beside.training import OUTPUT, reason
from pose.given import own_settings
from processes import run_measured
from registration import survey_of

from pin_lightning.baselines.whole_volume import factor_for
from pin_lightning.cli.ending import failed_jobs, note_failure
from pin_lightning.common.geometry import mm_to_world
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.method.pyramid import coarser, coarser_grid
from pin_lightning.runs.folder import PREDICTIONS, read_model

log = logging.getLogger(__name__)
PROGRAM = "benchmarks/beside/landmarker_training.py"
OWN: Mapping[str, Any] = {
    "run": None,
    "python": "python",
    "minutes": 10,
    "max_steps": 100_000,
    "learning_rate": 1e-6,
    "seed": 0,
    "most_voxels": 60_000,
    "output": "outputs/landmarker",
}
OF_TRAINING = ("max_steps", "learning_rate", "seed")
OF_FOLD = (*OF_TRAINING, "minutes", "most_voxels")


def main() -> None:
    """Train and ask it on all folds."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    own, unknown = own_settings("peer", sys.argv[1:], OWN)
    if unknown:
        raise SystemExit(f"{unknown[0]}: is no setting; {__doc__}")
    if own["run"] is None:
        raise SystemExit(__doc__)
    for fold in folds_in(Path(own["run"])):
        folder = own["output"] / fold.name
        if read_elsewhere(folder) is None:
            _measure(fold, folder, own)
    if failed_jobs:
        raise SystemExit(2)


def _measure(fold: Path, folder: Path, own: Mapping[str, Any]) -> None:
    """Train on a fold, find its test cases, and leave what the table reads."""
    if read_model(fold).pose is not None:
        raise SystemExit(f"run={fold}: finds the pose first; give one with pose=as_scanned")
    folder.mkdir(parents=True, exist_ok=True)
    evaluation = read_predictions(fold / PREDICTIONS)["test"]
    surveyed, record = survey_of(fold)
    cases = {one.case.name: one for one in surveyed.cases}
    volumes = {name: load_volume(path) for name, path in surveyed.volumes.items()}
    factor = factor_for(record.grid, own["most_voxels"])
    grid = coarser_grid(record.grid, factor)
    train = list(record.split.train)

    def given(names: Sequence[str]) -> np.ndarray:
        fine = torch.stack([volumes[one].intensity for one in names])
        return coarser(fine, factor).numpy()

    landmarks_mm = torch.stack([cases[one].landmarks_mm for one in train])
    job, answer = folder / "job.npz", folder / "answer.npz"
    np.savez(
        job,
        train_volumes=given(train),
        train_landmarks=grid.mm_to_ijk(landmarks_mm).numpy(),
        test_volumes=given(evaluation.cases),
        seconds=60 * own["minutes"],
        **{one: own[one] for one in OF_TRAINING},
    )
    log.info("%s: %d volumes of %s voxels of %g mm", fold, len(train), grid.size, grid.spacing_mm)
    said = folder / OUTPUT
    with said.open("w", encoding="utf-8") as output:
        ended = run_measured(PROGRAM, str(job), str(answer), python=own["python"], output=output)
    if ended.code:
        note_failure(f"{folder}: {reason(ended, None, said)}")
        return
    with np.load(answer) as numbers:
        found = dict(numbers)
    job.unlink()
    found_world = np.stack(
        [
            mm_to_world(grid.ijk_to_mm(positions), volumes[name].affine, record.grid)
            for name, positions in zip(evaluation.cases, found["positions"], strict=True)
        ]
    )
    measured = Elsewhere(
        settings={name: own[name] for name in OF_FOLD},
        steps=int(found["steps"]),
        training_seconds=float(found["training_seconds"]),
        peak_gb=ended.peak_gb,
        weights=int(found["weights"]),
    )
    seconds = np.asarray(found["seconds"], dtype=np.float64)
    write_elsewhere(
        folder,
        measured,
        replace(
            evaluation,
            predicted_world=found_world,
            spread_mm=np.zeros_like(evaluation.spread_mm),
            seconds=seconds,
            localise_seconds=seconds,
        ),
    )
    error_mm = np.nanmean(read_predictions(folder / PREDICTIONS)["test"].errors_mm)
    log.info("%s: %d steps, mean error %.3f mm", folder, measured.steps, error_mm)


if __name__ == "__main__":
    main()
