import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from page_runs import CONFIG, write_page_run

from pin_lightning.data.anatomy import Anatomy
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.runs.folder import read_model, read_record, write_run
from pin_lightning.runs.pose_stage import (
    PoseRecord,
    build_finder,
    load_pose,
    read_pose_record,
    write_pose_record,
)

SHAPE = np.random.default_rng(0).normal(0, 20, (5, 3))
ANATOMY = Anatomy(tuple("abcde"), SHAPE, 1.5)
RECORD = PoseRecord(ANATOMY, (1.0, 2.5), ("a", "b"), PoseLimits(-2.0, 0.5))
POSE = {"kind": "find", "rotations": "any", "landmarks": 4, "patch_side": 9, "num_rotations": 24}
POSE |= {"score": "evidence"}


def posed_run(folder, pose=POSE, record=RECORD):
    """A run folder whose pose stage has untrained weights."""
    run_dir = write_page_run(folder)
    write_run(run_dir, OmegaConf.create({**CONFIG, "pose": pose}), read_record(run_dir))
    checkpoint = run_dir / "pose" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    write_pose_record(run_dir, record)
    finder = build_finder(read_model(run_dir), record)
    state = {f"finder.{name}": value for name, value in finder.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 1}, checkpoint)
    return run_dir


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}))


def test_a_stage_comes_back(tmp_path):
    run_dir = posed_run(tmp_path / "run")
    record = read_pose_record(run_dir)
    np.testing.assert_array_equal(record.anatomy.reference_mm, SHAPE)
    assert (record.anatomy.names, record.anatomy.with_scale) == (ANATOMY.names, True)
    assert (record.spacings_mm, record.trained_on) == ((1.0, 2.5), ("a", "b"))
    finder, limits = load_pose(run_dir)[:2]
    assert limits == PoseLimits(-2.0, 0.5)
    assert len(finder.chosen_) == 4
    assert finder.largest_scale == 1.5


@pytest.mark.parametrize(("with_scale", "largest"), [(True, 1.35), (False, 1.0)])
def test_earlier_records_say_only_whether_sizes_are_found(tmp_path, with_scale, largest):
    path = posed_run(tmp_path / "run") / "pose" / "pose.json"
    content = json.loads(path.read_text("utf-8"))
    del content["largest_scale"]
    path.write_text(json.dumps({**content, "with_scale": with_scale}))
    assert read_pose_record(tmp_path / "run").anatomy.largest_scale == largest


def test_a_run_without_a_stage_has_none(tmp_path):
    assert load_pose(write_page_run(tmp_path / "run")) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reference_mm": {"a": [0, 0, 0]}}, "reference_mm"),
        ({"reference_mm": {name: [0, 0] for name in "abcde"}}, "damaged"),
        ({"reference_mm": {name: [1e9, 0, 0] for name in "abcde"}}, "too large"),
        ({"spacings_mm": []}, "spacings_mm"),
        ({"largest_scale": 0.5}, "largest_scale"),
        ({"largest_scale": 1e6}, "largest_scale"),
        ({"largest_scale": float("nan")}, "largest_scale"),
        ({"spacings_mm": [1.0] * 9}, "spacings_mm"),
        ({"spacings_mm": [-1.0, 2.0]}, "spacings_mm"),
        ({"limits": {"score": "x", "lead": 1}}, "damaged"),
        ({"limits": {}}, "damaged"),
        ({"format_version": 99}, "format_version 99"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path, values, message):
    run_dir = posed_run(tmp_path / "run")
    changed(run_dir / "pose" / "pose.json", **values)
    with pytest.raises(ValueError, match=message):
        read_pose_record(run_dir)


def test_what_is_missing_is_named(tmp_path):
    run_dir = posed_run(tmp_path / "run", record=PoseRecord(ANATOMY, (1.0, 2.5), ("a",)))
    with pytest.raises(ValueError, match="not finished"):
        load_pose(run_dir)
    (run_dir / "pose" / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(ValueError, match=r"has no pose/checkpoints/last\.ckpt"):
        load_pose(run_dir)
    (run_dir / "pose" / "pose.json").unlink()
    with pytest.raises(ValueError, match=r"has no pose/pose.json|has no pose/checkpoints"):
        load_pose(run_dir)


def test_weights_of_another_stage_are_refused(tmp_path):
    run_dir = posed_run(tmp_path / "run")
    path = run_dir / "pose" / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    state["state_dict"]["finder.chosen_"][0] = 99
    torch.save(state, path)
    with pytest.raises(ValueError, match="looks at landmarks beyond"):
        load_pose(run_dir)
    del state["state_dict"]["finder.network.embedding"]
    torch.save(state, path)
    with pytest.raises(ValueError, match="does not fit"):
        load_pose(run_dir)


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ({"name": "os.system", "settings": {"command": "x"}}, "is none of find"),
        ({"name": "find", "settings": {"patch_side": 99999}}, "patch_side"),
        ({"name": "find", "settings": {"unknown": 1}}, "there is no such setting"),
        ({"name": "find", "settings": {"num_rotations": 7}}, "num_rotations=7"),
    ],
)
def test_a_hostile_slot_is_refused(tmp_path, pose, message):
    run_dir = posed_run(tmp_path / "run")
    path = run_dir / "run.json"
    model = json.loads(path.read_text("utf-8"))["model"]
    changed(path, model={**model, "pose": pose})
    with pytest.raises(ValueError, match=message):
        load_pose(run_dir)
