import errno
import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.call import _call_callback_hooks, _call_lightning_module_hook
from small_localizers import pca

from conftest import composed
from pin_lightning.distributed.random_states import global_states
from pin_lightning.runs.model import read_checkpoint
from pin_lightning.training import fit as fitting
from pin_lightning.training.callbacks.checkpoints import KeepBest, KeepLast, WholeCheckpoints
from pin_lightning.training.module import PINModule
from pin_lightning.training.run import train


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"state_dict": {}, "global_step": 1}, path)

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        WholeCheckpoints().save_checkpoint({"state_dict": {}, "global_step": 2}, path)
    assert read_checkpoint(path)["global_step"] == 1
    assert list(path.parent.iterdir()) == [path]


def test_the_best_of_a_folder_that_was_moved_is_known(tmp_path):
    (tmp_path / "new").mkdir()
    old, new = (KeepBest(tmp_path / name, "error") for name in ("old", "new"))
    path = str(tmp_path / "old" / "best.ckpt")
    old.best_k_models, old.best_model_score = {path: torch.tensor(2.0)}, torch.tensor(2.0)
    old.best_model_path = old.kth_best_model_path = path
    new.load_state_dict(old.state_dict())  # of another run: it has no best yet
    assert new.best_k_models == {}
    (tmp_path / "new" / "best.ckpt").touch()
    new.load_state_dict(old.state_dict())
    assert new.best_k_models == {str(tmp_path / "new" / "best.ckpt"): 2.0}
    assert new.kth_best_model_path == new.best_model_path == str(tmp_path / "new" / "best.ckpt")


@pytest.mark.parametrize("rank", [0, 1])
def test_each_process_goes_on_with_its_own_random_numbers(tmp_path, monkeypatch, rank):
    """In the order in which Lightning calls what takes them up."""
    trainer = pl.Trainer(logger=False, accelerator="cpu", callbacks=[])
    monkeypatch.setattr(trainer.strategy, "global_rank", rank)
    module = PINModule(pca(), 0.5, torch.optim.SGD)
    module.trainer, trainer.strategy._lightning_module = trainer, module
    before = torch.get_rng_state()

    def started(restored):
        keep = KeepLast(tmp_path / "last.ckpt", 1)
        keep.restored, trainer.callbacks = restored, [keep]
        torch.manual_seed(5)
        _call_callback_hooks(trainer, "on_train_start")
        _call_lightning_module_hook(trainer, "on_train_start", pl_module=module)
        return torch.rand(3)

    fresh = started({})
    torch.manual_seed(5 + rank)
    assert torch.equal(fresh, torch.rand(3))
    torch.manual_seed(99)
    restored, expected = {"random": global_states(), "should_stop": False}, torch.rand(3)
    assert torch.equal(started(restored), expected)
    torch.set_rng_state(before)


TINY = [
    *("data.spacing_mm=6.5", "model.patch_side=9", "model.num_starts=2"),
    *("network.widths=[4,4,8,8]", "network.hidden=[16]", "loader.batch_size=8"),
    *("trainer.max_steps=13", "trainer.val_check_interval=4", "trainer.log_every_n_steps=2"),
    *("report.bootstrap.resamples=100", "ckpt_path=last"),
]
LOADERS = {
    "resident": ["loader=resident", "loader.batches_per_epoch=6"],
    "queue": ["loader=queue", "loader.samples_per_volume=8", "loader.queue_length=24"],
}
# Epochs of six steps, validation every four.
KINDS = {
    "validation": LOADERS["resident"],
    "often": [*LOADERS["queue"], "checkpoint.every_steps=1"],
    "no validation": [
        *LOADERS["resident"],
        *("data.split.val_fraction=0", "checkpoint.every_steps=3"),
    ],
    "averaged": [
        *LOADERS["queue"],
        *("model.ema_decay=0.9", "model.patience=1", "checkpoint.every_steps=5"),
    ],
    "trajectories": [
        *("model=shared", "model.trajectory_share=0.5"),
        *(*LOADERS["queue"], "model.trajectory_every=3", "checkpoint.every_steps=1"),
    ],
}


class Cut(pl.Callback):
    """Breaks a training off without a word."""

    step = -1

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == self.step:
            raise KeyError("cut")


@pytest.fixture
def cut(monkeypatch):
    callbacks, one = fitting._callbacks, Cut()
    monkeypatch.setattr(fitting, "_callbacks", lambda *given: [*callbacks(*given), one])
    return one


def differences(first, second, where=""):
    """Where two nested states are not bit-equal."""
    if isinstance(first, torch.Tensor):
        return [] if torch.equal(first, second) else [where]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [where]
        pairs = [(key, first[key], second[key]) for key in first]
    elif isinstance(first, list):
        pairs = [(str(key), *pair) for key, pair in enumerate(zip(first, second, strict=True))]
    else:
        return [] if first == second else [where]
    return [one for key, *pair in pairs for one in differences(*pair, f"{where}/{key}")]


def check_same_end(run_dir, whole):
    """All of the last checkpoint, weights of the best, and what was logged."""
    states = [read_checkpoint(one / "checkpoints" / "last.ckpt") for one in (run_dir, whole)]
    for state in states:  # the folder, and a score that Lightning does not restore
        best = [key for key in state["callbacks"] if key.startswith("KeepBest")]
        for key in best:
            state["callbacks"][key] = state["callbacks"][key]["best_model_score"]
    assert differences(*states) == []
    if (whole / "checkpoints" / "best.ckpt").is_file():
        best = [read_checkpoint(one / "checkpoints" / "best.ckpt") for one in (run_dir, whole)]
        assert differences(*(one["state_dict"] for one in best)) == []
        assert best[0]["global_step"] == best[1]["global_step"]
    logged = [one / "logs" / "metrics.csv" for one in (run_dir, whole)]
    assert logged[0].read_text("utf-8") == logged[1].read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_it_comes_to_the_same_end(short_settings, cut, tmp_path, kind):
    settings = [one for one in short_settings if not one.startswith("loader.")]
    config = composed(*settings, *TINY, *KINDS[kind])
    train(config, tmp_path / "whole")
    for cut.step in (4, 6, 9):
        run_dir = tmp_path / "cut"
        try:
            train(config, run_dir)
        except KeyError:
            cut.step = -1
            train(config, run_dir)
        check_same_end(run_dir, tmp_path / "whole")
        shutil.rmtree(run_dir)
