import pytest
import torch

from conftest import composed
from pin_lightning.method.sampling import OnTrajectories, Scatter
from pin_lightning.reports.figures.plots import read_curves
from pin_lightning.runs.model import read_checkpoint
from pin_lightning.training.callbacks.trajectories import FollowTrajectories
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

SHARED = ["model=shared", "model.patch_side=9", "loader.batch_size=2", "model.num_starts=2"]
SHARED += ["trainer.max_steps=6", "trainer.val_check_interval=3", "trainer.log_every_n_steps=1"]
FOLLOWED = ["model.trajectory_share=1", "model.trajectory_every=2", "data.split.val_fraction=0.1"]


def kept_by(run_dir, name):
    callbacks = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")["callbacks"]
    (state,) = [value for key, value in callbacks.items() if key.startswith(name)]
    return state


@pytest.mark.parametrize("loader", ["resident", pytest.param("queue", marks=pytest.mark.slow)])
def test_the_model_is_followed_through_training_volumes(short_settings, tmp_path, loader):
    settings = [one for one in short_settings if "batches_per_epoch" not in one]
    settings += [*SHARED, *FOLLOWED, f"loader={loader}"]
    train(composed(*settings), tmp_path)
    offsets_mm = kept_by(tmp_path, "FollowTrajectories")["offsets_mm"]
    # 6 training cases, one start in the middle and a random one, starts and up to 10 iterations.
    assert offsets_mm.shape[1:] == (10, 3)
    assert 6 * 2 * 2 <= len(offsets_mm) <= 6 * 2 * 11
    assert torch.isfinite(offsets_mm).all()
    assert 1 < offsets_mm.norm(dim=2).mean() < 40  # of phantoms whose mean shape is 11 mm off


def test_a_continued_training_knows_where_the_model_was():
    one = FollowTrajectories(OnTrajectories(Scatter(), 0.5), 10, seed=3)
    one.sampling.offsets_mm = torch.ones(4, 2, 3)
    torch.randperm(5, generator=one.generator)
    other = FollowTrajectories(OnTrajectories(Scatter(), 0.5), 10, seed=4)
    other.load_state_dict(one.state_dict())
    assert torch.equal(other.sampling.offsets_mm, torch.ones(4, 2, 3))
    draws = [torch.randperm(9, generator=each.generator) for each in (one, other)]
    assert torch.equal(*draws)


def test_steps_between_two_looks_are_positive():
    with pytest.raises(ValueError, match=r"model\.trajectory_every=0"):
        FollowTrajectories(OnTrajectories(Scatter(), 0.5), 0, seed=0)


def test_training_stops_when_the_localisation_error_no_longer_falls(short_settings, tmp_path):
    settings = [*short_settings, "model.patience=2", "model.optimizer.lr=0", "model.scheduler=null"]
    settings += ["trainer.max_steps=100", "trainer.val_check_interval=5"]
    train(composed(*settings), tmp_path)
    name = "val/radial_error_mm"
    curve = read_curves(tmp_path / "logs" / "metrics.csv", [name])[name]
    assert len(curve) == curve[:, 1].argmin() + 3 < 20  # two validations that were no better


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.patience=0"], "model.patience=0"),
        (["model.patience=3", "data.split.val_fraction=0"], "model.patience=3: needs validation"),
        (["model.trajectory_share=2"], "model.trajectory_share=2"),
        (["model.trajectory_share=0.5", "model.trajectory_every=0"], "model.trajectory_every=0"),
    ],
)
def test_bad_settings_are_refused(short_settings, tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        train(composed(*short_settings, *arguments), tmp_path / "run")
    assert not (tmp_path / "run").exists()
