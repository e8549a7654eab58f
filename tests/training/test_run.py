import json
import math
import shutil

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from PIL import Image

from conftest import assert_predicts_as_evaluated, composed
from pin_lightning.common.errors import user_mistake
from pin_lightning.evaluation.planes.errors import plane_metrics
from pin_lightning.evaluation.planes.groups import plane_groups
from pin_lightning.evaluation.predictions_csv import read_predictions
from pin_lightning.evaluation.summary import metrics_of
from pin_lightning.reports.figures.plots import read_curves
from pin_lightning.runs.model import load_localizer, read_checkpoint
from pin_lightning.training.run import train

pytestmark = pytest.mark.slow

PLANE = "+data.planes.TC.landmarks=[CSP,leftCerebellar,rightCerebellar]"


def weights(run_dir, name="last.ckpt"):
    return read_checkpoint(run_dir / "checkpoints" / name)["state_dict"]


def test_a_run_folder_says_what_the_data_decided_and_logs_all_that_counts(short_run):
    assert {path.name for path in (short_run / "checkpoints").iterdir()} == {
        "best.ckpt",
        "last.ckpt",
    }
    assert not (short_run / "figures").exists()  # report.pictures=false
    config = OmegaConf.load(short_run / "config.yaml")
    assert config.data.spacing_mm == 3.0
    assert config.data.grid_size == [54, 35, 47]
    assert config.model.patch_side == 17
    assert config.model.alpha == 0.5
    header = (short_run / "logs" / "metrics.csv").read_text("utf-8").splitlines()[0].split(",")
    losses = ("loss", "displacement_loss", "direction_loss")
    logged = (*losses, "direction_accuracy", "displacement_error_mm")
    assert {"val/radial_error_mm", *(f"train/{name}" for name in logged)} <= set(header)


def test_metrics_are_those_of_the_predictions_beside_them(short_run):
    metrics = json.loads((short_run / "metrics.json").read_text("utf-8"))
    evaluations = read_predictions(short_run / "predictions.csv")
    assert set(metrics) == set(evaluations) == {"val", "test"}
    for part, evaluation in evaluations.items():
        again = metrics_of(evaluation)
        assert metrics[part]["num_cases"] == again["num_cases"] == len(evaluation.cases)
        for key in ("radial_error_mm", "mean_shape_radial_error_mm"):
            assert metrics[part][key]["mean"] == pytest.approx(again[key]["mean"], abs=1e-3)
        assert set(metrics[part]["per_landmark"]) == set(evaluation.names)
        assert metrics[part]["seconds_per_volume"] > 0


def test_a_seed_gives_the_same_run_and_another_seed_another(short_settings, short_run, tmp_path):
    train(composed(*short_settings), tmp_path / "again")
    first, again = weights(short_run), weights(tmp_path / "again")
    assert all(torch.equal(first[name], again[name]) for name in first)
    train(composed(*short_settings, "seed=1", "trainer.max_steps=5"), tmp_path / "other")
    other = weights(tmp_path / "other")
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_checkpoint_from_elsewhere_is_all_that_a_used_folder_goes_on_from(
    short_settings, short_run, tmp_path
):
    """What an earlier training left in the folder is not taken for its."""
    short = ["model.scheduler=null", "trainer.val_check_interval=2", "trainer.log_every_n_steps=1"]
    settings = [*short_settings, *short, "seed=1"]
    train(composed(*settings, "trainer.max_steps=2"), tmp_path / "from")
    run_dir = shutil.copytree(short_run, tmp_path / "used")
    path = f"ckpt_path='{tmp_path}/from/checkpoints/last.ckpt'"
    train(composed(*settings, "trainer.max_steps=4", path), run_dir)
    best = [read_checkpoint(one) for one in (run_dir / "checkpoints").iterdir()]
    assert [one["global_step"] for one in best] == [4, 4]
    steps = read_curves(run_dir / "logs" / "metrics.csv", ["train/loss"])["train/loss"][:, 0]
    assert steps.tolist() == [2, 3]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["trainer.max_steps=33"], r"max_steps=33: model\.scheduler was made for 30 steps"),
        (["network.hidden=[32]", "ckpt_path={path}"], r"=\S+last\.ckpt: is of another model"),
        (["run_dir={other}", "ckpt_path={path}"], r"has done all steps of trainer\.max_steps=30"),
    ],
    ids=["longer", "another model", "done"],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_and_nothing_is_removed(
    short_settings, short_run, tmp_path, settings, words
):
    other = shutil.copytree(short_run, tmp_path / "other")
    run_dir = shutil.copytree(short_run, tmp_path / "run")
    path = f"'{run_dir}/checkpoints/last.ckpt'"
    given = [one.format(path=path, other=other) for one in settings]
    before = contents(tmp_path)
    config = composed(*short_settings, "ckpt_path=last", *given)
    with pytest.raises(ValueError, match=words):
        train(config, other if config.run_dir == str(other) else run_dir)
    assert contents(tmp_path) == before


def test_single_landmark_uses_the_identity_and_19_starts(short_settings, tmp_path):
    settings = [*short_settings, "model=single", "model.landmark=CSP", "trainer.max_steps=4", PLANE]
    metrics = train(composed(*settings, "trainer.val_check_interval=4"), tmp_path)
    assert set(metrics["test"]["per_landmark"]) == {"CSP"}
    assert "planes" not in metrics["test"]  # it has one landmark of the three
    assert not (tmp_path / "planes.csv").exists()
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert record["num_parameters"] == 3
    assert OmegaConf.load(tmp_path / "config.yaml").model.num_starts == 19


@pytest.fixture(scope="module")
def shown_run(short_settings, tmp_path_factory):
    """Run folder of a training with planes and pictures."""
    run_dir = tmp_path_factory.mktemp("runs") / "shown"
    settings = [*short_settings, PLANE, "trainer.max_steps=15", "report.pictures=true"]
    train(composed(*settings), run_dir)
    return run_dir


def test_a_run_reports_its_planes(shown_run):
    metrics = json.loads((shown_run / "metrics.json").read_text("utf-8"))
    evaluations = read_predictions(shown_run / "predictions.csv")
    groups = plane_groups(OmegaConf.load(shown_run / "config.yaml").data.planes)
    rows = (shown_run / "planes.csv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + sum(len(one.cases) for one in evaluations.values())
    for part, evaluation in evaluations.items():
        assert metrics[part]["planes"] == plane_metrics(evaluation, groups)["planes"]


def test_pictures_are_of_all_splits_and_of_cases_of_the_last(shown_run):
    labels = [f"test_{label}" for label in ("best", "median", "worst")]
    kinds = ("case.png", "planes.png", "starts.png", "starts.gif", "starts.json")
    splits = [
        f"{part}_{kind}.png" for part in ("val", "test") for kind in ("errors", "convergence")
    ]
    expected = {f"{label}_{kind}" for label in labels for kind in kinds} | {*splits, "training.png"}
    assert {path.name for path in (shown_run / "figures").iterdir()} == expected
    for label in labels:
        with Image.open(shown_run / "figures" / f"{label}_starts.gif") as film:
            assert film.n_frames > 1
        content = json.loads((shown_run / "figures" / f"{label}_starts.json").read_text("utf-8"))
        assert any(trace.get("name") == "true" for trace in content["data"])
    assert (shown_run / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.root=no/such/folder"], "no/such/folder"),
        (["+data.planes.P.landmarks=[CSP,backHead]"], "data.planes.P.landmarks=["),
        (
            ["+data.planes.P.landmarks=[CSP,frontHed,backHead]", "model.landmarks=[CSP]"],
            "data.planes.P: no case has frontHed; did you mean frontHead?",
        ),
        (["model.alpha=1.5"], "model.alpha=1.5"),
        (["model.patch_side=20"], "model.patch_side=20"),
        (["model.approach_fraction=2"], "model.approach_fraction=2"),
        (["model.num_starts=0"], "model.num_starts=0"),
        (["model.interpolation=cubic"], "model.interpolation=cubic"),
        (["model.displacement_unit=inch"], "model.displacement_unit=inch"),
        (["shape.components=99"], "shape.components=99"),
        (["shape=identity"], "shape=identity"),
        (["data.root=???"], "data.root: is not set"),
        (["ckpt_path=no/such.ckpt"], "no/such.ckpt"),
        (["checkpoint.every_steps=0"], "checkpoint.every_steps=0: give a whole number"),
        (["trainer.val_check_interval=0.5"], "trainer.val_check_interval=0.5: give a whole number"),
        (["trainer.val_check_interval=00:00:10:00"], "interval=00:00:10:00: give a whole number"),
        (["trainer.check_val_every_n_epoch=2"], "trainer.check_val_every_n_epoch=2: epochs play"),
        (["data.on_error=ignore"], "data.on_error=ignore: give one of refuse, skip"),
        (["loader.batches_per_epoch=0"], "loader.batches_per_epoch=0"),
        (["augmentation.scale_sd=-1"], "augmentation.scale_sd=-1: give"),
        (["augmentation.elastic_sd=0.1"], "augmentation.elastic_sd=0.1: the volume would fold"),
        (["augmentation.flip_probability=0.5"], "needs data.mirror_pairs"),
        (["model.patch_spacings=[0]"], "model.patch_spacings=[0]: give"),
        (["model.ema_decay=2"], "model.ema_decay=2"),
        (["sampling=scatter", "sampling.smallest_voxels=0"], "sampling.smallest_voxels=0"),
        (["model=shared", "model.prior_share=0"], "model.prior_share=0"),
        (["model=shared", "model.prior.components=99"], "model.prior: shape.components=99"),
        (["model=single", "model.landmark=Nose"], "Nose"),
        (["model.patience=0"], "model.patience=0"),
        (["model.patience=3", "data.split.val_fraction=0"], "model.patience=3: needs validation"),
        (["model.trajectory_share=2"], "model.trajectory_share=2"),
        (["model.trajectory_share=0.5", "model.trajectory_every=0"], "model.trajectory_every=0"),
    ],
)
def test_bad_settings_are_refused_before_training(short_settings, tmp_path, arguments, words):
    with pytest.raises((ValueError, InstantiationException)) as refused:
        train(composed(*short_settings, *arguments), tmp_path / "run")
    assert words in str(user_mistake(refused.value))
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("loader", ["resident", "queue"])
def test_trains_with_every_augmentation(short_settings, tmp_path, loader):
    settings = [one for one in short_settings if not one.startswith("loader.")]
    settings += [f"loader={loader}", "loader.batch_size=16", "augmentation=full"]
    settings += ["augmentation.flip_probability=0.5", "data.mirror_axis=y"]
    settings += ["data.mirror_pairs=[[leftHead,rightHead]]", "trainer.max_steps=4"]
    metrics = train(composed(*settings, "trainer.val_check_interval=4"), tmp_path)
    assert math.isfinite(metrics["test"]["radial_error_mm"]["mean"])


def test_without_validation_cases_the_last_weights_are_used(short_settings, tmp_path):
    settings = [*short_settings, "data.split.val_fraction=0", "trainer.max_steps=4"]
    metrics = train(composed(*settings), tmp_path)
    assert set(metrics) == {"test"}
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()


def test_all_cases_can_train(short_settings, tmp_path):
    none = ["data.split.val_fraction=0", "data.split.test_fraction=0"]
    assert train(composed(*short_settings, *none, "trainer.max_steps=4"), tmp_path) == {}
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == {}
    split = json.loads((tmp_path / "run.json").read_text("utf-8"))["split"]
    assert [len(split[part]) for part in ("train", "val", "test")] == [10, 0, 0]


@pytest.fixture(scope="module")
def shared_run(short_settings, tmp_path_factory):
    """Run folder of a short training of the shared network."""
    run_dir = tmp_path_factory.mktemp("runs") / "shared"
    settings = [*short_settings, "model=shared", "model.patch_side=9", "loader.batch_size=2"]
    settings += ["trainer.max_steps=6", "trainer.val_check_interval=3", "model.num_starts=2"]
    train(composed(*settings), run_dir)
    return run_dir


def test_a_shared_run_loads_as_it_was_evaluated(shared_run, phantom_root):
    localizer, record = load_localizer(shared_run)
    assert localizer.patch_spacings == (1, 3)
    assert localizer.prior.num_landmarks == len(record.names) == 10
    assert localizer.prior_iterations == 6  # of 10
    assert_predicts_as_evaluated(shared_run, phantom_root)


def test_a_shared_run_predicts_with_averaged_weights_and_keeps_the_others(shared_run):
    checkpoint = read_checkpoint(shared_run / "checkpoints" / "last.ckpt")
    averaged, current = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert averaged.keys() == current.keys()
    name = "localizer.network.heads"
    assert averaged[name].any()
    assert not torch.equal(averaged[name], current[name])
    fixed = [one for one in averaged if "shape_model" in one or "prior" in one]
    assert len(fixed) == 5
    assert all(torch.equal(averaged[one], current[one]) for one in fixed)


def errors_on_phantoms(tmp_path, *settings):
    """The errors of a training on 40 coarse heads."""
    data = ["data=phantom", f"data.root={tmp_path}/phantom", "data.source.num_cases=40"]
    data += ["data.source.size=[54,35,47]", "data.source.spacing_mm=[3,3,3]"]
    return errors_of(tmp_path, *data, *settings)


def errors_of(tmp_path, *settings):
    """Test error and that of the mean shape after a training."""
    places = [f"data.cache_dir={tmp_path}/cache", "run_name=short", "run_dir=unused"]
    places += ["pose=as_scanned"]  # a pose stage has tests of its own
    config = composed(*places, "report.pictures=false", *settings)
    test = train(config, tmp_path / "run")["test"]
    return test["radial_error_mm"]["mean"], test["mean_shape_radial_error_mm"]["mean"]


def test_the_shared_network_beats_the_mean_shape_on_phantoms(tmp_path):
    settings = ["model=shared", "network.widths=[16,32,64,64]", "loader.batch_size=24"]
    settings += ["trainer.max_steps=200", "trainer.val_check_interval=200"]
    error, mean_shape = errors_on_phantoms(tmp_path, *settings)
    assert error < 0.75 * mean_shape


def test_the_papers_experiment_trains(short_settings, tmp_path):
    settings = [setting for setting in short_settings if not setting.startswith("network.")]
    settings += ["experiment=paper", "trainer.max_steps=2"]
    train(composed(*settings, "trainer.val_check_interval=2"), tmp_path)
    kept = weights(tmp_path)
    network = {name: value for name, value in kept.items() if name.startswith("localizer.network")}
    parameters = len(kept["localizer.shape_model.sd_"])
    outputs = 1025 * 3 * (parameters - 15)  # both heads end in 1024 inputs and a bias per output
    assert sum(value.numel() for value in network.values()) == 4_772_301 + outputs


def test_training_beats_the_mean_shape_on_phantoms(tmp_path):
    settings = ["model=multi", "trainer.max_steps=300", "trainer.val_check_interval=150"]
    error, mean_shape = errors_on_phantoms(tmp_path, *settings)
    assert error < 0.6 * mean_shape


def test_training_beats_the_mean_shape_on_real_ct(ct_root, tmp_path):
    data = [f"data.root={ct_root}", "data.spacing_mm=0.4"]  # an eighth of the voxels: a minute
    settings = ["model=multi", "trainer.max_steps=250", "trainer.val_check_interval=250"]
    error, mean_shape = errors_of(tmp_path, *data, *settings)
    assert error < 0.6 * mean_shape


def test_bfloat16_reaches_the_same_loss(short_settings, tmp_path):
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        settings = [*short_settings, f"trainer.precision={precision}"]
        train(composed(*settings), tmp_path / precision)
        logged = tmp_path / precision / "logs" / "metrics.csv"
        losses[precision] = read_curves(logged, ["train/loss"])["train/loss"][:, 1]
    assert len(losses["32-true"]) == 6
    # The same draws and the same first weights: only the rounding differs.
    np.testing.assert_allclose(losses["bf16-mixed"], losses["32-true"], rtol=0.05)
