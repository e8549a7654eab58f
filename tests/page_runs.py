"""A run folder with all that a page is made of, written without a training."""

from pathlib import Path

import numpy as np
from matplotlib.image import imsave
from omegaconf import OmegaConf

from pin_lightning.common.files import write_json
from pin_lightning.common.geometry import Grid
from pin_lightning.data.splits import Split
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import write_predictions
from pin_lightning.runs.folder import RunRecord, write_run

HOSTILE = "<script>alert(\"1\")</script> & 'quoted' " + "long" * 30
CONFIG = {
    "run_name": "short",
    "seed": 0,
    "first_stage": None,
    "pose": {"kind": "as_scanned"},
    "overrides": ["data.root=/home/somebody/skulls", "first_stage='/home/somebody/x y'"],
    "data": {"root": "/home/somebody/skulls", "cache_dir": "/home/somebody/cache"},
    "report": {"failure_mm": None, "others": {}},
    "model": {
        "alpha": 0.5,
        "patch_side": 17,
        "patch_spacings": [1],
        "interpolation": "nearest",
        "displacement_unit": "voxel",
        "num_starts": 6,
        "tolerance_voxels": 0.02,
        "prior": None,
        "prior_share": 0.6,
    },
    "shape": {"_target_": "pin_lightning.method.shape_models.PCAShapeModel"},
    "network": {"_target_": "pin_lightning.method.networks.CompactNetwork"},
    "update_rule": {"_target_": "pin_lightning.method.update_rules.RuleB", "max_iterations": 10},
    "trainer": {"max_steps": 30, "precision": "auto"},
    "loader": {"batch_size": 16},
}
SCENE = {
    "data": [{"type": "scatter3d", "x": [0, 1, 2], "y": [0, 1, 0], "z": [0, 0, 1]}],
    "layout": {"width": 900, "title": {"text": "paths"}},
}


def evaluation_of(num_cases=12, num_landmarks=4, hostile=False, seed=0):
    """Errors of about 2 mm, of the mean shape about 10; one landmark of the last case is off."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 30, (num_cases, num_landmarks, 3))
    predicted = truth + rng.normal(0, 1.2, truth.shape)
    predicted[-1, 0] += 40
    cases = [f"case_{index}" for index in range(num_cases)]
    names = [f"mark_{index}" for index in range(num_landmarks)]
    if hostile:
        cases[-1] = names[0] = HOSTILE
    return Evaluation(
        cases=tuple(cases),
        names=tuple(names),
        truth_world=truth,
        defined=np.ones(truth.shape[:2], dtype=bool),
        predicted_world=predicted,
        mean_shape_world=truth + rng.normal(0, 6, truth.shape),
        spread_mm=np.linalg.norm(rng.normal(0, 1, truth.shape), axis=-1),
        seconds=np.full(num_cases, 0.25),
        localise_seconds=np.full(num_cases, 0.1),
    )


def write_page_run(run_dir: Path, evaluation: Evaluation | None = None, **parts) -> Path:
    """A run with the evaluation of its test cases, and of other parts."""
    test = evaluation_of() if evaluation is None else evaluation
    split = Split(("a", "b"), ("c",), test.cases)
    record = RunRecord(test.names, Grid((20, 30, 25), 2.0), 3, split)
    write_run(run_dir, OmegaConf.create(CONFIG), record)
    write_predictions(run_dir / "predictions.csv", {"test": test, **parts})
    (run_dir / "logs").mkdir()
    curve = "step,train/loss,val/radial_error_mm\n10,2.0,\n20,1.0,3.5\n"
    (run_dir / "logs" / "metrics.csv").write_text(curve)
    return run_dir


def add_figures(run_dir: Path) -> None:
    """Pictures, film and scene of the worst case, and planes."""
    figures = run_dir / "figures"
    figures.mkdir()
    for kind in ("case", "starts", "planes"):
        imsave(figures / f"test_worst_{kind}.png", np.full((40, 50, 3), 90, dtype=np.uint8))
    write_json(figures / "test_worst_starts.json", SCENE)
    numbers = {"mean": 1.5, "sd": 0.5, "median": 1.25}
    planes = {"<b>TV</b>": {"n": 12, "angle_degrees": numbers, "offset_mm": numbers}}
    write_json(run_dir / "metrics.json", {"test": {"planes": planes}})
