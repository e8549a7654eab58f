import numpy as np
import pytest
from head_shapes import HEAD, SIDES, heads, turned
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import rotation_degrees
from pin_lightning.data.checks import aligned_shapes
from pin_lightning.data.checks.aligned_shapes import align

ONE_SIDED = np.concatenate([HEAD, [[60, -40, 30], [40, -60, -20]]])  # without a mate on the left
MIRROR = [-1, 1, 1]


def spread_mm(aligned):
    return np.nanmedian(np.linalg.norm(aligned.shapes_mm - aligned.reference_mm, axis=2))


def test_shapes_in_any_pose_are_brought_into_one_frame():
    shapes = turned(heads())
    aligned = align(shapes)
    assert spread_mm(aligned) < 3 < 20 < np.median(np.linalg.norm(shapes - shapes[0], axis=2))
    for pose, shape, placed in zip(aligned.poses, shapes, aligned.shapes_mm, strict=True):
        np.testing.assert_allclose(pose.place(shape), placed)
    assert np.median([pose.scale for pose in aligned.poses]) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(align(heads()).own_mm, aligned.own_mm, rtol=0.25)


@pytest.mark.parametrize("wrong", [[0], [0, 5, 9], [0, 1, 2, 3, 4, 5]], ids=str)
def test_wrong_cases_skew_no_alignment_of_others(wrong):
    shapes = turned(heads())
    changed = shapes.copy()
    changed[wrong] = shapes[wrong][:, SIDES] * 30
    right = np.setdiff1d(np.arange(14), wrong)
    aligned = align(changed)
    assert spread_mm(align(shapes)) == pytest.approx(
        np.median(np.linalg.norm((aligned.shapes_mm - aligned.reference_mm)[right], axis=2)),
        rel=0.3,
    )


def test_landmarks_out_of_place_do_not_skew_their_case():
    shapes = turned(heads())
    shapes[3, [2, 4]] = shapes[3, [4, 2]]
    shapes[3, 8] += 200
    aligned = align(shapes)
    off_mm = np.linalg.norm(aligned.shapes_mm - aligned.reference_mm, axis=2)[3]
    assert off_mm[[0, 1, 3, 5, 6, 7]].max() < 8 < 50 < off_mm[[2, 4, 8]].min()


@pytest.mark.parametrize("wrong", [[2], [0, 3, 5, 8, 11, 13]], ids=str)
def test_mirrored_shapes_are_placed_in_the_mirror(wrong):
    shapes = heads(shape=ONE_SIDED)
    shapes[wrong] *= MIRROR
    aligned = align(turned(shapes))
    assert np.flatnonzero(aligned.mirrored).tolist() == wrong
    assert (aligned.mirrored_mm[wrong] * 3 < aligned.own_mm[wrong]).all()
    assert spread_mm(aligned) < 3


@pytest.mark.parametrize("thickness", [0.0, 0.3, 1.0])
def test_planar_shapes_have_no_side(thickness):
    flat = ONE_SIDED * [1, 1, 0.0] + np.random.default_rng(0).normal(0, thickness, (11, 1)) * [
        0,
        0,
        1,
    ]
    shapes = heads(shape=flat)
    shapes[::2] *= MIRROR
    assert not align(turned(shapes)).mirrored.any()


def test_scans_are_in_line_where_most_agree():
    shapes = heads()
    upright = align(shapes).in_line
    assert upright is not None
    assert rotation_degrees(upright, np.eye(3)) < 15
    shapes[[1, 5, 9]] *= [-1, -1, 1]
    assert align(shapes).in_line is not None
    assert align(turned(shapes)).in_line is None


@pytest.mark.parametrize("block", [1, 4, 14])
def test_scans_in_line_are_counted_block_by_block(monkeypatch, block):
    monkeypatch.setattr(aligned_shapes, "BLOCK", block)
    turns = Rotation.random(9, random_state=0)
    turns = Rotation.concatenate([turns, turns[0] * Rotation.from_euler("x", [[44], [46]], True)])
    apart = [[(one.inv() * other).magnitude() for other in turns] for one in turns]
    expected = (np.degrees(apart) <= 45).sum(axis=1)
    assert expected[0] > 1  # itself and the one turned by 44 degrees
    assert aligned_shapes._number_close(turns.as_matrix()).tolist() == expected.tolist()


def test_few_and_missing_landmarks():
    nowhere = np.full((3, 4, 3), np.nan)
    assert align(nowhere).poses == (None, None, None)
    assert align(nowhere).in_line is None
    alone = align(heads(1))
    assert alone.poses == (None,)
    assert np.isnan(alone.shapes_mm).all()
    apart = nowhere.copy()
    apart[np.arange(3), np.arange(3)] = 1.0  # nothing in common
    assert np.isnan(align(apart).shapes_mm).all()
    two = align(turned(heads(2)))
    assert np.nanmax(np.abs(two.shapes_mm - two.reference_mm)) < 20
