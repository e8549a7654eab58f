"""One, two and three annotated cases: training, prediction, cross-validation."""

import json
import shutil

import numpy as np
import pytest

from conftest import composed
from pin_lightning.method.shape_models import AffineShapeModel
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

SHARED = [
    *("model=shared_fast", "model.patch_side=9", "loader.batch_size=4"),
    *("trainer.max_steps=20", "trainer.val_check_interval=20", "report.pictures=true"),
]


@pytest.fixture
def few(phantom_root, short_settings, tmp_path):
    """Settings of a short training of the presets' model on the first heads."""

    def settings(number, *others, program="train"):
        root = tmp_path / f"few{number}"
        for folder in ("images", "landmarks"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for path in sorted((phantom_root / folder).iterdir())[:number]:
                shutil.copy(path, root / folder)
        given = [*short_settings, *SHARED, f"data.root={root}", *others]
        return composed(*given, config_name=program)

    return settings


def test_one_annotated_case_trains_and_finds_landmarks_in_others(
    few, phantom_root, tmp_path, caplog
):
    run = tmp_path / "run"
    assert train(few(1), run) == {}
    assert "data.split.test_fraction=0.25: too few subjects for it (1)" in caplog.text
    assert "no held-out cases: nothing is measured" in caplog.text
    assert not (run / "unfinished").exists()
    assert "No case was held out" in (run / "report.html").read_text("utf-8")
    record = json.loads((run / "run.json").read_text("utf-8"))
    assert record["model"]["prior"]["name"] == "affine"
    assert [len(record["split"][part]) for part in ("train", "val", "test")] == [1, 0, 0]
    prior = load_localizer(run)[0].prior
    assert isinstance(prior, AffineShapeModel)
    assert prior.num_parameters == 12
    found = Predictor.load(run, device="cpu").predict(phantom_root / "images" / "head_005.nii.gz")
    assert np.isfinite(found.positions_world).all()
    assert (found.spread_mm > 0).all()
    # It goes on where it was, with the prior that it had.
    with pytest.raises(ValueError, match=r"trained with trainer\.max_steps|model\.scheduler"):
        train(few(1, "trainer.max_steps=30", "ckpt_path=last"), run)
    assert train(few(1, "ckpt_path=last"), run) == {}


def test_two_cases_train_and_both_are_tested_by_folds_without_error_bars(few, tmp_path, caplog):
    caplog.set_level("INFO")
    metrics = cross_validate(few(2, program="cross_validate"), tmp_path / "folds")
    assert "data.split.folds=2: one for each subject" in caplog.text
    assert "no error bars: calibration.coverage=0.9: needs at least 9 cases" in caplog.text
    assert metrics["test"]["num_cases"] == 2
    assert "error_bars" not in metrics["test"]
    assert np.isfinite(metrics["test"]["radial_error_mm"]["mean"])
    assert not (tmp_path / "folds" / "calibration.json").exists()
    found = Predictor.load(tmp_path / "folds", device="cpu")
    assert found.calibration is None


def test_what_one_case_cannot_do_is_refused_in_a_line(few, tmp_path):
    with pytest.raises(ValueError, match=r"data\.split\.folds=5: there is 1 subject, folds need"):
        cross_validate(few(1, program="cross_validate"), tmp_path / "folds")
    with pytest.raises(ValueError, match=r"^shape=pca: needs at least 2 .* there is 1; give model"):
        train(few(1, "model=multi"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_error_bars_that_are_asked_for_need_their_cases(few, tmp_path):
    config = few(3, "calibration.coverage=0.8", program="cross_validate")
    config.overrides = ["calibration.coverage=0.8"]
    with pytest.raises(ValueError, match=r"calibration\.coverage=0\.8: needs at least 4 cases"):
        cross_validate(config, tmp_path / "folds")
    config.overrides = ["data.split.folds=5"]
    with pytest.raises(ValueError, match=r"data\.split\.folds=5: there are 3 subjects"):
        cross_validate(config, tmp_path / "folds")
