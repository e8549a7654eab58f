import logging
from pathlib import Path

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import world_to_mm
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.data.framing import AsScanned, ByLandmarks, InAnatomy, scan_landmarks
from pin_lightning.data.inspection import Inspected, annotate

SHAPE = np.random.default_rng(0).normal(0, [12.0, 25.0, 6.0], (7, 3))
NAMES = tuple("abcdefg")


def inspected(degrees, number=8, missing=(), names=NAMES, noise=0.0):
    """Cases with the shape in the middle, turned by an angle, in scans with oblique headers."""
    random, found = np.random.default_rng(1), []
    for index in range(number):
        turn = Rotation.from_rotvec(np.radians(degrees) * random.normal(size=3))
        affine = np.eye(4)
        affine[:3, :3] = Rotation.random(random_state=index).as_matrix() * 0.9
        affine[:3, 3] = random.normal(0, 100, 3)
        shape = (80, 90, 70)
        middle = apply_affine(affine, (np.array(shape) - 1) / 2)
        canonical = AsScanned()(
            [Inspected(case(index), (shape, affine), landmarks(middle + 0 * SHAPE, names))],
            1.0,
            None,
        )
        axes = canonical.affines[str(index)][:3, :3]
        points = middle + (turn.apply(SHAPE) + noise * random.normal(size=SHAPE.shape)) @ axes.T
        points[[one for at, one in missing if at == index]] = np.nan
        found.append(Inspected(case(index), (shape, affine), landmarks(points, names)))
    return found


def case(index):
    return Case(str(index), Path(f"{index}.nii"), None, None, str(index))


def landmarks(points, names):
    return LandmarkSet.of(names, points[: len(names)])


def shapes_of(framed, cases):
    return np.stack(
        [
            annotate(one, NAMES, framed.grid, framed.affines[one.case.name]).landmarks_mm
            for one in cases
        ]
    )


def test_as_scanned_is_along_the_axes_of_the_image():
    cases = inspected(40)
    framed = AsScanned()(cases, 1.0, None)
    assert framed.anatomy is None
    assert framed.window == "percentiles"
    np.testing.assert_allclose(
        shapes_of(framed, cases)[0], scan_landmarks(cases[0], NAMES), atol=1e-4
    )


def test_in_the_anatomical_frame_shapes_agree_but_for_the_error_of_a_pose():
    cases = inspected(120)
    framed = InAnatomy()(cases, None, None)
    assert framed.window == "robust"
    shapes = shapes_of(framed, cases)
    off = np.linalg.norm(shapes - framed.anatomy.reference_mm, axis=2)
    assert off.max() < 0.08 * framed.anatomy.extent_mm
    assert off.mean() > 0.002 * framed.anatomy.extent_mm
    # The grid holds the anatomy, and the world of each landmark is where it was.
    assert (np.abs(shapes) < np.array(framed.grid.extent_mm) / 2).all()
    for one, shape in zip(cases, shapes, strict=True):
        affine = framed.affines[one.case.name]
        again = world_to_mm(one.landmarks.positions_world, affine, framed.grid)
        np.testing.assert_allclose(again, shape, atol=1e-4)


def test_the_frame_of_an_earlier_stage_is_kept():
    first = InAnatomy()(inspected(120), None, None)
    again = InAnatomy(anatomy=first.anatomy)(inspected(60, 4), None, None)
    assert again.anatomy is first.anatomy
    assert again.spread is None


def test_a_case_with_two_landmarks_has_no_pose():
    cases = inspected(90, missing=[(3, one) for one in range(5)])
    framed = InAnatomy()(cases, None, None)
    assert list(framed.errors) == ["3"]
    assert "has 2 landmarks, a pose needs 3" in framed.errors["3"]


def test_two_landmarks_are_taken_as_scanned(caplog):
    cases = inspected(90, names=NAMES[:2])
    framed = InAnatomy()(cases, None, None)
    assert framed.anatomy is None
    assert "at least 3 landmarks, there is 2" in caplog.text
    assert ByLandmarks(40.0, InAnatomy())(cases, None, None).anatomy is None


@pytest.mark.parametrize(("degrees", "finds"), [(4, False), (90, True)])
def test_the_data_decide(caplog, degrees, finds):
    caplog.set_level(logging.INFO)
    framed = ByLandmarks(40.0, InAnatomy())(inspected(degrees), None, None)
    assert (framed.anatomy is not None) is finds
    assert framed.spread.largest_degrees == pytest.approx(2 * degrees, rel=0.7) or finds
    assert ("find" if finds else "as_scanned") in caplog.text


def test_one_case_defines_a_frame():
    cases = inspected(90, 1)
    framed = InAnatomy()(cases, None, None)
    assert np.isfinite(framed.affines["0"]).all()
    assert not framed.anatomy.with_scale
