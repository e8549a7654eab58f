from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from conftest import composed
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data import preprocessing
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.data.preprocessing import WorkingVolume
from pin_lightning.reports.figures.shown_cases import MOST_KEPT, KeptCases
from pin_lightning.runs.predictor import Localised, Prediction
from pin_lightning.training.run import train


def annotated(name, *defined):
    """A case whose landmarks are at the origin, or nowhere."""
    positions = np.where(np.array(defined)[:, None], np.zeros(3), np.nan)
    landmarks = LandmarkSet.of(list(map(str, range(len(defined)))), positions)
    made = Mock(AnnotatedCase, landmarks=landmarks, case=SimpleNamespace(name=name))
    made.within.return_value = made  # wherever the volume lies
    return made


def kept_of(errors):
    """Cases kept of an evaluation with these errors, and the largest number at a time."""
    kept, most = KeptCases(len(errors), ()), 0
    for place, error in enumerate(errors):
        predicted = Mock(Prediction, positions_world=np.full((2, 3), [error, 0.0, 0.0]))
        made_from = {"volume": Mock(WorkingVolume, affine=None, grid=None), "image": None}
        found = Mock(Localised, prediction=predicted, **made_from)
        kept.add(annotated(str(place), True, False), found)
        most = max(most, len(kept._kept))
    return kept, most


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 12, 14])
@pytest.mark.parametrize("seed", range(5))
def test_best_median_and_worst_of_few_cases_are_kept(count, seed):
    errors = np.random.default_rng(seed).permutation(count).astype(float)
    kept, most = kept_of(errors)
    order = np.argsort(errors)
    for place in (order[0], order[(count - 1) // 2], order[-1]):
        assert kept.get(str(place)).annotated.case.name == str(place)
    assert most <= MOST_KEPT


def test_memory_does_not_grow_with_the_cases():
    errors = np.random.default_rng(0).random(500)
    kept, most = kept_of(errors)
    assert most == MOST_KEPT
    assert kept.get(str(errors.argmin())) is not None
    assert kept.get(str(errors.argmax())) is not None
    assert kept.get("of no case") is None


def test_a_case_without_landmarks_is_not_shown():
    kept = KeptCases(1, ())
    kept.add(annotated("a", False), Mock(Localised))
    assert kept.get("a") is None


@pytest.mark.slow
def test_a_training_reads_a_pictured_case_once(short_settings, tmp_path, monkeypatch):
    """For its prediction, its pictures and its planes; the working volumes are cached."""
    plane = "+data.planes.TC.landmarks=[CSP,leftCerebellar,rightCerebellar]"
    settings = [*short_settings, "trainer.max_steps=2", "trainer.val_check_interval=2", plane]
    train(composed(*settings), tmp_path / "before")
    read, read_voxels = [], preprocessing.read_voxels
    monkeypatch.setattr(
        preprocessing, "read_voxels", lambda path: read.append(path.name) or read_voxels(path)
    )
    metrics = train(composed(*settings, "report.pictures=true"), tmp_path / "run")
    evaluated = [*metrics["val"]["per_case"], *metrics["test"]["per_case"]]
    assert sorted(read) == sorted(f"{name}.nii.gz" for name in evaluated)
    for label in ("best", "median", "worst"):
        for kind in ("case", "starts", "planes"):
            assert (tmp_path / "run" / "figures" / f"test_{label}_{kind}.png").is_file()
