import json
import shutil

import pytest
import torch

from conftest import assert_predicts_as_evaluated, composed
from pin_lightning.runs.folds import write_folds
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.predictor import Predictor
from pin_lightning.training.module import PINModule
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

TINY = ["model=shared", "model.patch_side=9", "loader.batch_size=2", "trainer.max_steps=2"]
TINY += ["trainer.val_check_interval=2", "model.num_starts=2", "data.split.val_fraction=0.1"]


@pytest.fixture(scope="module")
def cascade(short_settings, short_run, tmp_path_factory):
    """Run folder of a shared network that starts where the short run ends; that one is gone."""
    folder = tmp_path_factory.mktemp("runs")
    first = shutil.copytree(short_run, folder / "first")
    train(composed(*short_settings, *TINY, f"first_stage={first}"), folder / "second")
    shutil.rmtree(first)
    return folder / "second"


def test_a_cascade_loads_from_its_own_folder_as_it_was_evaluated(cascade, phantom_root):
    assert_predicts_as_evaluated(cascade, phantom_root)


def test_its_first_stage_validates_in_the_precision_that_it_predicts_in(
    short_settings, short_run, tmp_path, monkeypatch
):
    """Each stage in that of its own training."""
    first = shutil.copytree(short_run, tmp_path / "first")
    record = json.loads((first / "run.json").read_text("utf-8"))
    record["model"]["precision"] = "bf16-mixed"
    (first / "run.json").write_text(json.dumps(record))
    seen, whole = [], PINModule.validation_step

    def noted(module, *args):
        seen.append((module.localizer.network_dtype, module.localizer.first_stage.network_dtype))
        whole(module, *args)

    monkeypatch.setattr(PINModule, "validation_step", noted)
    settings = [*TINY, f"first_stage={first}", "trainer.precision=32-true"]
    train(composed(*short_settings, *settings), tmp_path / "second")
    loaded = Predictor.load(tmp_path / "second", "cpu").localizer
    assert set(seen) == {(torch.float32, torch.bfloat16)}
    assert (loaded.network_dtype, loaded.first_stage.network_dtype) == seen[0]


def test_it_begins_at_the_landmarks_of_the_first_stage_which_stays_as_it_was(cascade, short_run):
    second, first = load_localizer(cascade)[0], load_localizer(short_run)[0]
    volume = torch.zeros(1, *second.grid.size, dtype=torch.uint8)
    ends_mm = first(volume).landmarks_mm[:, -1, :2]
    torch.testing.assert_close(second(volume).landmarks_mm[:, 0], ends_mm)
    kept = second.first_stage.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in first.state_dict().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record["names"].reverse(), "its landmarks"),
        (lambda record: record["grid"]["size"].reverse(), "its working grid"),
        (lambda record: record["split"].update(train=record["split"]["test"]), "measured on here"),
    ],
)
def test_a_run_that_cannot_be_a_first_stage_is_refused(
    short_settings, short_run, tmp_path, change, words
):
    copy = shutil.copytree(short_run, tmp_path / "changed")
    record = json.loads((copy / "run.json").read_text("utf-8"))
    change(record)
    (copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f"first_stage={copy}: .*{words}"):
        train(composed(*short_settings, *TINY, f"first_stage={copy}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_of_folds_is_for_folds(short_settings, tmp_path):
    write_folds(tmp_path / "folds", 3)
    settings = [*short_settings, *TINY, f"first_stage={tmp_path}/folds"]
    with pytest.raises(ValueError, match="give one of its folds"):
        train(composed(*settings), tmp_path / "run")
    with pytest.raises(ValueError, match=r"fold1: has no run\.json"):
        train(composed(*settings, "data.split.folds=3", "data.split.fold=1"), tmp_path / "run")
