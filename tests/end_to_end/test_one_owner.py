"""A folder that another program works in is refused by every program that would write there."""

import pytest

from conftest import composed
from pin_lightning.common.ownership import LOCK, owned_folder
from pin_lightning.deployment.writing import export
from pin_lightning.inference.run import infer
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.studies.new_cases import evaluate_new
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow


@pytest.fixture
def programs(short_settings, short_run, phantom_root, tmp_path):
    """What writes into `tmp_path`."""
    root, run = f"data.root={phantom_root}", f"run={short_run}"
    new = ["data=folder", root, run, f"output={tmp_path}"]
    images = f"input={phantom_root}/images/head_000.nii.gz"
    folds = [*short_settings, "data.split.folds=2"]
    return {
        "train": lambda: train(composed(*short_settings), tmp_path),
        "cross_validate": lambda: cross_validate(
            composed(*folds, config_name="cross_validate"), tmp_path
        ),
        "infer": lambda: infer(composed(run, images, f"output={tmp_path}", config_name="infer")),
        "evaluate": lambda: evaluate_new(composed(*new, config_name="evaluate")),
        "export": lambda: export(composed(run, f"output={tmp_path}", config_name="export")),
    }


@pytest.mark.parametrize("name", ["train", "cross_validate", "infer", "evaluate", "export"])
def test_it_is_refused_and_nothing_is_written(name, programs, tmp_path):
    with owned_folder("output", tmp_path):
        with pytest.raises(ValueError, match="works in it; wait for it, or give another folder"):
            programs[name]()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
