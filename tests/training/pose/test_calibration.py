import numpy as np
import pytest
from omegaconf import OmegaConf

from pin_lightning.data.anatomy import Anatomy
from pin_lightning.method.pose.limits import Judged
from pin_lightning.runs.pose_stage import PoseRecord
from pin_lightning.training.pose import calibration
from pin_lightning.training.pose.fit import PoseCases

SHAPE_MM = np.diag([10.0, 20, 30])
RIGHT, WRONG = Judged(-8.0, 5.0, 2.0, 0.02), Judged(-1.0, 0.5, 180.0, 0.4)


@pytest.fixture
def trainings(monkeypatch, tmp_path):
    """Calibrates stages that are not trained: returns what was trained, and what was found."""

    def run(number, wrong):
        """`number` cases; `wrong(steps)`: how many of a half are found wrong after these steps."""
        config = OmegaConf.create({"seed": 0, "pose": {"steps": 300, "calibration_folds": 2}})
        names = tuple(map(str, range(number)))
        record = PoseRecord(Anatomy(("a", "b", "c"), SHAPE_MM, 1.0), (1.0, 2.0), names)
        cases = PoseCases(names, (), np.zeros((number, 3, 3)), (), SHAPE_MM)
        trained, judged = [], []

        def train(members, steps, *_):
            trained.append((steps, sorted(members)))
            return steps

        def judge(finder, _, members):
            if sorted(members) == trained[-1][1]:
                return [RIGHT] * len(members)
            judged.append(sorted(members))
            few = min(wrong(finder), len(members))
            return [WRONG] * few + [RIGHT] * (len(members) - few)

        monkeypatch.setattr(calibration, "_trained_on", train)
        monkeypatch.setattr(calibration, "judge", judge)
        return trained, judged, calibration._held_out(config, record, cases, tmp_path)

    return run


def test_each_case_is_judged_once_by_a_stage_that_has_not_seen_it(trainings):
    trained, judged, found = trainings(20, lambda steps: 0)
    assert [steps for steps, _ in trained] == [100, 100]
    assert sorted(np.concatenate(judged)) == list(range(20))
    assert all(not set(own) & set(other) for (_, own), other in zip(trained, judged, strict=True))
    assert len(found) == 20
    assert {usual for _, usual in found} == {RIGHT.score}


@pytest.mark.parametrize(("wrong", "longer"), [(1, False), (2, True)])
def test_stages_that_find_too_few_poses_are_trained_longer(wrong, longer, trainings):
    """One of ten is a tenth, not more."""
    trained, judged, found = trainings(20, lambda steps: wrong if steps == 100 else 0)
    expected = [100, 200, 200] if longer else [100, 100]
    assert [steps for steps, _ in trained] == expected
    assert sorted(np.concatenate(judged[-2:])) == list(range(20))
    assert sum(not one.is_right for one, _ in found) == (0 if longer else 2)


def test_what_is_still_wrong_then_counts(trainings):
    trained, _, found = trainings(20, lambda steps: 5)
    assert [steps for steps, _ in trained] == [100, 200, 200]
    assert sum(not one.is_right for one, _ in found) == 10


def test_half_of_few_cases_may_never_be_enough(trainings):
    trained, _, found = trainings(9, lambda steps: 3)
    assert [steps for steps, _ in trained] == [100, 100]
    assert len(found) == 9
