"""The file of a pose stage, and the search of the example around it, beside the package."""

import numpy as np
import onnx_pose
import pytest
import torch
from small_finders import small_finder, small_scan

from pin_lightning.deployment.graphs import with_metadata
from pin_lightning.deployment.parity import session
from pin_lightning.deployment.pose_graph import PoseStep, pose_model
from pin_lightning.deployment.pose_metadata import pose_metadata
from pin_lightning.deployment.pose_parity import check_pose
from pin_lightning.deployment.pose_scans import asked
from pin_lightning.method.pose.ensemble import PoseEnsemble
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.method.pose.starts import start_poses, start_rotations

pytestmark = pytest.mark.slow  # the export of a graph takes many seconds

LIMITS = PoseLimits(-0.5, 0.01)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two finders, of which sizes are found, with their files."""
    folder, finders = tmp_path_factory.mktemp("poses"), []
    for seed in range(2):
        finder = small_finder(seed, largest_scale=1.35)
        entries = pose_metadata(finder, LIMITS)
        (folder / f"{seed}.onnx").write_bytes(
            with_metadata(pose_model(PoseStep(finder), 18), entries)
        )
        finders.append((finder, folder / f"{seed}.onnx"))
    return finders


def test_a_step_is_that_of_the_package_for_any_number_and_size(files):
    (finder, path), levels = files[0], small_scan((41, 22, 37), seed=3)
    poses = asked(finder, levels).poses
    scans = finder.scans([[level] for level in levels])
    which = torch.tensor([3, 0, 4])
    with torch.no_grad():
        expected = finder.iterate(scans, poses, 1, which)[0]
        said = finder.predicted(scans, poses, which)[1]
        scores = said.log_error.mean(dim=1), -said.evidence.sum(dim=1)
    given = {"linear": poses.linear, "shift_mm": poses.shift_mm, "landmarks": which}
    given |= {"scan0": levels[0], "scan1": levels[1]}
    running = session(path.read_bytes())
    found = running.run(None, {name: value.numpy() for name, value in given.items()})
    assert len(poses.linear) > 100
    for one, other in zip(found, (expected.linear, expected.shift_mm, *scores), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_parity_check_passes_the_file_and_refuses_that_of_another(files):
    (finder, path), (_, other) = files
    scans = [asked(finder, small_scan())]
    worst_mm, elsewhere = check_pose(PoseStep(finder), path.read_bytes(), scans, 0.02)
    assert worst_mm < 0.001
    assert elsewhere < 5
    with pytest.raises(ValueError, match=r"differ at \d+ of \d+ poses \(tolerance.voxels=0.02\)"):
        check_pose(PoseStep(finder), other.read_bytes(), scans, 0.02)


@pytest.mark.parametrize("size", [(31, 26, 29), (60, 26, 45)])
def test_the_search_of_the_example_is_that_of_the_package(size, files):
    finder, path = files[0]
    levels = small_scan(size, seed=4)
    expected = finder(levels)
    step = onnx_pose.PoseStep(path)
    found = onnx_pose.find([step], [level.numpy() for level in levels])
    np.testing.assert_allclose(found.matrix, expected[0].pose.matrix, atol=1e-3)
    assert found.score == pytest.approx(expected[0].score, abs=1e-4)
    assert found.lead == pytest.approx(expected[0].lead, abs=1e-4)
    assert found.scale == pytest.approx(expected[0].pose.scale, abs=1e-5)
    assert found.uncertain == LIMITS.is_uncertain(expected[0])


def test_folds_refine_what_the_first_found(files):
    levels = small_scan(seed=5)
    expected = PoseEnsemble([finder for finder, _ in files])(levels)[0]
    steps = [onnx_pose.PoseStep(path) for _, path in files]
    found = onnx_pose.find(steps, [level.numpy() for level in levels])
    np.testing.assert_allclose(found.matrix, expected.pose.matrix, atol=2e-3)
    assert found.score == pytest.approx(expected.score, abs=1e-3)
    assert found.lead == pytest.approx(expected.lead, abs=1e-3)


@pytest.mark.parametrize("kind", ["any", "upright"])
@pytest.mark.parametrize("size", [(31, 26, 29), (150, 26, 90)])
def test_starts_are_those_of_the_package(kind, size, files):
    finder, levels = files[0][0], small_scan(size)
    levels[1][: size[0] // 8] = 0
    rotations = start_rotations(kind)
    scans = finder.scans([[level] for level in levels])
    expected = start_poses(scans[1], finder.extent_mm, finder.breadth_mm, rotations)
    about = onnx_pose.PoseStep(files[0][1]).about | {"rotations": rotations.tolist()}
    linear, shift_mm = onnx_pose.starts(levels[1].numpy(), about)
    np.testing.assert_allclose(linear, expected.linear, atol=1e-6)
    np.testing.assert_allclose(shift_mm, expected.shift_mm, atol=1e-3)


def test_a_search_of_an_empty_scan_ends_and_is_uncertain(files):
    empty = [np.zeros(size, dtype=np.uint8) for size in ((12, 13, 14), (5, 5, 6))]
    found = onnx_pose.find([onnx_pose.PoseStep(files[0][1])], empty)
    assert np.isfinite(found.matrix).all()


def test_means_of_turned_poses_by_hand():
    def about_z(degrees, scale):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return scale * np.array([[[c, -s, 0], [s, c, 0], [0, 0, 1.0]]])

    one = ((about_z(20, 1.0), np.array([[0.0, 0, 2]])), np.array([-1.0]))
    other = ((about_z(40, 4.0), np.array([[2.0, 0, 2]])), np.array([-3.0]))
    (linear, shift_mm), scores = onnx_pose.mean([one, other])
    np.testing.assert_allclose(linear, about_z(30, 2.0), atol=1e-12)
    np.testing.assert_allclose(shift_mm, [[1, 0, 2]])
    assert scores == [-2]
