"""Cases that lack landmarks, from the files through training to the tables."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from conftest import composed
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
from pin_lightning.method.shape_models import AutoencoderShapeModel
from pin_lightning.runs.model import load_localizer
from pin_lightning.training.plan import plan_run, prepare_run
from pin_lightning.training.run import survey_data, train

pytestmark = pytest.mark.slow

# Which landmarks each head lacks: 0 to 5 train, 6 and 7 validate, 8 and 9 test.
LACKS = {0: ["CSP"], 1: ["frontHead", "backHead"], 6: ["leftHead"], 8: ["CSP", "centerHead"]}
PARTS = ["data.split.val_names=[head_006,head_007]", "data.split.test_names=[head_008,head_009]"]


def data_set(phantom_root, root, lacks):
    """A copy of the phantoms without some landmarks, half of them left out, half undefined."""
    shutil.copytree(phantom_root / "images", root / "images")
    for number in range(10):
        name = f"head_{number:03d}.mrk.json"
        landmarks = read_landmarks(phantom_root / "landmarks" / name)
        lost = lacks.get(number, [])
        positions = landmarks.positions_world.copy()
        positions[[landmarks.names.index(one) for one in lost[::2]]] = np.nan
        kept = LandmarkSet.of(landmarks.names, positions)
        kept = kept.select([one for one in landmarks.names if one not in lost[1::2]])
        write_landmarks(root / "landmarks" / name, kept)
    return root


@pytest.fixture(scope="module")
def run(phantom_root, short_settings, tmp_path_factory):
    root = data_set(phantom_root, tmp_path_factory.mktemp("lacking") / "data", LACKS)
    run_dir = tmp_path_factory.mktemp("runs") / "lacking"
    metrics = train(composed(*short_settings, f"data.root={root}", *PARTS), run_dir)
    return run_dir, metrics


def test_metrics_count_only_what_is_defined(run):
    run_dir, metrics = run
    counts = {name: row["n"] for name, row in metrics["test"]["per_landmark"].items()}
    assert counts["CSP"] == counts["centerHead"] == 1
    assert sum(counts.values()) == 18
    assert metrics["val"]["per_landmark"]["leftHead"]["n"] == 1
    assert np.isfinite(metrics["test"]["radial_error_mm"]["mean"])
    assert json.loads((run_dir / "metrics.json").read_text("utf-8")) == metrics


def test_predictions_leave_the_truth_empty_where_it_is_missing(run):
    with (run[0] / "predictions.csv").open(newline="") as file:
        rows = {(row["case"], row["landmark"]): row for row in csv.DictReader(file)}
    missing = rows["head_008", "CSP"]
    assert missing["true_x"] == missing["radial_error_mm"] == ""
    assert missing["x"] != ""
    assert rows["head_009", "CSP"]["radial_error_mm"] != ""


def test_every_training_case_counts_in_the_shape_model(run):
    shape_model = load_localizer(run[0])[0].shape_model
    assert shape_model.mean_mm_.shape == (10, 3)
    assert torch.isfinite(shape_model.mean_mm_).all()
    assert shape_model.num_parameters == 5


def test_a_case_without_the_landmark_is_left_out_of_single(
    phantom_root, short_settings, tmp_path, caplog
):
    root = data_set(phantom_root, tmp_path / "data", LACKS)
    settings = [*short_settings, "model=single", "model.landmark=CSP", f"data.root={root}", *PARTS]
    metrics = train(composed(*settings, "trainer.max_steps=2"), tmp_path / "run")
    assert "none of the landmarks in head_000, head_008: left out" in caplog.text
    assert metrics["test"]["num_cases"] == 1
    split = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["split"]
    assert "head_000" not in split["train"]
    assert split["test"] == ["head_009"]


def test_refuses_a_landmark_without_examples(phantom_root, short_settings, tmp_path):
    root = data_set(phantom_root, tmp_path / "data", {key: ["CSP"] for key in range(6)})
    with pytest.raises(ValueError, match=r"data\.split: no training case has CSP"):
        train(composed(*short_settings, f"data.root={root}", *PARTS), tmp_path / "run")
    assert not (tmp_path / "run").exists()


AUTOENCODER = {
    "shape_model": ["shape=autoencoder", "shape.components=3"],
    "prior": [  # of one network for each landmark by itself, which follows its own trajectories
        *("model=shared", "model.patch_side=9", "loader.batch_size=2", "model.prior.components=3"),
        "model.prior._target_=pin_lightning.method.shape_models.AutoencoderShapeModel",
        *("model.trajectory_share=0.5", "model.trajectory_every=2"),
    ],
}


@pytest.mark.parametrize("part", AUTOENCODER)
def test_an_autoencoder_is_of_all_landmarks(phantom_root, short_settings, tmp_path, part):
    root = data_set(phantom_root, tmp_path / "data", LACKS)
    settings = [*short_settings, f"data.root={root}", *PARTS, *AUTOENCODER[part]]
    settings += ["trainer.max_steps=4", "trainer.val_check_interval=4"]
    metrics = train(composed(*settings), tmp_path / "run")
    assert np.isfinite(metrics["test"]["radial_error_mm"]["mean"])
    localizer, _ = load_localizer(tmp_path / "run")
    model = getattr(localizer, part)
    assert isinstance(model, AutoencoderShapeModel)
    assert model.num_parameters == 3
    assert all(torch.isfinite(one).all() for one in localizer.state_dict().values())
    # Loaded, not fitted again: it is the model that the training was planned with.
    surveyed = survey_data(composed(*settings))
    planned = getattr(plan_run(surveyed[0], prepare_run(*surveyed)).localizer, part)
    for name, value in planned.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
