from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.data.framing import AsScanned
from pin_lightning.data.inspection import Inspected
from pin_lightning.reports.data_check import UprightWhereTurned

HEADER = ((40, 40, 40), np.diag([1.0, 1, 1, 1]))


def cases(degrees, landmarks=6):
    """Cases of one shape, turned about changing axes."""
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 6, (landmarks, 3))
    names = [f"mark {index}" for index in range(landmarks)]
    made = []
    for number, angle in enumerate(degrees):
        axis = np.eye(3)[number % 3] * (-1) ** (number // 3)
        turned = Rotation.from_rotvec(np.radians(angle) * axis).apply(shape) + 19.5
        case = Case(f"case {number}", Path("a.nii"), None, None, f"{number}")
        made.append(Inspected(case, HEADER, LandmarkSet.of(names, turned)))
    return made


def assert_as_scanned(inspected):
    framed = UprightWhereTurned()(inspected, None, None)
    expected = AsScanned()(inspected, None, None)
    assert framed.anatomy is None
    assert framed.grid == expected.grid
    for name, affine in expected.affines.items():
        np.testing.assert_array_equal(framed.affines[name], affine)


def test_scans_in_different_poses_are_shown_upright():
    framed = UprightWhereTurned()(cases([60] * 6), None, None)
    assert framed.anatomy is not None
    turns = [affine[:3, :3] / framed.grid.spacing_mm for affine in framed.affines.values()]
    assert np.abs(turns[0] - turns[1]).max() > 0.5


@pytest.mark.parametrize("degrees", [[3] * 6, [2, 2, 2, 2, 2, 170]])
def test_scans_in_line_are_shown_as_they_are_also_beside_one_in_error(degrees):
    assert_as_scanned(cases(degrees))


@pytest.mark.parametrize("landmarks", [1, 2])
def test_few_landmarks_have_no_pose(landmarks, caplog):
    assert_as_scanned(cases([60] * 6, landmarks))
    assert caplog.messages == []
