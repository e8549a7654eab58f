import errno
import logging

import pytest
import torch
from omegaconf import OmegaConf
from page_runs import CONFIG, write_page_run
from small_localizers import pca

from pin_lightning.common.files import whole_file
from pin_lightning.runs.folder import read_record
from pin_lightning.training.resume import (
    check_same_training,
    clear_leftovers,
    find_checkpoint,
    full_disk_named,
    is_own,
    steps_done,
)

LOCALIZER = pca()


@pytest.fixture
def run_dir(tmp_path):
    folder = write_page_run(tmp_path / "run")
    (folder / "checkpoints").mkdir()
    state = {f"localizer.{name}": value for name, value in LOCALIZER.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 40}, folder / "checkpoints" / "last.ckpt")
    return folder


def config_of(ckpt_path, **settings):
    model = {**CONFIG["model"], "scheduler": None}
    return OmegaConf.create({**CONFIG, "model": model, **settings, "ckpt_path": ckpt_path})


def test_last_is_that_of_the_run_folder(run_dir):
    record = read_record(run_dir)
    checkpoint = find_checkpoint(config_of("last"), run_dir, record)
    assert checkpoint == run_dir / "checkpoints" / "last.ckpt"
    assert steps_done(checkpoint, run_dir, config_of("last"), LOCALIZER) == 40
    assert is_own(checkpoint, run_dir)
    assert find_checkpoint(config_of(None), run_dir, record) is None
    other = find_checkpoint(config_of("a/b.ckpt"), run_dir, record)
    assert str(other) == "a/b.ckpt"
    assert not is_own(other, run_dir)
    assert not is_own(None, run_dir)


def test_where_there_is_no_last_a_training_begins_and_says_so(tmp_path, run_dir, caplog):
    caplog.set_level(logging.INFO)
    assert find_checkpoint(config_of("last"), tmp_path / "new", read_record(run_dir)) is None
    assert "new/checkpoints/last.ckpt is not there yet, training begins" in caplog.text
    assert steps_done(None, tmp_path / "new", config_of("last"), LOCALIZER) == 0


TRAINED = {"max_steps": 30, "precision": "auto", "gradient_clip_val": 1.0, "devices": 1}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("gradient_clip_val", None), ("precision", "32-true"), ("accumulate_grad_batches", 4)],
)
def test_last_does_not_go_on_by_other_steps(run_dir, setting, value):
    config = config_of("last", trainer=TRAINED)
    OmegaConf.save(config, run_dir / "config.yaml")
    config.trainer[setting] = value
    with pytest.raises(ValueError, match=f"with trainer.{setting}={TRAINED.get(setting)}, now"):
        find_checkpoint(config, run_dir, read_record(run_dir))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("devices", 4), ("accelerator", "gpu"), ("num_nodes", 2), ("log_every_n_steps", 1)),
        *(("strategy", {"_target_": "pytorch_lightning.strategies.FSDPStrategy"}),),
        *(("val_check_interval", 7), ("enable_progress_bar", True), ("max_steps", 60)),
    ],
)
def test_last_may_go_on_elsewhere_and_be_looked_at_otherwise(run_dir, setting, value):
    config = config_of("last", trainer=TRAINED)
    OmegaConf.save(config, run_dir / "config.yaml")
    config.trainer[setting] = value
    assert find_checkpoint(config, run_dir, read_record(run_dir)) is not None


@pytest.mark.parametrize("reason", ["ENOSPC", "EDQUOT", "EFBIG"])
def test_a_full_disk_is_named_with_what_is_kept(run_dir, tmp_path, reason):
    error = OSError(getattr(errno, reason), "it is full", "a.ckpt")
    words = "run: no space left to write to: it is full"
    with pytest.raises(ValueError, match=words) as named, full_disk_named(run_dir):
        raise error
    assert str(named.value).endswith(
        "(a.ckpt); the checkpoint of step 40 is kept; free space and go on with ckpt_path=last"
    )
    words = "no checkpoint was saved yet; free space and start again"
    with pytest.raises(ValueError, match=words), full_disk_named(tmp_path / "new"):
        raise error


def test_other_errors_are_let_through(run_dir):
    with pytest.raises(FileNotFoundError), full_disk_named(run_dir):
        raise FileNotFoundError(errno.ENOENT, "no such file", "a")


def test_what_a_killed_training_left_is_removed(run_dir):
    stages = (run_dir, run_dir / "pose")
    for name in ("checkpoints", "logs"):
        (run_dir / "pose" / name).mkdir(parents=True)
    before = sorted(run_dir.rglob("*"))
    names = [one / name for one in stages for name in ("a", "checkpoints/a", "logs/a")]
    killed = [whole_file(name) for name in names]
    for one in killed:
        one.__enter__().touch()
    assert len(list(run_dir.rglob("*"))) == len(before) + 6
    clear_leftovers(run_dir)
    assert sorted(run_dir.rglob("*")) == before


def test_settings_that_have_no_effect_on_the_weights_may_differ(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    config = OmegaConf.create({**CONFIG, "run_name": "other", "report": {"pictures": False}})
    config.data = {**CONFIG["data"], "cache_dir": "elsewhere", "on_error": "skip"}
    check_same_training(run_dir, config, read_record(run_dir))


def test_another_setting_is_named_with_both_values(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    record = read_record(run_dir)
    config = OmegaConf.create({**CONFIG, "seed": 3, "trainer": {"max_steps": 99}})
    with pytest.raises(ValueError, match="run: was trained with seed=0, now it is 3; give the"):
        check_same_training(run_dir, config, record)
    check_same_training(run_dir, config, record, free=("seed", "trainer"))


def test_other_cases_are_refused(tmp_path):
    run_dir, other = (write_page_run(tmp_path / name) for name in ("run", "other"))
    text = (other / "run.json").read_text("utf-8").replace("case_0", "case_99")
    (other / "run.json").write_text(text)
    with pytest.raises(ValueError, match="was trained on other cases, landmarks or another"):
        check_same_training(run_dir, OmegaConf.create(CONFIG), read_record(other))
