import re
from pathlib import Path

import numpy as np
import pytest
from evaluation.test_evaluation import small_evaluation

from pin_lightning.annotation.learning.advice import advice
from pin_lightning.annotation.learning.appearance import LENGTH, appearance
from pin_lightning.annotation.learning.diverse import form_features, most_unlike
from pin_lightning.annotation.learning.improvement import improvement
from pin_lightning.annotation.learning.settings import checked_settings, settings_of
from pin_lightning.common.alignment import Pose


def test_improvement_by_hand():
    """New errors 3, 5 (case a) and 4 mm (b); of a the point tip was moved by 2 mm before."""
    earlier = {"a": {"tip": (0.0, 2.0, 0.0), "base": (10.0, 0.0, 0.0)}, "other": {}}
    found = improvement(small_evaluation(), earlier)
    assert found.error_mm == pytest.approx(4.0)
    assert found.num_cases == 2
    (case,) = found.cases
    assert (case.case, case.moved) == ("a", 1)
    assert (case.moved_before_mm, case.moved_after_mm, case.after_mm) == (2.0, 3.0, 4.0)
    assert found.text.startswith("1 moved point: 2.00 mm off before, 3.00 mm now")
    assert "4.00 mm off" in improvement(small_evaluation(), {}).text


def test_advice_says_when_training_pays():
    assert "by hand" in advice(0, 40)
    assert "after 3 more" in advice(2, 40)
    assert "training pays now" in advice(5, 40)
    assert "radius" in advice(12, 40)
    assert advice(40, 40) is None
    assert advice(10, 40, trained_on=8) is None
    assert "train again" in advice(12, 40, trained_on=8)
    assert advice(2, 40, proposes=False) is None
    assert "own data" in advice(6, 40, proposes=False)


def test_the_most_unlike_form_is_found_whatever_its_pose():
    rng = np.random.default_rng(0)
    mean = rng.normal(0, 10, (8, 3))
    shapes = mean + rng.normal(0, 0.2, (6, 8, 3))
    shapes[4, 2] += 5.0
    for index in range(6):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        shapes[index] = Pose(turn, rng.normal(0, 50, 3)).place(shapes[index])
    form, _ = form_features(shapes)
    assert most_unlike([form], [2, 3, 4, 5], [0, 1]) == 4
    assert most_unlike([form], [0, 1, 4], []) != 4
    assert most_unlike([form], [], [0]) is None
    nothing = np.full((2, 8, 3), np.nan)
    nothing[0, :4] = mean[:4]
    nothing[1, 4:] = mean[4:]
    assert form_features(nothing)[0].shape == (2, 0)


def test_appearance_does_not_depend_on_how_a_scan_is_turned():
    voxels = np.random.default_rng(0).gamma(2, 50, (30, 40, 20))
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    one = appearance(voxels, affine)
    other = appearance(voxels.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]])
    assert one.shape == (LENGTH,)
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.abs(one - appearance(voxels**2, affine)).max() > 0.01


def test_settings_of_trainings():
    assert checked_settings(None) == ()
    given = "preset=accurate 'first_stage=b c'"
    assert checked_settings(given) == ("preset=accurate", "first_stage=b c")
    with pytest.raises(ValueError, match="train=fast: fast is no setting"):
        checked_settings("fast")
    with pytest.raises(ValueError, match="train=run_dir=a: run_dir is set by the server"):
        checked_settings("run_dir=a")
    for wrong, said in (
        ("nonsense=3", "nonsense: there is no such setting or group"),
        ("trainer.max_step=4", "did you mean trainer.max_steps"),
        ("preset=fst", "there is no such option; did you mean preset=fast"),
        ("data.split.folds=2,3", "Ambiguous value"),
        ("data.split.folds=${nowhere}", "Interpolation key 'nowhere' not found"),
        ("trainer=5", "must be a string"),
    ):
        with pytest.raises(ValueError, match=f"^train={re.escape(wrong)}: .*{said}") as error:
            checked_settings(wrong)
        assert "\n" not in str(error.value)
    root = Path("trainings/001")
    assert "data.split.folds=3" in settings_of(root, 6, root)
    assert "data.split.folds=5" in settings_of(root, 12, root)
    settings = settings_of(root, 12, root, ("preset=accurate", "data.split.folds=2"))
    assert "preset=fast" not in settings
    assert [one for one in settings if "folds" in one] == ["data.split.folds=2"]
