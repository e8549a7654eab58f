import numpy as np
import pytest
import torch
from ball_scans import CENTRES_MM, ball_scan

from pin_lightning.common.alignment import Pose
from pin_lightning.method.pose.ensemble import PoseEnsemble
from pin_lightning.method.pose.finder import (
    SCORES,
    FoundPose,
    PoseFinder,
    extent_mm,
    spread_landmarks,
)
from pin_lightning.method.pose.network import (
    PoseNetwork,
    PoseOutputs,
    evidence_loss,
    pose_loss,
)
from pin_lightning.method.pose.rigid import Poses, angles, half_turns

SHAPE = torch.from_numpy(CENTRES_MM).float()


class Told(torch.nn.Module):
    """A network that knows the truth: displacements to it, errors that grow with the distance."""

    has_evidence = True

    def __init__(self, finder, true):
        super().__init__()
        self.finder, self.true, self.given = finder, true, None

    def forward(self, patches, which=slice(None)):
        poses, centres_mm = self.given
        truth = self.true.place(self.finder.shape_mm)[:, which]
        offsets = torch.linalg.solve(poses.linear[:, None], (truth - centres_mm)[..., None])[..., 0]
        displacement = offsets / self.finder.unit_mm
        log_error = torch.log(0.1 + displacement.norm(dim=-1))
        return PoseOutputs(displacement, log_error, -log_error)


class Deceived(Told):
    """Sees two poses, the truth and a turned one, and leads to the nearer of them.

    Only in the end it can tell which is right.
    """

    def __init__(self, finder, true, other):
        super().__init__(finder, true)
        self.other = other

    def forward(self, patches, which=slice(None)):
        linear = self.given[0].linear
        to_true, to_other = (
            angles(linear, one.linear.expand_as(linear)) for one in (self.true, self.other)
        )
        nearer = to_true < to_other
        told = super().forward(patches, which)
        self.true, true = self.other, self.true
        turned = super().forward(patches, which)
        self.true = true
        chosen = (torch.where(nearer.view(-1, 1, 1), told[0], turned[0]),)
        chosen += (torch.where(nearer[:, None], told[1], turned[1]),)
        return PoseOutputs(*chosen, torch.where(nearer[:, None], 1.0, 0.0) - chosen[1])


def told_finder(true, other=None, **settings):
    """A finder whose network knows the pose."""
    finder = PoseFinder(SHAPE, (2.0, 5.0), patch_side=9, **settings)
    network = Told(finder, true) if other is None else Deceived(finder, true, other)
    cut = finder.patches

    def remembered(scans, index, poses, which=slice(None), box=None):
        patches, centres_mm = cut(scans, index, poses, which, box)
        network.given = (poses, centres_mm)
        return patches, centres_mm

    finder.patches, finder.network = remembered, network
    return finder


def levels_of(seed=0):
    voxels = torch.from_numpy(np.asarray(ball_scan(seed)[0].dataobj).copy())
    return [voxels[::2, ::2, ::2], voxels[::5, ::5, ::5]]


@pytest.mark.parametrize(("degrees", "scale"), [(10, 1.0), (100, 1.0), (179, 1.0), (60, 1.15)])
def test_a_network_that_knows_leads_to_the_pose(degrees, scale):
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8])).as_matrix()
    true = Poses(torch.tensor(scale * turn)[None].float(), torch.tensor([[3.0, -2.0, 4.0]]))
    found = told_finder(true, largest_scale=2.0)(levels_of())
    np.testing.assert_allclose(found[0].pose.rotation, turn, atol=1e-4)
    np.testing.assert_allclose(found[0].pose.shift_mm, [3, -2, 4], atol=1e-2)
    assert found[0].pose.scale == pytest.approx(scale, abs=1e-4)
    assert found[0].lead == pytest.approx(found[0].second_score - found[0].score)


@pytest.mark.parametrize("rotations", ["any", "upright"])
def test_an_anatomy_that_is_seen_turned_over_is_tried_the_other_way(rotations, monkeypatch):
    """All starts lie nearer to the pose that is turned by half about a principal axis."""
    true = Poses(half_turns(SHAPE)[:1], torch.zeros(1, 3))
    other = Poses(torch.eye(3)[None], torch.zeros(1, 3))
    start = lambda *_: torch.eye(3)[None]  # noqa: E731
    monkeypatch.setattr("pin_lightning.method.pose.finder.start_rotations", start)
    found = told_finder(true, other, rotations=rotations)(levels_of())
    expected = true if rotations == "any" else other  # upright scans are not turned over
    np.testing.assert_allclose(found[0].pose.rotation, expected.linear[0], atol=1e-4)
    if rotations == "any":
        np.testing.assert_allclose(found[1].pose.rotation, other.linear[0], atol=1e-4)


def test_landmarks_are_spread_and_extents_are_largest_distances():
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [10, 0, 0], [5, 0, 0]])
    assert spread_landmarks(line, 3).tolist() == [0, 3, 4]
    assert spread_landmarks(line, 99).tolist()[:3] == [0, 3, 4]
    assert extent_mm(line) == 10


def test_the_loss_by_hand_and_without_unknown_landmarks():
    displacement, target = torch.zeros(1, 2, 3), torch.tensor([[[3.0, 4, 0], [99, 99, 99]]])
    log_error, known = torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 0.0]])
    loss = pose_loss(displacement, log_error, target, known)
    assert float(loss) == pytest.approx(5 * np.exp(-0.5) + 1.5 * 0.5, abs=1e-4)
    assert float(pose_loss(displacement, log_error, target, torch.zeros(1, 2))) == 0


def test_evidence_adds_up_to_the_log_odds_by_hand():
    evidence = torch.tensor([[1.0, 2.0, -0.5], [-3.0, 0.0, 1.0]])
    loss = evidence_loss(evidence, torch.tensor([1.0, 0.0]))
    by_hand = (np.log1p(np.exp(-2.5)) + np.log1p(np.exp(-2.0))) / 2
    assert float(loss) == pytest.approx(by_hand, abs=1e-6)


def test_without_evidence_of_its_own_it_is_minus_the_mean_log_expected_error():
    network, patches = PoseNetwork(4, 6, 9, has_evidence=False), torch.rand(2, 3, 6, 9, 9)
    said = network(patches, torch.tensor([2, 0, 1]))
    torch.testing.assert_close(said.evidence.sum(dim=1), -said.log_error.mean(dim=1))
    assert "heads" in dict(network.named_parameters())
    assert network.heads.shape[1] == 4
    assert PoseNetwork(4, 6, 9).heads.shape[1] == 5


def test_an_ensemble_is_the_mean_of_what_its_finders_refine():
    straight = Poses(torch.eye(3)[None], torch.tensor([[2.0, 0, 0]]))
    shifted = Poses(torch.eye(3)[None], torch.tensor([[4.0, 0, 0]]))
    both = PoseEnsemble([told_finder(straight), told_finder(shifted)])
    found = both(levels_of())
    np.testing.assert_allclose(found[0].pose.shift_mm, [3, 0, 0], atol=1e-2)
    np.testing.assert_allclose(found[0].pose.rotation, np.eye(3), atol=1e-5)
    assert isinstance(found[0], FoundPose)
    assert isinstance(found[0].pose, Pose)


def test_finders_of_different_kinds_are_no_ensemble():
    with pytest.raises(ValueError, match="2 kinds"):
        PoseEnsemble([PoseFinder(SHAPE, (2.0, 5.0)), PoseFinder(SHAPE, (1.0, 5.0))])
    by_score = [PoseFinder(SHAPE, (2.0,), score=name) for name in SCORES]
    with pytest.raises(ValueError, match="2 kinds"):
        PoseEnsemble(by_score)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("landmarks", 10**6),
        ("patch_side", 8),
        ("patch_side", 999),
        ("rotations", "x"),
        ("score", "x"),
    ],
)
def test_settings_far_beyond_any_use_are_refused(setting, value):
    with pytest.raises(ValueError, match=f"pose.{setting}={value}"):
        PoseFinder(SHAPE, (2.0, 5.0), **{setting: value})
