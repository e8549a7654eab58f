import pytest
import torch

from conftest import composed
from pin_lightning.reports.figures.plots import read_curves
from pin_lightning.runs.model import read_checkpoint
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

SHARED = ["model=shared", "model.patch_side=9", "loader.batch_size=2", "model.num_starts=2"]
SHARED += ["trainer.max_steps=6", "trainer.val_check_interval=3", "trainer.log_every_n_steps=1"]
FOLLOWED = ["model.trajectory_share=1", "model.trajectory_every=2", "data.split.val_fraction=0.1"]


def kept_by(run_dir, name):
    callbacks = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")["callbacks"]
    (state,) = [value for key, value in callbacks.items() if key.startswith(name)]
    return state


@pytest.mark.parametrize("loader", ["resident", "queue"])
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


def test_training_stops_when_the_localisation_error_no_longer_falls(short_settings, tmp_path):
    settings = [*short_settings, "model.patience=2", "model.optimizer.lr=0", "model.scheduler=null"]
    settings += ["trainer.max_steps=100", "trainer.val_check_interval=5"]
    train(composed(*settings), tmp_path)
    name = "val/radial_error_mm"
    curve = read_curves(tmp_path / "logs" / "metrics.csv", [name])[name]
    assert len(curve) == curve[:, 1].argmin() + 3 < 20  # two validations that were no better
