import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from conftest import CONF, composed, composed_at_once
from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.data.skipped import skips_errors
from pin_lightning.deployment.graphs import OPSETS
from pin_lightning.deployment.parity import Tolerance
from pin_lightning.distributed.group import strategy_name
from pin_lightning.evaluation.conformal import ConformalSettings
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.method.losses import DisplacementLoss, RelativeError, SquaredError
from pin_lightning.method.sampling import Approach, Sampling, Scatter
from pin_lightning.method.shape_models import AutoencoderShapeModel, PCAShapeModel, ShapeModel
from pin_lightning.method.update_rules import RuleB, UpdateRule
from pin_lightning.training.augmentation.augmentation import Augmentation

DATA = ["data=folder", "data.root=somewhere", "run_name=test", "run_dir=unused"]


def options(group):
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem != "base")
    assert found, group
    return found


@pytest.mark.parametrize(
    ("program", "settings"),
    [
        ("train", []),
        ("train", ["preset=fast", "trainer.max_steps=5", "data.root=heads (new)", "run_name=a"]),
        ("train", ["experiment=paper", "model=single", "model.landmark=CSP", "data.root=???"]),
        ("train", ["+data.planes.P.landmarks=[a,b]", "report.others.atlas=a.csv"]),
        ("cross_validate", ["experiment=tune", "data.split.folds=2", "hydra/launcher=joblib"]),
        ("infer", ["run=a", "num_starts=2"]),
    ],
)
def test_the_configs_of_the_tests_are_those_that_hydra_composes(program, settings):
    made = composed(*settings, config_name=program)
    expected = composed_at_once(program, quote_arguments(settings))
    assert OmegaConf.to_yaml(made) == OmegaConf.to_yaml(expected)
    assert OmegaConf.is_struct(made) == OmegaConf.is_struct(expected)


def test_every_group_is_tested_here():
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    tested = (
        "augmentation data displacement_loss experiment hydra loader logger model network pose "
        "preset sampling shape strategy trainer update_rule"
    )
    assert groups == set(tested.split())


PROTOCOLS = {
    "shape": ShapeModel,
    "update_rule": UpdateRule,
    "sampling": Sampling,
    "displacement_loss": DisplacementLoss,
}


@pytest.mark.parametrize(
    ("group", "option"), [(group, option) for group in PROTOCOLS for option in options(group)]
)
def test_an_option_is_what_its_group_promises(group, option):
    assert isinstance(instantiate(composed(*DATA, f"{group}={option}")[group]), PROTOCOLS[group])


@pytest.mark.parametrize(("option", "iterations"), [("A", 350), ("B", 10), ("C", 10)])
def test_update_rules(option, iterations):
    rule = instantiate(composed(*DATA, f"update_rule={option}").update_rule)
    assert type(rule).__name__ == f"Rule{option}"
    assert rule.max_iterations == iterations


def test_the_autoencoder_needs_no_settings():
    config = composed(*DATA, "shape=autoencoder").shape
    defaults, model = AutoencoderShapeModel(), instantiate(config)
    for name in ("components", "hidden", "max_steps", "recombine_poses", "seed"):
        assert getattr(model, name) == getattr(defaults, name) == config[name]


def test_heads_are_bent_only_where_that_is_asked_for():
    assert composed("data=phantom", *DATA[2:]).data.source.bend_degrees == 0
    assert composed("experiment=bending", *DATA[2:]).data.source.bend_degrees == 45


def test_the_relative_loss_has_the_scale_of_the_scatter():
    config = composed(*DATA, "sampling=scatter", "displacement_loss=relative")
    assert instantiate(config.displacement_loss).needs_scale
    assert instantiate(config.sampling).knows_scale


@pytest.mark.parametrize("option", options("augmentation"))
def test_augmentations(option):
    augmentation = instantiate(composed(*DATA, f"augmentation={option}").augmentation)
    assert (augmentation == Augmentation()) == (option == "none")


@pytest.mark.parametrize("option", options("logger"))
def test_loggers(option, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    config = composed(*DATA, f"logger={option}")
    if option == "csv":  # always on, made in code
        assert config.logger._target_ is None
    else:
        assert instantiate(config.logger, save_dir=str(tmp_path)).save_dir == str(tmp_path)


@pytest.mark.parametrize("option", options("strategy"))
def test_strategies(option):
    chosen = composed(*DATA, f"strategy={option}").trainer.strategy
    assert strategy_name(chosen) == option
    if option == "fsdp":  # files that other strategies, and predictions, can read
        assert instantiate(chosen)._state_dict_type == "full"


MODELS = {"multi": "PCAShapeModel", "single": "IdentityShapeModel", "shared": "PointsShapeModel"}


def model(name, *more):
    landmark = ["model.landmark=CSP"] if name == "single" else []
    return composed(*DATA, *more, f"model={name}", *landmark)


@pytest.mark.parametrize("name", MODELS)
def test_models_choose_their_shape_model_and_optimiser(name):
    config = model(name)
    assert config.shape._target_.endswith(MODELS[name])
    optimizer = instantiate(config.model.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    scheduler = instantiate(config.model.scheduler)(optimizer, total_steps=10)
    assert scheduler.optimizer is optimizer


def test_the_command_line_wins_over_the_model():
    assert "Identity" in composed(*DATA, "model=multi", "shape=identity").shape._target_
    settings = ["model.prior=null", "trainer.max_steps=7", "loader.batch_size=3"]
    chosen = composed(*DATA, "model=shared", "network=compact", "augmentation=none", *settings)
    assert "Compact" in chosen.network._target_
    assert instantiate(chosen.augmentation) == Augmentation()
    assert chosen.model.prior is None
    assert (chosen.trainer.max_steps, chosen.loader.batch_size) == (7, 3)


def test_the_shared_model_is_a_configuration():
    config = model("shared")
    assert config.network._target_.endswith("SharedNetwork")
    parts = {"sampling": Scatter, "displacement_loss": RelativeError, "update_rule": RuleB}
    assert all(isinstance(instantiate(config[group]), kind) for group, kind in parts.items())
    assert isinstance(instantiate(config.model.prior), PCAShapeModel)
    assert list(config.model.patch_spacings) == [1, 3]
    assert config.loader.batch_size is None  # as many volumes as have about 256 landmarks


def test_presets_name_a_model_only_where_the_command_line_does_not():
    assert options("preset") == ["accurate", "fast"]
    accurate, fast = composed(*DATA), composed(*DATA, "preset=fast")
    assert accurate == model("shared")
    assert fast == model("shared_fast")
    assert fast.trainer.max_steps < accurate.trainer.max_steps
    same = [model("multi", f"preset={one}") for one in ("accurate", "fast")]
    assert same[0] == same[1]
    assert same[0].network._target_.endswith("CompactNetwork")


@pytest.mark.parametrize("name", ["multi", "single"])
def test_what_is_beyond_the_paper_is_off_by_default(name):
    config = model(name)
    assert instantiate(config.sampling) == Approach(0.9)
    assert instantiate(config.displacement_loss) == SquaredError()
    assert list(config.model.patch_spacings) == [1]
    assert config.model.prior is config.model.ema_decay is None
    assert config.trainer.max_steps == 1200


PAPER = {
    "model.patch_side": 101,
    "model.alpha": 0.5,
    "model.displacement_unit": "voxel",
    "model.approach_fraction": 0,
    "model.tolerance_voxels": 0,
    "update_rule._target_": "pin_lightning.method.update_rules.RuleC",
    "update_rule.max_iterations": 10,
    "loader.batch_size": 64,
    "trainer.max_steps": 100_000,
}


@pytest.mark.parametrize(("name", "starts"), [("multi", 6), ("single", 19)])
def test_the_papers_experiment(name, starts):
    config = model(name, "experiment=paper")
    expected = PAPER | {"model.num_starts": starts}
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
    assert config.shape._target_.endswith(MODELS[name])
    assert instantiate(config.augmentation) == Augmentation()
    assert instantiate(config.model.scheduler) is None
    network = instantiate(config.network, in_channels=30, num_parameters=15, patch_side=101)
    assert sum(weights.numel() for weights in network.parameters()) == 4_772_301
    optimizer = instantiate(config.model.optimizer)(network.parameters())
    assert type(optimizer) is torch.optim.Adam
    settings = {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0}
    assert {key: optimizer.defaults[key] for key in settings} == settings


@pytest.mark.slow
@pytest.mark.parametrize("option", options("experiment"))
def test_experiments_compose_with_every_value(option):
    config = composed(*DATA, f"experiment={option}")
    OmegaConf.resolve(config)
    assert config.trainer.max_steps > 0


@pytest.mark.parametrize("option", options("data"))
def test_data(option):
    config = composed(*DATA, f"data={option}")
    assert not skips_errors(config.data.on_error)
    groups = ReportSettings.of(config.report, config.data.planes).planes
    assert [group.name for group in groups] == (["TV", "TC"] if option == "phantom" else [])


def test_checkpoints_and_report_by_default():
    config = composed(*DATA)
    assert config.ckpt_path is None
    assert config.checkpoint.every_steps is None  # each validation
    assert ReportSettings.of(config.report) == ReportSettings()


def test_infer_config():
    config = composed(config_name="infer")
    assert OmegaConf.missing_keys(config) == {"run", "input", "output"}
    assert config.planes is True


def test_export_config():
    config = composed("run=some/run", config_name="export")
    assert config.output is None  # in the run folder
    assert Tolerance(**config.tolerance) == Tolerance()
    assert config.opset in OPSETS


@pytest.mark.parametrize("option", ["paper", "table1", "tune"])  # a run, a list, a search
def test_cross_validation_is_a_training_with_folds(option):
    settings = [*DATA, f"experiment={option}", "model=single", "model.landmark=CSP"]
    training = OmegaConf.to_container(composed(*settings), resolve=True)
    config = composed(*settings, config_name="cross_validate")
    folds = OmegaConf.to_container(config, resolve=True)
    ConformalSettings(**folds.pop("calibration"))
    assert folds.pop("folds_at_once") == 1
    assert folds["data"]["split"].pop("folds") == 5
    assert training["data"]["split"].pop("folds") is None
    assert folds == training
