import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import Pose
from pin_lightning.data.sources.phantom_anatomy import (
    SKULL_MM,
    draw_head,
    landmarks_in_head,
    to_volume,
)
from pin_lightning.data.sources.phantom_pose import (
    EXTENT_MM,
    clearance_mm,
    turn_of_scan,
    turned_head,
    turned_scan,
)


def drawn(seed, field, bend_degrees=0.0):
    """A head, and the same head turned."""
    head = draw_head(np.random.default_rng([seed, 0]), bend_degrees)
    return head, turned_head(head, np.random.default_rng([seed, 3]), field)


def placed(head):
    return to_volume(head, landmarks_in_head(head))


def rotation(head, turned):
    return turned.linear @ np.linalg.inv(head.linear)


def test_clearance_by_hand():
    points = np.array([[0.0, 0.0, 0.0], [81.0, 0, 0], [0, 0, -75.0], [0, -49, 0], [200, 0, 0]])
    # Of the centre: to the side of the volume 51.75, to the sector 49 towards the probe.
    np.testing.assert_allclose(clearance_mm(points)[[0, 1, 2, 3]], [49, 0, -5.25, 0], atol=0.01)
    assert clearance_mm(points)[4] < -100
    near_edge = np.array([[75.0, -20.0, 0.0]])
    along = np.deg2rad(36)
    expected = np.sin(along) * 105 - np.cos(along) * 75
    assert clearance_mm(near_edge)[0] == pytest.approx(expected)
    np.testing.assert_allclose(clearance_mm(2 * points, 2.0), 2 * clearance_mm(points))


@pytest.mark.parametrize("seed", range(5))
def test_only_the_pose_differs(seed):
    head, turned = drawn(seed, 2.0, 20.0)
    turn = rotation(head, turned)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    moved = placed(head) @ turn.T
    shift = placed(turned) - moved
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    for name in ("bend", "csp", "ventricle", "cerebellum", "lobe_mm"):
        assert np.array_equal(getattr(head, name), getattr(turned, name))


def test_rotations_are_uniform():
    turns = np.stack([rotation(*drawn(seed, 1.0)) for seed in range(400)])
    assert np.abs(turns.mean(axis=0)).max() < 0.12
    angles = Rotation.from_matrix(turns).magnitude()
    # Of uniform rotations half lie below 2.31 rad: the density is (1 - cos) / pi.
    assert np.median(angles) == pytest.approx(2.31, abs=0.12)


@pytest.mark.parametrize(("field", "least_mm"), [(1.0, -4.0), (1.5, 4.0), (2.0, 4.0)])
def test_heads_lie_within_the_picture(field, least_mm):
    inside, shifts = [], []
    poles = np.concatenate([np.diag(SKULL_MM), -np.diag(SKULL_MM)])
    for seed in range(100):
        turned = drawn(seed, field)[1]
        outline = np.concatenate([placed(turned), to_volume(turned, poles)])
        assert (np.abs(placed(turned)) < field * EXTENT_MM / 2).all()
        inside.append(clearance_mm(outline, field).min())
        shifts.append(to_volume(turned, np.zeros((1, 3)))[0])
    assert min(inside) > least_mm - 1e-6
    spread = np.std(shifts, axis=0)
    assert (spread > {1.0: 1.5, 1.5: 10, 2.0: 20}[field]).all()


def test_a_quarter_turn_of_a_scan_by_hand():
    picture = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    turn = Pose(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.zeros(3))
    found = turned_scan(picture, (1.5, 1.5, 1.5), turn, (3, 2, 4))
    np.testing.assert_array_equal(found, np.rot90(picture, axes=(0, 1)))


def test_a_turned_scan_shows_at_a_point_what_the_picture_shows_there():
    generator = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(generator.normal(size=(24, 20, 28)), 5)
    picture = np.uint8(120 + 100 * noise / np.abs(noise).max())
    spacing_mm = np.array([2.0, 2.5, 3.0])
    turn = turn_of_scan(draw_head(generator), generator, 1.0)
    size = (60, 60, 60)
    found = turned_scan(picture, tuple(spacing_mm), turn, size)
    inner = spacing_mm * (np.array(picture.shape) - 7) / 2
    points_mm = generator.uniform(-inner, inner, (500, 3))

    def shown(volume, points):
        ijk = points / spacing_mm + (np.array(volume.shape) - 1) / 2
        return ndimage.map_coordinates(volume.astype(float), ijk.T, order=1, cval=np.nan)

    after = shown(found, turn.place(points_mm))
    inside = np.isfinite(after)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(after[inside], shown(picture, points_mm)[inside], atol=4)


@pytest.mark.parametrize("field", [1.0, 2.0])
def test_skulls_of_turned_scans_stay_in_the_volume(field):
    turns, poles = [], np.concatenate([np.diag(SKULL_MM), -np.diag(SKULL_MM)])
    for seed in range(200):
        generator = np.random.default_rng(seed)
        head = draw_head(generator)
        turn = turn_of_scan(head, generator, field)
        outline = np.concatenate([placed(head), to_volume(head, poles)])
        assert (np.abs(turn.place(outline)) < field * EXTENT_MM / 2).all()
        turns.append(turn.rotation)
    assert np.abs(np.mean(turns, axis=0)).max() < 0.15
