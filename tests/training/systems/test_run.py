"""A system beside PIN leaves the run folder of any training, and all programs work with it."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from conftest import assert_predicts_as_evaluated, composed
from pin_lightning.baselines import base
from pin_lightning.baselines.heatmap import HeatmapRegression
from pin_lightning.deployment.writing import export
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.reports.pages.run_facts import read_run_facts, training_facts
from pin_lightning.runs import model
from pin_lightning.runs.model_record import SystemRecord
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(phantom_root, tmp_path_factory):
    return [
        *("model=heatmap", "pose=as_scanned", "data=folder", f"data.root={phantom_root}"),
        f"data.cache_dir={tmp_path_factory.mktemp('cache')}",
        *("run_name=short", "run_dir=unused", "data.spacing_mm=6", "trainer.max_steps=6"),
        *("trainer.val_check_interval=3", "trainer.log_every_n_steps=1"),
        *("loader.batches_per_epoch=4", "report.pictures=false"),
    ]


def toy(target, *settings, **of_system):
    config = composed(*settings)
    system = {"_target_": f"toy_systems.{target}", **of_system}
    OmegaConf.update(config, "system", system, merge=False)
    config.trust_run = True
    return config


@pytest.fixture(scope="module")
def runs(settings, tmp_path_factory):
    made = {}
    for target in ("Offset", "Nearest"):
        made[target] = tmp_path_factory.mktemp("runs") / target
        pictures = ["report.pictures=true"] if target == "Offset" else []
        train(toy(target, *settings, *pictures), made[target])
    return made


@pytest.mark.parametrize("target", ["Offset", "Nearest"])
def test_a_run_folder_predicts_as_it_was_evaluated(runs, target, phantom_root):
    run = runs[target]
    assert not (run / "unfinished").exists()
    record = json.loads((run / "run.json").read_text("utf-8"))
    assert record["model"]["kind"] == "system"
    assert record["model"]["system"]["name"] == f"toy_systems.{target}"
    evaluation = read_predictions(run / "predictions.csv")["test"]
    predictor = Predictor.load(run, device="cpu", trust_run=True)
    for case, expected in zip(evaluation.cases, evaluation.predicted_world, strict=True):
        found = predictor.predict(phantom_root / "images" / f"{case}.nii.gz")
        np.testing.assert_allclose(found.positions_world, expected, atol=1e-3)
    with pytest.raises(ValueError, match="trust_run=true"):
        Predictor.load(run, device="cpu")


def test_the_page_has_facts_of_the_system_and_no_paths(runs):
    facts = dict(training_facts(read_run_facts(runs["Offset"])))
    assert facts["System"] == "Offset"
    assert not {"Shape model", "Network", "Iteration"} & facts.keys()
    drawn = {path.name for path in (runs["Offset"] / "figures").iterdir()}
    assert {"training.png", "test_errors.png", "test_best_case.png"} <= drawn
    assert not any("starts" in name or "convergence" in name for name in drawn)
    assert (runs["Offset"] / "report.html").is_file()


def test_programs_that_need_pin_say_so(runs):
    settings = [f"run={runs['Offset']}", "trust_run=true", f"output={runs['Offset']}/x"]
    with pytest.raises(ValueError, match="is of model=offset, of which there is no ONNX file"):
        export(composed(*settings, config_name="export"))
    predictor = Predictor.load(runs["Offset"], device="cpu", trust_run=True)
    with pytest.raises(ValueError, match="num_starts=3: model=offset has no starts"):
        predictor.localizer.set_starts(3)


@pytest.mark.parametrize("target", ["Offset", "Nearest"])
def test_a_resumed_training_ends_with_the_same_weights(runs, settings, target, tmp_path):
    half = ["trainer.max_steps=3", "model.scheduler=null"]
    train(toy(target, *settings, *half), tmp_path / "parts")
    on = ["model.scheduler=null", "ckpt_path=last"]
    train(toy(target, *settings, *on), tmp_path / "parts")
    train(toy(target, *settings, *on), tmp_path / "parts")  # nothing is left to do
    train(toy(target, *settings, "model.scheduler=null"), tmp_path / "whole")
    parts, whole = (
        model.read_weights(tmp_path / name / "checkpoints" / "last.ckpt")
        for name in ("parts", "whole")
    )
    assert parts.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(parts[name], value), name


def test_folds_are_averaged_and_have_error_bars(settings, tmp_path, phantom_root):
    more = ["data.split.folds=2", "calibration.coverage=0.7", "report.pictures=true"]
    config = composed(*settings, *more, config_name="cross_validate")
    OmegaConf.update(config, "system", {"_target_": "toy_systems.Nearest"}, merge=False)
    config.trust_run = True
    metrics = cross_validate(config, tmp_path)
    assert metrics["test"]["num_cases"] == 10
    predictor = Predictor.load(tmp_path, device="cpu", trust_run=True)
    found = predictor.predict(phantom_root / "images" / "head_000.nii.gz")
    assert (found.radius_mm > 0).all()
    assert found.trajectory.landmarks_mm.shape[1:3] == (2, 2)


def test_a_pose_stage_comes_before_a_system_as_before_pin(settings, tmp_path, phantom_root):
    pose = ["pose=find", "pose.steps=2", "pose.calibration_folds=0"]
    train(toy("Offset", *settings, *pose), tmp_path)
    predictor = Predictor.load(tmp_path, device="cpu", trust_run=True)
    found = predictor.predict(phantom_root / "images" / "head_000.nii.gz")
    assert found.pose is not None
    assert np.isfinite(found.positions_world).all()


def test_it_can_be_the_first_stage_of_pin(runs, settings, tmp_path):
    pin = ["model=multi", "network.widths=[4,8]", "network.hidden=[8]", "model.num_starts=2"]
    config = composed(*settings, *pin, f"first_stage={runs['Offset']}")
    config.trust_run = True
    train(config, tmp_path)
    found = Predictor.load(tmp_path, device="cpu", trust_run=True).localizer
    assert found.first_stage.name == "offset"
    with pytest.raises(ValueError, match="is of model=offset, of which there is no ONNX file"):
        export(composed(f"run={tmp_path}", "trust_run=true", "output=x", config_name="export"))


def test_several_devices_are_refused_by_a_loop_of_its_own(settings, tmp_path):
    config = toy("Nearest", *settings)
    config.trainer.num_nodes = 2
    with pytest.raises(ValueError, match=r"trainer\.(devices|num_nodes|strategy)="):
        train(config, tmp_path)


needs_monai = pytest.mark.skipif(
    importlib.util.find_spec("monai") is None,
    reason="MONAI is not installed: pip install 'pin-lightning[baselines]'",
)


@pytest.fixture(scope="module")
def heatmap_run(settings, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "heatmap"
    size = ["system.widths=[4,8]", "system.context_width=4", "system.context_kernel=3"]
    train(composed(*settings, *size), run)
    return run


@needs_monai
def test_heatmaps_leave_a_run_that_needs_no_trust(heatmap_run, phantom_root):
    assert_predicts_as_evaluated(heatmap_run, phantom_root)
    found = model.load_localizer(heatmap_run)[0]
    assert isinstance(found, HeatmapRegression)


@needs_monai
def test_a_run_without_its_packages_names_the_extra(heatmap_run, monkeypatch):
    monkeypatch.setattr(base, "find_spec", lambda one: None)
    with pytest.raises(ValueError, match=r"run\.json: model=heatmap: needs monai.*\[baselines\]"):
        Predictor.load(heatmap_run, device="cpu")
    assert training_facts(read_run_facts(heatmap_run))  # pages need no network


@needs_monai
def test_a_checkpoint_of_another_size_is_refused_before_it_takes_memory(heatmap_run, tmp_path):
    path = heatmap_run / "run.json"
    content = json.loads(path.read_text("utf-8"))
    settings = content["model"]["system"]["settings"]
    try:
        path.write_text(json.dumps(content | {"model": _wide(content["model"], settings)}))
        with pytest.raises(ValueError, match=r"does not fit its run\.json"):
            model.load_localizer(heatmap_run)
    finally:
        path.write_text(json.dumps(content))


def _wide(record, settings):
    """Of which the weights would take terabytes."""
    system = {**record["system"], "settings": {**settings, "widths": [8192, 8192, 8192]}}
    assert isinstance(SystemRecord.of_json({**record, "system": system}), SystemRecord)
    return {**record, "system": system}
