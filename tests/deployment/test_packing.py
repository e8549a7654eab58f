import json
import shutil
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.cli.tasks import one_line_errors
from pin_lightning.data.anatomy import Anatomy
from pin_lightning.deployment.packing import pack
from pin_lightning.inference.run import infer
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.runs.folder import read_config, read_model, read_record, write_run
from pin_lightning.runs.pose_stage import PoseRecord, build_finder, write_pose_record
from pin_lightning.runs.predictor import Predictor
from pin_lightning.studies.new_cases import evaluate_new

VERSION1 = Path(__file__).parents[1] / "earlier_runs" / "version1"
KINDS = ["single", "posed", "cascade", "folds"]


def packed(run, output, *settings):
    return pack(composed(f"run={run}", f"output={output}", *settings, config_name="pack"))


@pytest.fixture(scope="session")
def run_of(short_run, tmp_path_factory):
    """Run folder of each kind."""

    @cache
    def made(kind):
        if kind in ("cascade", "folds"):
            return VERSION1 / kind
        if kind == "single":
            return short_run
        return with_pose(short_run, tmp_path_factory.mktemp("posed") / "posed")

    return made


def with_pose(run, folder):
    """A copy of a run, with a pose stage of untrained weights."""
    shutil.copytree(run, folder)
    config, record = read_config(folder), read_record(folder)
    pose = {"kind": "find", "run": "/data/earlier", "landmarks": 4, "patch_side": 9}
    write_run(folder, OmegaConf.merge(config, {"pose": pose}), record)
    shape_mm = np.random.default_rng(0).normal(0, 20, (len(record.names), 3))
    limits = PoseLimits(-2.0, 0.5)
    pose = PoseRecord(Anatomy(record.names, shape_mm, 1.5), (4.0, 8.0), record.split.train, limits)
    write_pose_record(folder, pose)
    state = build_finder(read_model(folder), pose).state_dict()
    (folder / "pose" / "checkpoints").mkdir()
    content = {"state_dict": {f"finder.{name}": one for name, one in state.items()}, "epoch": 1}
    torch.save(content, folder / "pose" / "checkpoints" / "last.ckpt")
    return folder


@pytest.fixture(scope="session")
def file_of(run_of, tmp_path_factory):
    """Packed run of each kind."""
    folder = tmp_path_factory.mktemp("packed")
    return cache(lambda kind: packed(run_of(kind), folder / f"{kind}.zip"))


@pytest.fixture(scope="session")
def image(phantom_root):
    return sorted((phantom_root / "images").iterdir())[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_run_predicts_the_same_to_the_last_bit(kind, run_of, file_of, image):
    image = VERSION1 / "head.nii.gz" if kind in ("cascade", "folds") else image
    own, other = (
        Predictor.load(one, "cpu").predict(image) for one in (run_of(kind), file_of(kind))
    )
    assert own.names == other.names
    for name in ("positions_world", "spread_mm", "mean_shape_world", "radius_mm"):
        np.testing.assert_array_equal(getattr(own, name), getattr(other, name))
    assert (own.pose is None) == (other.pose is None) == (kind != "posed")
    assert (own.radius_mm is None) == (kind != "folds")
    if own.pose is not None:
        np.testing.assert_array_equal(own.pose.affine, other.pose.affine)
        assert own.pose.found.score == other.pose.found.score


@pytest.mark.parametrize("kind", KINDS)
def test_packing_again_gives_the_same_bytes(kind, run_of, file_of, tmp_path):
    again = packed(run_of(kind), tmp_path / f"{kind}.zip")
    assert again.read_bytes() == file_of(kind).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_tells_of_cases_and_machines(kind, run_of, file_of):
    run = run_of(kind)
    runs = [path.parent for path in run.rglob("run.json")]
    cases = {
        name for one in runs for part in vars(read_record(one).split).values() for name in part
    }
    secrets = [
        *cases,
        str(Path.home()),
        str(run.parent),
        "earlier",
        "/tmp/",
        "cache_dir",
        "phantom",
    ]
    assert len(cases) > 5
    with zipfile.ZipFile(file_of(kind)) as archive:
        for member in archive.namelist():
            content = archive.read(member)
            found = [one for one in secrets if one.encode() in content]
            assert not found, f"{member}: {found}"
        if "pose/pose.json" in archive.namelist():
            trained_on = json.loads(archive.read("pose/pose.json"))["trained_on"]
            assert trained_on == json.loads(archive.read("run.json"))["split"]["train"]


def test_the_states_of_the_training_stay_behind(run_of, file_of):
    own = torch.load(run_of("single") / "checkpoints" / "best.ckpt", weights_only=True)
    with zipfile.ZipFile(file_of("single")) as archive:
        other = torch.load(archive.open("checkpoints/best.ckpt"), weights_only=True)
    assert set(other) == {"state_dict"}
    assert all(
        torch.equal(one, own["state_dict"][name]) for name, one in other["state_dict"].items()
    )
    assert "optimizer_states" in own


def test_infer_takes_the_file(file_of, run_of, image, tmp_path):
    tables = {}
    for name, run in (("file", file_of("single")), ("folder", run_of("single"))):
        settings = [f"run={run}", f"input={image}", f"output={tmp_path / name}", "device=cpu"]
        assert infer(composed(*settings, config_name="infer")) == 0
        rows = (tmp_path / name / "landmarks.csv").read_text("utf-8").splitlines()
        tables[name] = [row.split(",")[:6] for row in rows]
    assert tables["file"] == tables["folder"]
    header = json.loads((tmp_path / "file" / "prediction.json").read_text("utf-8"))
    assert header["run"] == "single"


@pytest.mark.slow
def test_evaluate_takes_the_file_and_its_numbers_go_into_the_card(
    file_of, run_of, phantom_root, tmp_path
):
    settings = [f"run={file_of('single')}", f"data.root={phantom_root}", "report.pictures=false"]
    config = composed(*settings, f"output={tmp_path / 'new'}", "device=cpu", config_name="evaluate")
    metrics = evaluate_new(config)["test"]
    assert read_record(tmp_path / "new").split.train[0] == "unnamed case 1"
    run = shutil.copytree(run_of("single"), tmp_path / "single")
    card = card_of(packed(run, tmp_path / "a.zip", f"evaluation={tmp_path / 'new'}"))
    assert "10 annotated cases after the training." in card
    assert f"| mean | {metrics['radial_error_mm']['mean']:.3g} |" in card


def card_of(file):
    with zipfile.ZipFile(file) as archive:
        return archive.read("CARD.md").decode()


def test_the_card_has_the_numbers_of_the_run(file_of, run_of):
    card, run = card_of(file_of("folds")), run_of("folds")
    test = json.loads((run / "metrics.json").read_text("utf-8"))["test"]
    for label, key in (("mean", "mean"), ("median", "median"), ("95th percentile", "p95")):
        ends = test["intervals"]["radial_error_mm"][key]
        shown = f"{test['radial_error_mm'][key]:.3g} | {ends[0]:.3g} to {ends[1]:.3g}"
        assert f"| {label} | {shown} |" in card
    for name, row in test["per_landmark"].items():
        assert f"| {name} | {row['mean']:.3g} | {row['n']} |" in card
    assert "each of 10 cases was predicted by a network that was not trained on it" in card
    assert f"they held {100 * test['error_bars']['coverage']:.1f} %" in card
    assert "10; 2 networks, each trained on 4 of them" in card
    assert card.count("Not known.") == 5


@pytest.mark.parametrize(
    ("kind", "where"), [("single", "without the image"), ("posed", "put where")]
)
def test_the_card_says_what_the_mean_shape_knows(kind, where, file_of):
    assert f"| mean shape, {where}" in card_of(file_of(kind))


def test_the_card_says_what_its_maker_says(run_of, tmp_path, capsys):
    texts = {"title": "Heads", "data": "From here,\nunder CC0.", "licence": "MIT", "limits": None}
    (tmp_path / "texts.yaml").write_text(yaml.safe_dump(texts))
    (tmp_path / "MIT").write_text("Permission is hereby granted")
    settings = [f"texts={tmp_path}/texts.yaml", "licence=CC0-1.0", f"licence_file={tmp_path}/MIT"]
    file = packed(run_of("cascade"), tmp_path / "heads.zip", *settings)
    card = card_of(file)
    assert card.startswith("# Heads\n")
    assert "## Training data\n\nFrom here,\nunder CC0.\n" in card
    assert "## Licence of the weights\n\nCC0-1.0\n" in card  # the command line comes first
    assert card.count("Not known.") == 3
    assert card in capsys.readouterr().out
    with zipfile.ZipFile(file) as archive:
        assert archive.read("LICENSE") == b"Permission is hereby granted"


def test_without_held_out_cases_the_card_says_so(run_of, tmp_path):
    run = shutil.copytree(run_of("cascade"), tmp_path / "run")
    header = (run / "predictions.csv").read_text("utf-8").splitlines()[0]
    (run / "predictions.csv").write_text(f"{header}\n")
    (run / "metrics.json").write_text("{}")
    card = card_of(packed(run, tmp_path / "heads.zip"))
    assert "## Errors\n\nNot known. No case was held out." in card
    assert "| CSP | not known | 0 |" in card
    folds = card_of(packed(run, tmp_path / "b.zip", f"evaluation={run_of('folds')}"))
    assert "This model is another one, made alike; it was not measured itself." in folds


WRONG = {
    "no-run": (["run=/no/such"], "run=/no/such: is no folder"),
    "a-file": (["run={file}"], "is no folder; give one of train.py"),
    "no-record": (["run={tmp}"], "run={tmp}: has no run.json; give a folder that train.py wrote"),
    "ending": (["output={tmp}/a.tar"], "output={tmp}/a.tar: give a name of letters"),
    "name": (["output={tmp}/a b.zip"], "output={tmp}/a b.zip: give a name of letters"),
    "there": (["output={file}"], "is there already; give another file, or overwrite=true"),
    "overwrite": (["overwrite=1"], "overwrite=1: give true or false"),
    "no-texts": (["texts={tmp}/no.yaml"], "texts={tmp}/no.yaml: cannot be read (No such file"),
    "bad-texts": (["texts={tmp}/bad.yaml"], "licens: is no text of a card; did you mean licence?"),
    "list": (["texts={tmp}/list.yaml"], "cannot be read (no settings)"),
    "number": (["texts={tmp}/number.yaml"], "title=3: give a text"),
    "no-licence": (["licence_file={tmp}/no"], "licence_file={tmp}/no: cannot be read"),
    "no-evaluation": (["evaluation={tmp}/no"], "evaluation={tmp}/no: is no folder"),
    "other-run": (["evaluation={run}"], "is another run; give a cross-validation"),
    "landmarks": (["evaluation={folds}"], "is of other landmarks; give one of the same"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    case, run_of, file_of, tmp_path, capsys
):
    settings, message = WRONG[case]
    for name, text in {"bad": "licens: MIT", "list": "- 1", "number": "title: 3"}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    names = {"tmp": tmp_path, "run": run_of("single"), "file": file_of("single")}
    names["folds"] = VERSION1 / "folds"
    settings = [one.format(**names) for one in settings]
    before, kept = {*tmp_path.rglob("*")}, file_of("single").read_bytes()
    given = [f"run={names['run']}", f"output={tmp_path}/new.zip", *settings]
    with pytest.raises(SystemExit, match="2"):
        one_line_errors(pack)(composed(*given, config_name="pack"))
    said = capsys.readouterr().err
    assert message.format(**names) in said
    assert said.count("\n") == 1
    assert {*tmp_path.rglob("*")} == before
    assert file_of("single").read_bytes() == kept


def test_a_file_is_replaced_where_that_is_asked_for(run_of, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"before")
    packed(run_of("cascade"), tmp_path / "a.zip", "overwrite=true")
    assert Predictor.load(tmp_path / "a.zip", "cpu").names == ("CSP", "frontHead", "backHead")


def test_the_file_is_named_after_the_run(run_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pack(composed(f"run={run_of('cascade')}", config_name="pack")) == Path("cascade.zip")
    assert [one.name for one in tmp_path.iterdir()] == ["cascade.zip"]


@pytest.mark.slow
def test_a_model_that_holds_scans_says_so(short_settings, tmp_path, caplog):
    from pin_lightning.training.run import train

    # No settings of PIN's parts, which a system beside it has not.
    data = [one for one in short_settings if one.startswith(("data", "pose", "run_", "report"))]
    settings = ["model=registration", "system.atlases=1", "system.most_voxels=4000", *data]
    train(composed(*settings), tmp_path / "run")
    caplog.set_level("WARNING")
    card = card_of(packed(tmp_path / "run", tmp_path / "atlas.zip"))
    assert "**This model holds training scans**" in card
    assert "holds training scans, which whoever has it can look at" in caplog.text


def test_an_export_of_a_file_needs_its_output(file_of, capsys):
    from pin_lightning.deployment.writing import export

    with pytest.raises(SystemExit, match="2"):
        one_line_errors(export)(composed(f"run={file_of('single')}", config_name="export"))
    assert "is no folder; give output=FOLDER" in capsys.readouterr().err
