import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import get_object
from omegaconf import OmegaConf

from pin_lightning.runs.folder import read_config
from pin_lightning.runs.formats import _MOVED, FORMAT_VERSION, read_versioned, upgraded
from pin_lightning.runs.model_record import ModelRecord
from pin_lightning.runs.predictor import Predictor

# Settings of a model in a `run.json` of version 3, beside its parts.
OTHERS = {"patch_side": 9, "patch_spacings": [1], "interpolation": "linear", "num_starts": 1}
OTHERS |= {"displacement_unit": "sd", "tolerance_voxels": 0.1, "prior_share": 0.0, "seed": 0}
OTHERS |= {"precision": "auto"}
VERSION1 = Path(__file__).parents[1] / "earlier_runs" / "version1"


@pytest.mark.parametrize("run", ["multi", "cascade", "folds"])
def test_runs_of_version_1_predict_what_they_predicted(run):
    predictor = Predictor.load(VERSION1 / run, device="cpu")
    predictor.localizer.set_dtype(torch.float32)  # in bfloat16 processors differ
    found = predictor.predict(VERSION1 / "head.nii.gz")
    before = json.loads((VERSION1 / "predictions.json").read_text("utf-8"))[run]
    positions = dict(zip(found.names, found.positions_world, strict=True))
    assert list(positions) == list(before["positions_world"])
    for name, position in before["positions_world"].items():
        np.testing.assert_allclose(positions[name], position, atol=1e-3)
    np.testing.assert_allclose(found.spread_mm, before["spread_mm"], atol=1e-3)
    if before["radius_mm"] is None:
        assert found.radius_mm is None
    else:
        np.testing.assert_allclose(found.radius_mm, before["radius_mm"], atol=1e-3)


@pytest.mark.parametrize("run", ["multi", "cascade", "cascade/first_stage", "folds", "folds/fold0"])
def test_all_that_a_config_of_version_1_names_is_there(run):
    targets = list(targets_of(OmegaConf.to_container(read_config(VERSION1 / run))))
    assert sum(target.startswith("pin_lightning.") for target in targets) > 5
    assert all(map(get_object, targets))


@pytest.mark.parametrize("module", _MOVED.values())
def test_moved_modules_are_there(module):
    import_module(module)


def test_users_own_classes_keep_their_names():
    config = OmegaConf.create({"network": {"_target_": "pin_lightning_own.network.Mine"}})
    assert upgraded(config, 1).network._target_ == "pin_lightning_own.network.Mine"


def test_a_config_of_this_version_stays_as_it_is():
    config = OmegaConf.create({"shape": {"_target_": "pin_lightning.losses.Mine"}})
    assert upgraded(config, FORMAT_VERSION) == config


def test_pose_stages_of_version_3_are_scored_by_the_expected_error():
    assert upgraded(OmegaConf.create({"pose": {"kind": "find"}}), 3).pose.score == "expected_error"
    named = {"name": "find", "settings": {"rotations": "any", "landmarks": 4, "patch_side": 9}}
    parts = {key: {"name": "x", "settings": {}} for key in ("shape", "network", "update_rule")}
    record = ModelRecord.of_json({**OTHERS, **parts, "prior": None, "pose": named})
    finder = record.build("pose", mean_mm=torch.eye(3), spacings_mm=(2.0, 5.0))
    assert finder.network.heads.shape[1] == 4


@pytest.mark.parametrize(("before", "now"), [(False, "none"), (True, "head"), ("scan", "scan")])
def test_what_of_a_phantom_is_turned_has_a_name_since_version_4(before, now):
    config = OmegaConf.create({"data": {"source": {"turned": before}}})
    assert upgraded(config, 3).data.source.turned == now


@pytest.mark.parametrize("version", [0, 1.5, "1", None, FORMAT_VERSION + 1, [1], True])
def test_unknown_versions_are_refused(version, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"format_version": version}))
    with pytest.raises(
        ValueError, match=r"run\.json: has format_version .*this program reads 1 to"
    ):
        read_versioned(path, dict, "train again")


def targets_of(node):
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for value in values:
        yield from targets_of(value)
    if isinstance(node, dict) and isinstance(node.get("_target_"), str):
        yield node["_target_"]
