"""Mistakes that end a program at once: one line, exit code 2, and nothing left behind."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from programs import run

from conftest import REPOSITORY, composed
from pin_lightning.cli.tasks import one_line_errors
from pin_lightning.inference.run import infer
from pin_lightning.reports.data_check import check
from pin_lightning.training.run import train

BEST = "checkpoints/best.ckpt"
RESTORE = "restore it, or train again"


@pytest.fixture
def good(phantom_root, short_run, tmp_path_factory, tmp_path):
    """A data set, a cache and a run without errors, and an empty folder."""
    cache = tmp_path_factory.getbasetemp() / "shared-cache"
    return SimpleNamespace(folder=tmp_path, data=phantom_root, cache=cache, run=short_run)


# Each puts its kind on disk and gives program and settings.


def training(good, *settings):
    return "train", [f"data.root={good.data}", f"data.cache_dir={good.cache}", *settings]


def checking(good, *settings):
    return "check", [*training(good)[1], f"sheet={good.folder}/sheet.png", *settings]


def predicting(good, *settings):
    paths = [f"input={good.data}/images", f"output={good.folder}/out"]
    return "infer", [f"run={good.run}", *paths, *settings]


def without_images(good):
    (good.folder / "data" / "images").mkdir(parents=True)
    return training(good, f"data.root={good.folder}/data")


def damaged(name, content):
    """The run folder with another file of this name, or without it."""

    def make(good):
        path = shutil.copytree(good.run, good.folder / "copy") / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        if content is not None:
            path.write_bytes(content)
        return predicting(good, f"run={good.folder}/copy")

    return make


def of_another_version(good):
    program, settings = damaged("run.json", None)(good)
    record = json.loads((good.run / "run.json").read_text("utf-8"))
    (good.folder / "copy" / "run.json").write_text(json.dumps({**record, "format_version": 99}))
    return program, settings


def write_code(path, marker):
    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    torch.save({"state_dict": {}, "evil": Evil()}, path)


def with_code(good):
    program, settings = damaged(BEST, None)(good)
    write_code(good.folder / "copy" / BEST, good.folder / "executed")
    return program, settings


def resumed_from_code(good):
    write_code(good.folder / "last.ckpt", good.folder / "executed")
    return training(good, f"ckpt_path={good.folder}/last.ckpt")


def file_in_the_way(make, *settings):
    def made(good):
        (good.folder / "file").touch()
        return make(good, *(setting.format(f"{good.folder}/file") for setting in settings))

    return made


def run_dir_is_a_file(good):
    (good.folder / "run").touch()
    return training(good)


def read_only(good):
    (good.folder / "fixed").mkdir(mode=0o555)
    return predicting(good, f"output={good.folder}/fixed/out")


def setting(make, *settings):
    return lambda good: make(good, *settings)


# Kind: what puts it on disk and gives program and settings; words of the line.
ENDS = {
    "no-data-root": (lambda _: ("train", []), "data.root: is not set; give data.root=VALUE"),
    "no-images": (without_images, "no images in"),
    "unknown-landmark": (setting(training, "model.landmarks=[CSP,nose]"), "no case has nose"),
    "unknown-landmark-check": (
        setting(checking, "model.landmarks=[frontHed]"),
        "model.landmarks=['frontHed']: no case has frontHed; did you mean frontHead?",
    ),
    "patch-side": (
        setting(training, "model=multi", "network=paper"),
        "model.patch_side=17: network=paper needs at least 95",
    ),
    "frame": (setting(training, "data.frame=XYZ"), "data.frame=XYZ: there is no such frame; give"),
    "spacing": (setting(training, "data.spacing_mm=-1"), "data.spacing_mm=-1.0: give a positive"),
    "grid-size": (setting(training, "data.grid_size=[9,9]"), "data.grid_size=[9, 9]: give three"),
    "cache": (
        file_in_the_way(training, "data.cache_dir={}/cache"),
        "file/cache: cannot be written to",
    ),
    "run-dir": (run_dir_is_a_file, "/run: cannot be written to"),
    "sheet": (file_in_the_way(checking, "sheet={}/sheet.png"), "/file: cannot be written to"),
    "resume-missing": (setting(training, "ckpt_path=/no/such.ckpt"), "no such checkpoint; give"),
    "resume-code": (resumed_from_code, "last.ckpt: is not a checkpoint of plain tensors"),
    "no-run": (
        setting(predicting, "run=/no/such"),
        "run=/no/such: there is no such folder or file; give",
    ),
    "no-record": (damaged("run.json", None), "has no run.json; give a folder that train.py wrote"),
    "no-config": (damaged("config.yaml", None), "has no config.yaml; give a folder"),
    "no-checkpoints": (damaged("checkpoints", None), "has no checkpoints/best.ckpt or last.ckpt"),
    "version": (of_another_version, "format_version 99, this program reads 1 to 5; use"),
    "record-cut": (damaged("run.json", b'{"format_ver'), RESTORE),
    "record-list": (damaged("run.json", b"[]"), RESTORE),
    "record-lacks": (damaged("run.json", b'{"format_version": 1}'), RESTORE),
    "record-bytes": (damaged("run.json", b"\xff\xfe\x00"), RESTORE),
    "config-cut": (damaged("config.yaml", b"model: [a,"), RESTORE),
    "config-list": (damaged("config.yaml", b"- 1"), RESTORE),
    "config-lacks": (damaged("config.yaml", b"seed: 0"), RESTORE),
    "config-bytes": (damaged("config.yaml", b"\xff\xfe\x00"), RESTORE),
    "checkpoint-code": (with_code, "best.ckpt: is not a checkpoint of plain tensors"),
    "checkpoint-empty": (damaged(BEST, b""), RESTORE),
    "checkpoint-text": (damaged(BEST, b"no checkpoint"), RESTORE),
    "empty-input": (
        file_in_the_way(predicting, "input={}/none"),
        "no file matches; quote the pattern, check the folder",
    ),
    "output": (file_in_the_way(predicting, "output={}/out"), "file/out: cannot be written to"),
    "format": (setting(predicting, "format=xml"), "format=xml: give one of mrk.json, fcsv"),
    "starts": (setting(predicting, "num_starts=0"), "error: num_starts=0: give a whole"),
}
if os.geteuid():  # root writes everywhere
    ENDS["read-only"] = (read_only, "fixed/out: cannot be written to")


PROGRAMS = {"train": lambda config, folder: train(config, folder / "run")}
PROGRAMS |= {"check": lambda config, _: check(config), "infer": lambda config, _: infer(config)}


@pytest.mark.parametrize("kind", ENDS)
def test_what_ends_a_program_is_one_line_and_leaves_nothing(kind, good, capsys):
    make, words = ENDS[kind]
    program, settings = make(good)
    before = sorted(good.folder.rglob("*"))
    config = composed(*settings, config_name=program)
    with pytest.raises(SystemExit) as stop:
        one_line_errors(PROGRAMS[program])(config, good.folder)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert words in said
    assert sorted(good.folder.rglob("*")) == before


def test_the_code_in_the_checkpoints_would_run(tmp_path):
    write_code(tmp_path / "last.ckpt", tmp_path / "executed")
    torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert (tmp_path / "executed").exists()


# The same through processes; those that Hydra refuses end before the heavy imports.
PROCESSES = {
    "run-dir": (lambda good: ("train", ["run_dir=/dev/null/x"]), "run_dir: /dev/null/x: Not a dir"),
    "no-such-setting": (lambda _: ("infer", ["imput=x"]), "imput: there is no such setting or"),
    "no-images": ENDS["no-images"],
    "checkpoint-code": ENDS["checkpoint-code"],
}
QUICK = ("run-dir", "no-such-setting")


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in QUICK else pytest.mark.slow) for k in PROCESSES]
)
def test_a_process_ends_with_the_same_line(kind, good):
    make, words = PROCESSES[kind]
    program, settings = make(good)
    run_dir = [f"run_dir={good.folder}/run"] if program == "train" and kind not in QUICK else []
    done = run(REPOSITORY / f"{program}.py", *settings, *run_dir, cwd=good.folder)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "Traceback" not in done.stdout + done.stderr
    assert not (good.folder / "executed").exists()
