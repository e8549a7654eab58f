import json
import pickle
import shutil
from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from conftest import assert_predicts_as_evaluated, mark_as_version_1
from pin_lightning.common.precision import network_dtype
from pin_lightning.runs.folder import clear_results, read_config, read_record, write_run
from pin_lightning.runs.model import read_checkpoint
from pin_lightning.runs.predictor import Predictor, choose_device

CPU = torch.device("cpu")


@pytest.fixture
def run_copy(short_run, tmp_path):
    return shutil.copytree(short_run, tmp_path / "run")


def test_a_loaded_run_predicts_as_it_was_evaluated(short_run, phantom_root):
    assert_predicts_as_evaluated(short_run, phantom_root)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)]
)
def test_a_run_predicts_in_the_precision_of_its_training(run_copy, precision, dtype):
    path = run_copy / "run.json"
    content = json.loads(path.read_text("utf-8"))
    content["model"]["precision"] = precision
    path.write_text(json.dumps(content))
    assert Predictor.load(run_copy, "cpu").localizer.network_dtype == dtype


@pytest.mark.parametrize(
    ("missing", "words"), [("run.json", "run.json"), ("checkpoints", "best.ckpt")]
)
def test_a_run_folder_that_lacks_a_file_is_refused(run_copy, missing, words):
    path = run_copy / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match=words):
        Predictor.load(run_copy)


def test_a_damaged_record_is_refused(run_copy):
    for text in ("{", "{}", "[]"):
        (run_copy / "run.json").write_text(text)
        with pytest.raises(ValueError, match=r"run\.json: is damaged"):
            read_record(run_copy)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("model", "precision"), "auuto", "trainer.precision=auuto: give one of auto"),
        (("model", "network", "settings", "widths"), [-1, 16, 16, 16], "widths=-1: is too small"),
        (("model", "network", "settings", "dropout"), 7.0, "dropout"),
    ],
)
def test_values_that_make_no_model_are_one_line_with_the_file(keys, value, words, run_copy):
    path = run_copy / "run.json"
    record = part = json.loads(path.read_text("utf-8"))
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"run\.json: .*{words}") as caught:
        Predictor.load(run_copy)
    assert "\n" not in str(caught.value)


def test_names_of_a_record_are_one_line_in_one_spelling(run_copy):
    path = run_copy / "run.json"
    record = json.loads(path.read_text("utf-8"))
    record["names"][0], record["split"]["test"] = "Na\u0308se", ["Mu\u0308ller"]
    path.write_text(json.dumps(record))
    assert read_record(run_copy).names[0] == "N\u00e4se"
    assert read_record(run_copy).split.test == ("M\u00fcller",)
    record["names"][0] = "no\nse"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="is not one line of text"):
        read_record(run_copy)


def test_the_record_says_the_window_and_what_training_images_look_like(run_copy):
    path = run_copy / "run.json"
    content = json.loads(path.read_text("utf-8"))
    record = read_record(run_copy)
    assert (content["window"], record.window) == ("percentiles", "percentiles")
    assert record.training_images is not None
    assert record.training_images.num_cases == len(record.split.train)
    assert record.training_images.least.high <= record.training_images.most.high
    assert 0 < record.apart_mm < min(record.grid.extent_mm)
    predictor = Predictor.load(run_copy, "cpu")
    assert (predictor.window, predictor.usual) == (record.window, record.training_images)
    assert predictor.apart_mm == record.apart_mm
    damages = ({"window": "other"}, {"training_images": {"num_cases": 1}}, {"apart_mm": -1})
    for damage in damages:
        path.write_text(json.dumps({**content, **damage}))
        with pytest.raises(ValueError, match=r"run\.json: is damaged"):
            read_record(run_copy)
    earlier = {"window", "training_images", "apart_mm"}
    earlier = {key: content[key] for key in content.keys() - earlier}
    path.write_text(json.dumps(earlier))
    record = read_record(run_copy)
    assert (record.window, record.training_images) == ("percentiles", None)
    assert record.apart_mm is None


def test_a_checkpoint_that_holds_code_is_refused_and_not_executed(run_copy, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"state_dict": {}, "evil": Evil()}, run_copy / "checkpoints" / "best.ckpt")
    with pytest.raises(ValueError, match="it holds code or other objects") as refusal:
        Predictor.load(run_copy)
    assert "weights_only" not in str(refusal.value)  # no way around it is told
    assert not (tmp_path / "executed").exists()


def test_damaged_checkpoints_are_refused(run_copy):
    path = run_copy / "checkpoints" / "best.ckpt"
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no checkpoint", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"best\.ckpt"):
            read_checkpoint(path)
    path.write_bytes(whole)
    assert "state_dict" in read_checkpoint(path)


@pytest.mark.parametrize(
    "other",
    [
        lambda value: "weights",
        lambda value: value.to_sparse(),
        lambda value: value.to(torch.complex64),
        lambda value: torch.full_like(value, torch.inf),
    ],
)
def test_weights_that_are_no_plain_numbers_are_refused(other, run_copy):
    path = run_copy / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    name = next(one for one in content["state_dict"] if one.startswith("localizer.network"))
    content["state_dict"][name] = other(content["state_dict"][name])
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"best\.ckpt: network\..* is not (a plain tensor|finite)"):
        Predictor.load(run_copy)
    for state in ([1], {1: torch.zeros(2)}):
        torch.save({"state_dict": state}, path)
        with pytest.raises(ValueError, match=r"best\.ckpt: is not a checkpoint of this program"):
            Predictor.load(run_copy)


def test_weights_of_another_network_are_refused(run_copy):
    record = (run_copy / "run.json").read_text("utf-8")
    (run_copy / "run.json").write_text(record.replace("64\n", "32\n"))
    with pytest.raises(ValueError, match=r"does not fit its run\.json"):
        Predictor.load(run_copy)


def test_a_run_from_before_a_setting_existed_loads(run_copy):
    path = run_copy / "config.yaml"
    config = OmegaConf.load(path)
    for key in ("patch_spacings", "prior", "prior_share", "ema_decay"):
        del config.model[key]
    del config.sampling, config.displacement_loss, config.trainer.precision, config.data.planes
    OmegaConf.save(config, path)
    mark_as_version_1(run_copy)
    localizer = Predictor.load(run_copy, "cpu").localizer
    assert localizer.patch_spacings == (1,)
    assert localizer.prior is None
    assert localizer.network_dtype == network_dtype(torch.device("cpu"))
    assert read_config(run_copy).data.planes == {}


def test_record_round_trip(short_run, tmp_path):
    record = replace(read_record(short_run), names=("a", "ü 1"))
    write_run(tmp_path, OmegaConf.load(short_run / "config.yaml"), record)
    assert read_record(tmp_path) == record


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")
    for name in ("toaster", "cuda:99"):
        with pytest.raises(ValueError, match=name):
            choose_device(name)


def test_results_of_an_earlier_training_do_not_outlive_it(tmp_path):
    names = ("metrics.json", "predictions.csv", "planes.csv", "convergence.csv", "poses.csv")
    kept = ("onnx/network.onnx", "checkpoints/best.ckpt", "notes.txt")
    for name in (*names, "report.html", "figures/a.png", *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    clear_results(tmp_path, keep_checkpoints=True)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "notes.txt", "onnx"}
    clear_results(tmp_path, keep_checkpoints=False)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt"}
    clear_results(tmp_path / "absent", keep_checkpoints=False)
