import numpy as np
import onnx
import pytest
import torch
from hand_made_onnx import stepwise
from omegaconf import OmegaConf
from small_finders import small_finder
from small_localizers import NAMES, build

from conftest import composed
from pin_lightning.data.anatomy import Anatomy
from pin_lightning.deployment import writing
from pin_lightning.deployment.writing import export, networks, pose_files
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.runs.pose_stage import PoseStage
from pin_lightning.runs.predictor import Predictor


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The settings of an export of a small localizer."""
    predictor = Predictor(build("pca"), NAMES, "cpu")
    monkeypatch.setattr(Predictor, "load", lambda *_: predictor)
    (tmp_path / "run").mkdir()
    return composed(f"run={tmp_path}/run", f"output={tmp_path}/onnx", config_name="export")


@pytest.fixture
def exported(monkeypatch):
    """Instead of minutes: other models in place of the exporter's."""
    model = onnx.load_from_string(stepwise())
    monkeypatch.setattr(writing, "network_model", lambda *_: model)
    monkeypatch.setattr(writing, "localizer_model", lambda *_: model)


@pytest.fixture
def agreeing(exported, monkeypatch):
    monkeypatch.setattr(writing, "check_network", lambda *_: 0.0)
    diverged = torch.arange(9).view(3, 3) == 0
    monkeypatch.setattr(writing, "check_localizer", lambda *_: (0.0, diverged))
    monkeypatch.setattr(writing, "seconds_per_volume", lambda *_: (1.0, 2.0))


def test_networks_are_named_by_what_they_serve():
    assert [name for name, _ in networks(build("pca"))] == ["network"]
    assert [name for name, _ in networks(build("cascade"))] == ["network", "first_stage_network"]
    folds = build("folds")
    folds.members[1].first_stage = build("pca")
    names = ["fold0_network", "fold1_network", "fold1_first_stage_network"]
    assert [name for name, _ in networks(folds)] == names


def test_what_is_written_and_said(config, agreeing, tmp_path, caplog):
    caplog.set_level("INFO")
    paths = export(config)
    assert paths == [tmp_path / "onnx/network.onnx", tmp_path / "onnx/localizer.onnx"]
    for path in paths:
        entries = {one.key: one.value for one in onnx.load(path).metadata_props}
        assert '"b ü"' in entries["landmarks"]
    assert sorted((tmp_path / "onnx").iterdir()) == sorted(paths)
    assert "1 of 9 starts ended elsewhere" in caplog.text
    assert "2.0 times as long" in caplog.text


def posed(count):
    """The predictor of a run, or of folds, that finds the pose first."""
    anatomy = Anatomy(NAMES, np.eye(3))
    poses = [PoseStage(small_finder(seed), PoseLimits(0.0, 0.0), anatomy) for seed in range(count)]
    return Predictor(build("pca"), NAMES, "cpu", poses=poses, window="robust")


def test_pose_stages_have_files_of_their_own():
    assert pose_files(posed(0)) == []
    assert pose_files(posed(1)) == ["pose.onnx"]
    assert pose_files(posed(2)) == ["fold0_pose.onnx", "fold1_pose.onnx"]


def test_a_run_that_finds_the_pose(config, agreeing, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    compared = []

    def check(_, __, scans, voxels):
        compared.append((len(scans), voxels))
        return 0.01, 3

    monkeypatch.setattr(writing, "pose_model", lambda *_: onnx.load_from_string(stepwise()))
    monkeypatch.setattr(writing, "check_pose", check)
    predictor = posed(1)
    monkeypatch.setattr(Predictor, "load", lambda *_: predictor)
    names = ["pose.onnx", "network.onnx", "localizer.onnx"]
    assert export(config) == [tmp_path / "onnx" / name for name in names]
    for name in names:
        made = onnx.load(tmp_path / "onnx" / name)
        entries = {one.key: one.value for one in made.metadata_props}
        assert entries["format_version"] == "3"
    assert entries["poses"] == '["pose.onnx"]'
    assert compared == [(2, 0.02)]
    assert "pose.onnx: 3 of " in caplog.text


def test_where_most_starts_wander_few_iterations_are_compared(config, agreeing, monkeypatch):
    asked = []
    monkeypatch.setattr(writing, "check_few_iterations", lambda *given: asked.append(given))
    export(config)
    assert not asked
    monkeypatch.setattr(
        writing, "check_localizer", lambda *_: (0.0, torch.arange(9).view(3, 3) > 3)
    )
    export(config)
    assert len(asked) == 1


def test_the_network_alone_in_float32_and_of_fewer_starts(config, agreeing, tmp_path):
    predictor = Predictor.load(None, None)
    predictor.localizer.set_dtype(torch.bfloat16)
    config.localizer, config.num_starts = False, 2
    assert export(config) == [tmp_path / "onnx/network.onnx"]
    assert predictor.localizer.network_dtype == torch.float32
    assert len(predictor.localizer.starts()) == 2


def test_files_that_compute_something_else_replace_nothing(config, exported, tmp_path, monkeypatch):
    (tmp_path / "onnx").mkdir()
    for name in ("network.onnx", "localizer.onnx"):
        (tmp_path / "onnx" / name).write_text("of before")
    monkeypatch.setattr(writing, "check_network", lambda *_: 0.0)
    volumes = torch.zeros(1, 4, 3, 2).byte()
    monkeypatch.setattr(writing, "volumes_of_run", lambda *_: volumes)
    monkeypatch.setattr(writing, "LocalizerGraph", lambda _: Elsewhere())
    with pytest.raises(ValueError, match="ONNX Runtime and PyTorch differ in 2 of 2 starts"):
        export(config)
    assert {path.read_text("utf-8") for path in (tmp_path / "onnx").iterdir()} == {"of before"}


def test_a_refused_export_leaves_no_folder(config, exported, tmp_path, monkeypatch):
    def differs(*_):
        raise ValueError("they differ")

    monkeypatch.setattr(writing, "check_network", differs)
    with pytest.raises(ValueError, match="they differ"):
        export(config)
    assert not (tmp_path / "onnx").exists()


class Elsewhere(torch.nn.Module):
    def forward(self, volumes):
        return torch.full((1, 1, 3), 50.0), torch.zeros(1, 1), torch.full((1, 2, 1, 3), 50.0)


def test_a_file_that_cannot_be_written_leaves_the_others(config, agreeing, tmp_path):
    (tmp_path / "onnx/localizer.onnx").mkdir(parents=True)
    with pytest.raises(OSError, match=r"localizer\.onnx"):
        export(config)
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["localizer.onnx"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("opset", 17, r"opset=17: give a number from 18 to 23"),
        ("opset", "new", r"opset=new: give a number from 18 to 23"),
        ("localizer", "no", r"localizer=no: give true or false"),
        ("num_starts", 0, r"^num_starts=0: give a whole number of at least 1"),
        ("num_starts", "two", r"^num_starts=two: give a whole number"),
        ("tolerance", 3, r"tolerance=3: give tolerance\.network or"),
        ("input", "/no/such.nii", r"input=/no/such\.nii: no file matches"),
        ("output", "/dev/null/x", r"output=/dev/null/x: cannot be written to"),
        ("tolerance.voxels", -1, r"tolerance\.voxels=-1: give a positive number"),
    ],
)
def test_refuses_settings(key, value, words, config):
    OmegaConf.update(config, key, value)
    with pytest.raises(ValueError, match=words):
        export(config)


def test_says_what_to_install(config, monkeypatch):
    monkeypatch.setattr(writing, "PACKAGES", ("onnx", "no_such_onnx"))
    with pytest.raises(ValueError, match=r"needs no_such_onnx; pip install .*\[export\]"):
        export(config)
