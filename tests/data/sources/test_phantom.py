import hashlib
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.affines import apply_affine
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import fit_pose, rotation_degrees
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.data.sources.phantom import make_phantom, phantom_cases
from pin_lightning.data.sources.phantom_anatomy import (
    LANDMARK_NAMES,
    draw_head,
    echo,
    landmarks_in_head,
    skull_distance,
    to_head,
    to_volume,
)

SMALL = {"size": (54, 35, 47), "spacing_mm": (3.0, 3.0, 3.0)}
# Mean positions and standard deviations of real heads, voxels of 0.5 mm.
REAL_MEAN = [(164, 109, 143), (81, 112, 134), (243, 107, 151), (166, 174, 142), (162, 46, 143)]
REAL_MEAN += [(189, 127, 145), (191, 142, 145), (198, 120, 120), (196, 93, 121), (135, 111, 140)]
REAL_SD = [32.9, 30.1, 26.2, 21.9, 19.9, 14.9, 8.7, 8.1]


def head(seed, bend_degrees=0.0):
    return draw_head(np.random.default_rng([seed, 0]), bend_degrees)


def at(drawn, points_mm):
    """Head coordinates of points given in mm from the volume's centre."""
    return to_head(drawn, *np.moveaxis(points_mm, -1, 0))


def named(values):
    return dict(zip(LANDMARK_NAMES, values, strict=True))


@pytest.mark.parametrize("bend_degrees", [0.0, 60.0])
@pytest.mark.parametrize("seed", range(20))
def test_landmarks_lie_on_their_structures(seed, bend_degrees):
    drawn = head(seed, bend_degrees)
    landmarks_mm = to_volume(drawn, landmarks_in_head(drawn))
    # Back through the map that draws the volume, independent of the one that moved the landmarks.
    coordinates = at(drawn, landmarks_mm)
    skull, brightness = named(skull_distance(*coordinates)), named(echo(drawn, *coordinates))
    for name in ("frontHead", "backHead", "rightHead", "leftHead"):
        assert abs(skull[name]) < 0.01
    assert skull["centerHead"] < -20
    assert brightness["CSP"] < 0.03
    for name in ("rightVentInner", "rightVentOuter"):
        assert brightness[name] > 0.4
    inner, outer = named(landmarks_mm)["rightVentInner"], named(landmarks_mm)["rightVentOuter"]
    between = np.atleast_2d((inner + outer) / 2)
    assert echo(drawn, *at(drawn, between)) < 0.03
    for name in ("rightCerebellar", "leftCerebellar"):
        assert brightness[name] > 0.35

    # The falx is a bright sheet in the midline.
    u = np.linspace(-30, 30, 13)
    midline = echo(head(seed), u, np.zeros(13), np.full(13, 10.0))
    beside = echo(head(seed), u, np.full(13, 4.0), np.full(13, 10.0))
    assert midline.min() > 0.25
    assert np.median(midline) > 2 * np.median(beside)


@pytest.mark.parametrize("bend_degrees", [0.0, 1e-6, 30.0, 60.0])
def test_the_maps_are_inverse(bend_degrees):
    drawn = head(3, bend_degrees)
    points = np.random.default_rng(0).uniform(-60, 60, (100, 3))
    back = to_volume(drawn, np.stack(at(drawn, points), -1))
    np.testing.assert_allclose(back, points, atol=1e-9)
    # The volume is drawn in single precision: a thousandth of a voxel.
    there = at(drawn, to_volume(drawn, points).astype(np.float32))
    np.testing.assert_allclose(
        np.stack(there, -1)[abs(points[:, 2]) < 29], points[abs(points[:, 2]) < 29], atol=1e-3
    )


def test_an_arc_by_hand():
    """A head bent to a quarter of a circle, about a point above the back of its skull."""
    drawn = replace(head(0), bend=np.zeros(2), linear=np.eye(3), shift=np.zeros(3))
    bent = replace(drawn, curvature=np.pi / 2 / 82)
    radius = 82 / (np.pi / 2)
    front, back = to_volume(bent, np.array([[-41.0, 0, 0], [41, 0, 0]]))
    np.testing.assert_allclose(back, [41, 0, 0], atol=1e-9)
    np.testing.assert_allclose(front, [41 - radius, 0, radius], atol=1e-9)
    # What lies above the middle of the axis moves towards the middle of the circle.
    (above,) = to_volume(bent, np.array([[0.0, 7.0, 10.0]]))
    expected = [41 - (radius - 10) / 2**0.5, 7, radius - (radius - 10) / 2**0.5]
    np.testing.assert_allclose(above, expected, atol=1e-9)


def test_a_head_is_the_same_but_for_its_arc():
    straight, bent = head(5), head(5, 45.0)
    assert straight.curvature == 0 != bent.curvature
    assert repr(replace(bent, curvature=0.0)) == repr(replace(straight, curvature=0.0))
    # As it was made before there were arcs.
    landmarks = make_phantom(3, **SMALL).landmarks_world
    np.testing.assert_allclose(landmarks[1], [-6.3683763, 17.11800591, -10.87800854], atol=1e-7)


def test_arcs_have_the_spread_asked_for_and_never_fold():
    degrees = np.rad2deg([head(seed, 60.0).curvature * 82 for seed in range(500)])
    assert np.std(degrees) == pytest.approx(60, rel=0.1)
    assert np.mean(degrees) == pytest.approx(0, abs=8)
    assert np.abs(degrees).max() == pytest.approx(120)
    assert 82 / np.deg2rad(120) > 29 + 5  # the middle of the circle lies outside of the skull


def test_an_arc_moves_landmarks_along_no_line():
    """PCA holds bends by their two modes, but no arc by its one."""
    drawn = [head(seed, 60.0) for seed in range(50)]
    bends = [replace(drawn[0], curvature=0.0, bend=one.bend) for one in drawn]
    arcs = [replace(drawn[0], curvature=one.curvature) for one in drawn]
    left_over = {}
    for modes, heads in ((2, bends), (1, arcs)):
        points = landmarks_in_head(drawn[0])
        shapes = np.array([to_volume(one, points).ravel() for one in heads])
        sd = np.linalg.svd(shapes - shapes.mean(axis=0), compute_uv=False)
        left_over[modes] = np.sqrt((sd[modes:] ** 2).mean() / 50 / 10)
    assert left_over[2] < 1e-9
    assert left_over[1] > 0.3  # mm


@pytest.mark.slow
def test_skull_of_the_volume_lies_at_the_skull_landmarks():
    """In the finished picture, noise and all, bone is brighter at the landmarks than around."""
    contrast = []
    for seed in range(4):
        phantom = make_phantom(seed)
        ijk = apply_affine(np.linalg.inv(phantom.affine), phantom.landmarks_world)
        for index in (1, 2, 3, 4):
            i, j, k = np.round(ijk[index]).astype(int)
            patch = phantom.volume[i - 6 : i + 7, j - 6 : j + 7, k - 6 : k + 7].astype(float)
            contrast.append(patch[5:8, 5:8, 5:8].max() - np.median(patch))
    assert np.mean(np.array(contrast) > 40) > 0.9


def test_heads_vary_at_least_as_much_as_real_ones():
    landmarks = np.array([to_volume(one, landmarks_in_head(one)) for one in map(head, range(200))])
    mean = landmarks.mean(axis=0)
    real_mean = (np.array(REAL_MEAN) - (np.array([324, 207, 279]) - 1) / 2) * 0.5
    assert np.linalg.norm(mean - real_mean, axis=1).max() < 8
    deviations = landmarks - mean
    assert 9 < np.sqrt((deviations**2).sum(axis=-1).mean()) < 14
    sd = np.linalg.svd(deviations.reshape(200, -1), compute_uv=False) / np.sqrt(199)
    assert (sd[:8] / 0.5 > 0.8 * np.array(REAL_SD)).all()
    assert sd[:6].sum() / 0.5 > sum(REAL_SD[:6])


def test_landmarks_lie_in_the_picture():
    seen = []
    for seed in range(20):
        phantom = make_phantom(seed, **SMALL)
        ijk = np.round(apply_affine(np.linalg.inv(phantom.affine), phantom.landmarks_world))
        inside = ((ijk >= 0) & (ijk < SMALL["size"])).all(axis=1)
        seen += [phantom.volume[tuple(i.astype(int))] > 0 for i in ijk[inside]]
        seen += [False] * int((~inside).sum())
    assert np.mean(seen) > 0.98


def test_outside_the_sector_is_black():
    volume = make_phantom(0).volume
    for corner in (volume[:8, :8], volume[-8:, :8], volume[:2, -2:], volume[-2:, -2:]):
        assert not corner.any()
    assert (volume[40:68, 20:50, 30:60] > 0).mean() > 0.95


def test_a_seed_gives_the_same_volume_and_another_one_its_own_speckle():
    first, again, other = (make_phantom(seed, **SMALL) for seed in (4, 4, 5))
    assert np.array_equal(first.volume, again.volume)
    assert np.array_equal(first.landmarks_world, again.landmarks_world)
    behind = (slice(46, 53), slice(14, 26), slice(15, 35))  # no structure of either head
    speckle = [one.volume[behind].ravel() for one in (first, other)]
    assert np.std(speckle, axis=1).min() > 5
    assert abs(np.corrcoef(speckle)[0, 1]) < 0.3


def test_the_head_does_not_depend_on_the_grid():
    coarse = make_phantom(6, **SMALL)
    for size, spacing in [((108, 69, 93), (1.5, 1.5, 1.5)), ((40, 60, 30), (4.0, 1.7, 4.5))]:
        other = make_phantom(6, size, spacing)
        np.testing.assert_allclose(other.landmarks_world, coarse.landmarks_world, atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(other.affine[:3, :3], axis=0), spacing)
    fine = make_phantom(6, (108, 70, 94), (1.5, 1.5, 1.5)).volume.astype(float)
    pooled = fine.reshape(54, 2, 35, 2, 47, 2).mean(axis=(1, 3, 5))
    assert np.corrcoef(pooled.ravel(), coarse.volume.ravel())[0, 1] > 0.8


def test_an_oblique_phantom_is_the_same_picture_in_another_frame():
    heads = [make_phantom(2, **SMALL, oblique_degrees=degrees) for degrees in (0.0, 25.0)]
    straight, oblique = heads
    assert np.array_equal(straight.volume, oblique.volume)
    turn = np.linalg.inv(straight.affine[:3, :3]) @ oblique.affine[:3, :3]
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(25.0)
    ijk = [apply_affine(np.linalg.inv(one.affine), one.landmarks_world) for one in heads]
    np.testing.assert_allclose(*ijk, atol=1e-9)


IMPOSSIBLE = [
    ({"size": (0, 5, 5)}, "three positive numbers"),
    ({"size": (5, 5)}, "three positive numbers"),
    ({"spacing_mm": (1.0, -1.0, 1.0)}, "three positive numbers"),
    ({"spacing_mm": (1.0, float("nan"), 1.0)}, "three positive numbers"),
    ({"num_cases": 0}, "num_cases=0"),
    ({"seed": -1}, "seed=-1: give 0 or more"),
    ({"bend_degrees": -1.0}, "bend_degrees=-1.0: give 0 to 60"),
    ({"bend_degrees": 60.5}, "bend_degrees=60.5: give 0 to 60"),
    ({"bend_degrees": float("nan")}, "bend_degrees=nan: give 0 to 60"),
    ({"field": 0.5}, "field=0.5: give 1 to 4"),
    ({"field": float("inf")}, "field=inf: give 1 to 4"),
]


@pytest.mark.parametrize(("wrong", "message"), IMPOSSIBLE)
def test_refuses_impossible_data_sets_before_making_a_folder(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        phantom_cases(tmp_path / "new", **{"num_cases": 1, **SMALL, **wrong})
    assert not (tmp_path / "new").exists()


def test_writes_images_and_markups_that_agree(tmp_path):
    cases = phantom_cases(tmp_path, 2, **SMALL, seed=7)
    assert [case.name for case in cases] == ["head_000", "head_001"]
    phantom = make_phantom(8, **SMALL)
    image = nib.load(cases[1].image)
    assert np.array_equal(np.asarray(image.dataobj), phantom.volume)
    landmarks = read_landmarks(cases[1].landmarks)
    assert landmarks.names == LANDMARK_NAMES
    np.testing.assert_allclose(landmarks.positions_world, phantom.landmarks_world, atol=1e-4)
    # SimpleITK, an independent reader, finds the landmarks at the voxels they were made at.
    point = json.loads(cases[1].landmarks.read_text("utf-8"))["markups"][0]["controlPoints"][9]
    by_itk = sitk.ReadImage(str(cases[1].image))
    index = by_itk.TransformPhysicalPointToContinuousIndex(point["position"])
    expected = apply_affine(np.linalg.inv(phantom.affine), phantom.landmarks_world[9])
    np.testing.assert_allclose(index, expected, atol=1e-3)


def test_keeps_what_is_there_and_completes_what_is_not(tmp_path):
    phantom_cases(tmp_path, 3, **SMALL)
    images = sorted((tmp_path / "images").iterdir())
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in images}
    images[1].unlink()  # as if the first call had been interrupted
    # A folder from before there were arcs.
    record = json.loads((tmp_path / "phantom.json").read_text("utf-8"))
    assert record.pop("bend_degrees") == 0
    (tmp_path / "phantom.json").write_text(json.dumps(record))
    phantom_cases(tmp_path, 3, **SMALL)
    assert images[0].stat().st_mtime_ns == before[images[0]][0]
    assert np.array_equal(np.asarray(nib.load(images[1]).dataobj), make_phantom(1, **SMALL).volume)
    with pytest.raises(ValueError, match="other settings"):
        phantom_cases(tmp_path, 3, **SMALL, bend_degrees=30.0)


def test_writes_bent_heads(tmp_path):
    case = phantom_cases(tmp_path, 1, **SMALL, seed=1, bend_degrees=45.0)[0]
    bent, straight = make_phantom(1, **SMALL, bend_degrees=45.0), make_phantom(1, **SMALL)
    assert np.array_equal(np.asarray(nib.load(case.image).dataobj), bent.volume)
    moved = np.linalg.norm(bent.landmarks_world - straight.landmarks_world, axis=1)
    assert dict(zip(LANDMARK_NAMES, moved > 20, strict=True))["frontHead"]
    assert moved[2] < 1e-9  # the back of the skull


# Volume, affine and landmarks of seed 3, as they were made before heads were turned.
UNCHANGED = "cdfad09beda9300c"


def digest(phantom):
    parts = (phantom.volume, phantom.affine, phantom.landmarks_world)
    return hashlib.sha256(b"".join(one.tobytes() for one in parts)).hexdigest()[:16]


def test_a_turned_head_is_the_same_head():
    for seed in range(5):
        straight, turned = make_phantom(seed, **SMALL), make_phantom(seed, **SMALL, turned="head")
        apart = [pdist(one.landmarks_world) for one in (straight, turned)]
        np.testing.assert_allclose(*apart, rtol=1e-9)
        shapes = [
            one.landmarks_world - one.landmarks_world.mean(axis=0) for one in (straight, turned)
        ]
        rotation, _ = Rotation.align_vectors(shapes[1], shapes[0])
        # Not a mirror image. SciPy's own residual is a difference of large squares.
        assert np.linalg.norm(rotation.apply(shapes[0]) - shapes[1]) < 1e-6
        assert rotation.magnitude() > 0.1
        assert np.array_equal(straight.affine, turned.affine)


@pytest.mark.parametrize("field", [1, 1.5, 2.0])
def test_a_field_has_more_voxels_of_the_same_spacing(field):
    usual, other = make_phantom(2, **SMALL), make_phantom(2, **SMALL, field=field)
    assert other.volume.shape == tuple(round(field * side) for side in SMALL["size"])
    assert np.array_equal(usual.affine[:3, :3], other.affine[:3, :3])
    # The head is where it was, about the centre of the volume.
    centres = [
        apply_affine(one.affine, (np.array(one.volume.shape) - 1) / 2) for one in (usual, other)
    ]
    np.testing.assert_allclose(
        usual.landmarks_world - centres[0], other.landmarks_world - centres[1], atol=1e-9
    )
    assert (field == 1) == (digest(usual) == digest(other))


@pytest.mark.parametrize("turned", ["head", "scan"])
def test_turned_heads_in_a_larger_field_lie_in_the_picture(turned):
    for seed in range(6):
        phantom = make_phantom(seed, **SMALL, turned=turned, field=2)
        ijk = np.round(apply_affine(np.linalg.inv(phantom.affine), phantom.landmarks_world))
        assert ((ijk >= 0) & (ijk < phantom.volume.shape)).all()
        assert (phantom.volume[tuple(ijk.astype(int).T)] > 0).mean() >= 0.9  # fluid may be black


def test_a_turned_scan_is_the_same_head_in_another_pose():
    usual, other = make_phantom(2, **SMALL), make_phantom(2, **SMALL, turned="scan", field=2)
    pose = fit_pose(usual.landmarks_world, other.landmarks_world)
    off = pose.place(usual.landmarks_world) - other.landmarks_world
    assert np.abs(off).max() < 1e-6
    assert rotation_degrees(pose.rotation, np.eye(3)) > 5


def test_what_else_might_be_turned_is_refused():
    with pytest.raises(ValueError, match="phantom turned=probe: give one of none, head, scan"):
        make_phantom(0, **SMALL, turned="probe")


def test_writes_turned_heads(tmp_path):
    case = phantom_cases(tmp_path, 1, **SMALL, seed=1, turned="head", field=1.5)[0]
    expected = make_phantom(1, **SMALL, turned="head", field=1.5)
    assert np.array_equal(np.asarray(nib.load(case.image).dataobj), expected.volume)
    with pytest.raises(ValueError, match="other settings"):
        phantom_cases(tmp_path, 1, **SMALL, seed=1, turned="head")
    assert "turned" in json.loads((tmp_path / "phantom.json").read_text("utf-8"))


def test_phantoms_without_later_settings_are_as_before(tmp_path):
    case = phantom_cases(tmp_path, 1, **SMALL, seed=3, turned="none", field=1.0)[0]
    phantom = make_phantom(3, **SMALL)
    assert digest(phantom) == UNCHANGED
    assert np.array_equal(np.asarray(nib.load(case.image).dataobj), phantom.volume)
    record = json.loads((tmp_path / "phantom.json").read_text("utf-8"))
    assert sorted(record) == ["bend_degrees", "num_cases", "seed", "size", "spacing_mm", "version"]


def test_refuses_a_folder_of_other_settings_or_of_something_else(tmp_path):
    phantom_cases(tmp_path / "a", 1, **SMALL)
    (tmp_path / "a" / "phantom.json").write_text('{"vers')
    with pytest.raises(ValueError, match="other settings"):
        phantom_cases(tmp_path / "a", 1, **SMALL)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="holds no phantoms"):
        phantom_cases(tmp_path / "b", 1, **SMALL)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / ".7.phantom.json").touch()  # another job of a sweep is about to claim it
    assert [case.name for case in phantom_cases(tmp_path / "c", 1, **SMALL)] == ["head_000"]
