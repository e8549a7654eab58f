import json
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.__main__ import PROGRAMS
from pin_lightning.data.images import limits
from pin_lightning.runs.folder import read_config, read_model, read_record
from pin_lightning.runs.formats import MOST_BYTES, plain_yaml
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.model_parts import REGISTRY, Part
from pin_lightning.runs.model_record import (
    ModelRecord,
    SystemRecord,
    record_of_config,
    record_of_json,
)
from pin_lightning.runs.predictor import Predictor

VERSION1 = Path(__file__).parents[1] / "earlier_runs" / "version1"


def config_of(*overrides):
    given = ["data=phantom", "run_name=x", "run_dir=x", "model.patch_side=9", *overrides]
    return composed(*given)


def record(**changes):
    own = ModelRecord.of_config(config_of("model=multi")).to_json()
    return own | changes


@pytest.mark.parametrize("shape", ["pca", "autoencoder", "points"])
@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_a_record_is_plain_and_comes_back(shape, rule):
    network = "shared" if shape == "points" else "compact"
    options = [f"shape={shape}", f"update_rule={rule}", f"network={network}"]
    own = ModelRecord.of_config(config_of("model=multi", *options))
    assert (own.shape.name, own.update_rule.name, own.prior) == (shape, rule, None)
    assert ModelRecord.of_json(json.loads(json.dumps(own.to_json()))) == own
    for slot in ("shape", "update_rule"):
        assert type(own.build(slot)) is REGISTRY[slot][getattr(own, slot).name]


def system_record(**changes):
    settings = ["model=heatmap", "system.widths=[4,8]", "data=phantom", "run_name=x", "run_dir=x"]
    own = record_of_config(composed(*settings)).to_json()
    return own | changes


def test_a_record_of_a_system_says_so_and_comes_back():
    content = json.loads(json.dumps(system_record()))
    assert content["kind"] == "system"
    own = record_of_json(content)
    assert isinstance(own, SystemRecord)
    assert own.system.name == "heatmap"
    assert own.system.settings["widths"] == [4, 8]
    assert record_of_json(own.to_json()) == own
    assert own.build("pose") is None


def test_a_record_without_a_kind_is_of_pin():
    content = record()
    assert content.pop("kind") == "pin"
    assert record_of_json(content) == record_of_json(record())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (system_record(kind="other"), "model.kind=other: is none of pin, system"),
        (system_record(system=None), "lacks system"),
        (system_record(seed=0.5), r"model\.seed=0.5"),
        (system_record(precision="x"), "trainer.precision=x"),
    ],
)
def test_a_record_of_a_system_that_is_none(content, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        record_of_json(content)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"most_voxels": 2**29}, "system.most_voxels=536870912: is more than"),
        ({"widths": [4, 10**6]}, "system.widths=1000000: is more than 8192"),
        ({"problem": 1}, "system.problem=1: is not Problem"),
        ({"depth": 3}, "system.depth=3: there is no such setting"),
    ],
)
def test_settings_of_a_system_are_checked_before_it_is_built(settings, words):
    own = record_of_json(system_record(system={"name": "heatmap", "settings": settings}))
    with pytest.raises(ValueError, match=f"^{words}"):
        own.build("system")


def test_every_option_of_the_slots_is_in_the_table():
    for slot, group in (("shape", "shape"), ("network", "network"), ("update_rule", "update_rule")):
        options = {path.stem for path in Path("conf", group).glob("*.yaml")}
        assert options == set(REGISTRY[slot]), slot


def test_runs_of_version_1_have_the_record_of_their_config():
    own = read_model(VERSION1 / "cascade")
    assert (own.network.name, own.shape.name, own.prior.name) == ("shared", "points", "pca")
    assert read_model(VERSION1 / "folds" / "fold0").update_rule.name == "C"


@pytest.mark.parametrize(
    ("slot", "part", "words"),
    [
        ("shape", Part("os.system", {"command": "x"}), "shape=os.system: is none of autoencoder"),
        ("shape", Part("pca", {"command": "x"}), "shape.command='x': there is no such setting"),
        ("shape", Part("pca", {"components": "x"}), "shape.components='x': is not float"),
        ("shape", Part("pca", {"components": True}), "shape.components=True: is not float"),
        ("shape", Part("pca", {"components": float("nan")}), "shape.components=nan: is not float"),
        ("shape", Part("autoencoder", {"hidden": 10**9}), "shape.hidden=1000000000: is more than"),
        ("network", Part("compact", {"widths": [4] * 1000}), "network.widths="),
        ("network", Part("compact", {"widths": [4, 10**9]}), "network.widths=1000000000: is more"),
        ("network", Part("compact", {"widths": {"_target_": "x"}}), "network.widths="),
        ("update_rule", Part("B", {"max_iterations": 10**12}), "max_iterations=1000000000000"),
        ("update_rule", Part("pca", {}), "update_rule=pca: is none of A, B, C"),
    ],
)
def test_parts_that_are_none_of_this_program_are_refused(slot, part, words):
    own = ModelRecord.of_json(record(**{slot: {"name": part.name, "settings": part.settings}}))
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        own.build(slot)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("patch_side", 10**6),
        ("patch_side", "9"),
        ("patch_spacings", [1] * 100),
        ("patch_spacings", 1),
        ("num_starts", 10**9),
        ("tolerance_voxels", None),
        ("interpolation", 1),
        ("seed", 0.5),
        ("precision", ["x"]),
    ],
)
def test_settings_of_other_types_and_sizes_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"^model\.{name}="):
        ModelRecord.of_json(record(**{name: value}))


@pytest.mark.parametrize("lacking", ["shape", "seed"])
def test_a_record_that_lacks_something_is_none(lacking):
    content = record()
    del content[lacking]
    with pytest.raises((KeyError, TypeError, ValueError)):
        ModelRecord.of_json(content)


# Called with what stands beside them they would leave a file.
TARGETS = {
    "numpy.savetxt": {"_args_": ["{trace}", [1.0]]},
    "numpy.testing.runstring": {"_args_": ["open('{trace}', 'w')", {}]},
    "pathlib.Path.write_text": {
        "_args_": [{"_target_": "pathlib.Path", "_args_": ["{trace}"]}, "x"]
    },
    "pin_lightning.common.files.write_text": {
        "path": {"_target_": "pathlib.Path", "_args_": ["{trace}"]},
        "text": "x",
    },
    "pin_lightning.cli.job_process._outcome": {"function": "os.mkdir", "arguments": ["{trace}"]},
    "torch.save": {"_args_": [1, "{trace}"]},
    "shutil.copy": {"_args_": [__file__, "{trace}"]},
    "logging.FileHandler": {"filename": "{trace}"},
    "subprocess.run": {"args": ["touch", "{trace}"]},
    "os.mkdir": {"path": "{trace}"},
}
PLACES = ("shape", "network", "update_rule", "model.prior")


def filled(node, trace):
    if isinstance(node, dict):
        return {key: filled(value, trace) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(one, trace) for one in node]
    return node.replace("{trace}", trace) if isinstance(node, str) else node


@pytest.fixture
def hostile(tmp_path):
    """Make a run folder that names something at a place, in the format of a version."""

    def make(target, place, version):
        run, trace = tmp_path / "run", tmp_path / "trace"
        arguments = filled(TARGETS[target], str(trace))
        (run / "checkpoints").mkdir(parents=True)
        source = VERSION1 / "cascade"
        config = OmegaConf.load(source / "config.yaml")
        OmegaConf.update(config, place, {"_target_": target, **arguments}, merge=False)
        OmegaConf.save(config, run / "config.yaml")
        content = json.loads((source / "run.json").read_text("utf-8"))
        if version == 2:
            model = read_model(source).to_json()
            slot = place.rpartition(".")[2]
            content |= {"format_version": 2, "model": model}
            model[slot] = {"name": target, "settings": arguments}
        (run / "run.json").write_text(json.dumps(content))
        weights = torch.load(source / "checkpoints" / "last.ckpt", weights_only=True)
        torch.save(weights, run / "checkpoints" / "last.ckpt")
        return run, trace

    return make


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_a_run_names_is_called(target, place, version, hostile):
    run, trace = hostile(target, place, version)
    with pytest.raises(ValueError, match=target.replace(".", r"\.")):
        Predictor.load(run)
    assert not trace.exists()


def test_a_trusted_run_may_name_classes_of_its_own(hostile):
    run, trace = hostile("numpy.savetxt", "shape", 2)
    with suppress(Exception):  # what it returns is no shape model
        load_localizer(run, trust_run=True)
    assert trace.exists()


def test_a_first_stage_is_no_way_in(hostile, tmp_path):
    run, trace = hostile("numpy.savetxt", "network", 2)
    cascade = tmp_path / "cascade"
    shutil.copytree(VERSION1 / "cascade", cascade)
    shutil.rmtree(cascade / "first_stage")
    shutil.copytree(run, cascade / "first_stage")
    with pytest.raises(ValueError, match=r"numpy\.savetxt"):
        Predictor.load(cascade)
    assert not trace.exists()


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
)
BOMBS = {
    "aliases": (LAUGHS, "an alias"),
    "nesting": ("a: " + "[" * 5000 + "]" * 5000, "nested more than"),
    "size": ("a: " + "x" * (MOST_BYTES + 1), "bytes, more than"),
    "environment": ("a: ${oc.env:HOME}", "an interpolation"),
    "python": ("a: !!python/object/apply:os.mkdir [x]", ""),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_in_no_time(kind, tmp_path):
    text, words = BOMBS[kind]
    path = tmp_path / "config.yaml"
    path.write_text(text)
    before = time.process_time()
    with pytest.raises(ValueError, match=rf"config\.yaml: is damaged .*{words}"):
        read_config(tmp_path)
    assert time.process_time() - before < 60  # not hours; a second on an idle machine
    assert list(tmp_path.iterdir()) == [path]


def test_plain_settings_come_through(tmp_path):
    (tmp_path / "a.yaml").write_text("a: {b: [1, 2.5, 1e-3, null, true]}\n")
    assert plain_yaml(tmp_path / "a.yaml") == {"a": {"b": [1, 2.5, 1e-3, None, True]}}


@pytest.mark.parametrize(
    "change",
    [
        {"grid": {"size": [10**6] * 3, "spacing_mm": 1.0}},
        {"grid": {"size": [4, 4], "spacing_mm": 1.0}},
        {"grid": {"size": [4, 4, -4], "spacing_mm": 1.0}},
        {"grid": {"size": [4, 4, 4], "spacing_mm": 1e300}},
        {"grid": {"size": [4, 4, 4], "spacing_mm": float("nan")}},
        {"num_parameters": 10**9},
        {"names": ["x"] * 10**6},
        {"names": [["x"]]},
        {"names": ["x", "y", "x"]},
        {"padding": "x" * 2**25},
        {"names": []},
    ],
    ids=lambda change: str(change)[:40],
)
def test_records_far_above_any_use_are_refused(change, tmp_path):
    content = json.loads((VERSION1 / "multi" / "run.json").read_text("utf-8"))
    (tmp_path / "run.json").write_text(json.dumps(content | change))
    with pytest.raises(ValueError, match=r"run\.json: is damaged"):
        read_record(tmp_path)


def test_a_working_volume_must_fit_into_memory(tmp_path, monkeypatch):
    content = json.loads((VERSION1 / "multi" / "run.json").read_text("utf-8"))
    content["grid"] = {"size": [1000, 1000, 1000], "spacing_mm": 1.0}
    (tmp_path / "run.json").write_text(json.dumps(content))
    monkeypatch.setattr(limits, "memory_bytes", lambda: 12e9)
    assert read_record(tmp_path).grid.size == (1000, 1000, 1000)
    monkeypatch.setattr(limits, "memory_bytes", lambda: 11e9)
    with pytest.raises(ValueError, match=r"run\.json: is damaged .*needs 12 GB.* has 11 GB"):
        read_record(tmp_path)


def test_a_deep_record_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"run\.json: is damaged"):
        read_record(tmp_path)


def test_the_size_of_a_network_is_that_of_its_file(hostile, tmp_path):
    run, _ = hostile("os.mkdir", "shape", 2)
    content = json.loads((run / "run.json").read_text("utf-8"))
    content["model"]["shape"] = {"name": "points", "settings": {}}
    content["model"]["network"]["settings"]["widths"] = [8192] * 30  # 50 GB
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"last\.ckpt: does not fit its run\.json"):
        load_localizer(run)


@pytest.mark.parametrize(
    ("name", "value"), [("num_starts", 10**9), ("num_starts", -1), ("patch_side", 10**6)]
)
def test_settings_of_version_1_are_checked_alike(name, value, hostile):
    run, _ = hostile("os.mkdir", "shape", 1)
    config = OmegaConf.load(run / "config.yaml")
    config.model[name] = value
    OmegaConf.save(config, run / "config.yaml")
    with pytest.raises(ValueError, match=rf"run\.json: is damaged .*model\.{name}="):
        read_model(run)


def test_patches_that_fill_the_memory_are_refused(hostile):
    run, _ = hostile("os.mkdir", "shape", 2)
    content = json.loads((run / "run.json").read_text("utf-8"))
    content["model"] |= {"num_starts": 10_000, "patch_side": 1001}
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="patches of 10000 starts have"):
        load_localizer(run)


def test_weights_that_are_not_finite_are_refused(hostile):
    run, _ = hostile("os.mkdir", "shape", 2)
    path = run / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    name = next(one for one in content["state_dict"] if one.startswith("localizer.network"))
    content["state_dict"][name].view(-1)[0] = float("nan")
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"last\.ckpt: network\..* is not finite"):
        load_localizer(run)


def test_programs_that_load_runs_ask_for_trust():
    asking = {"train", "infer", "evaluate", "export", "pack"}
    for name in asking:
        assert name in PROGRAMS
        given = ["run_name=x", "run_dir=x"] if name == "train" else []
        assert composed(*given, config_name=name).trust_run is False
