import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from conftest import REPOSITORY, composed
from pin_lightning.common.settings import refuse_missing
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

CONF = REPOSITORY / "conf"
DATA = ["data=folder", "data.root=somewhere", "run_name=test", "run_dir=unused"]


def options(group):
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem != "base")
    assert found, group
    return found


def option_of(group, option):
    """An option by itself, which is faster than a whole config."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(f"{group}/{option}")[group]


def test_every_group_is_tested_here():
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    tested = (
        "augmentation data displacement_loss experiment hydra loader logger model network preset "
        "sampling shape strategy trainer update_rule"
    )
    assert groups == set(tested.split())


@pytest.mark.parametrize("option", options("shape"))
def test_shapes(option):
    assert isinstance(instantiate(option_of("shape", option)), ShapeModel)


def test_the_autoencoder_needs_no_settings():
    config = composed(*DATA, "shape=autoencoder").shape
    defaults, model = AutoencoderShapeModel(), instantiate(config)
    for name in ("components", "hidden", "max_steps", "recombine_poses", "seed"):
        assert getattr(model, name) == getattr(defaults, name) == config[name]


def test_heads_are_bent_only_where_that_is_asked_for():
    assert composed("data=phantom", *DATA[2:]).data.source.bend_degrees == 0
    assert composed("experiment=bending", *DATA[2:]).data.source.bend_degrees == 45


@pytest.mark.parametrize(("option", "iterations"), [("A", 350), ("B", 10), ("C", 10)])
def test_update_rules(option, iterations):
    rule = instantiate(option_of("update_rule", option))
    assert isinstance(rule, UpdateRule)
    assert type(rule).__name__ == f"Rule{option}"
    assert rule.max_iterations == iterations
    assert options("update_rule") == ["A", "B", "C"]


@pytest.mark.parametrize("option", options("network"))
def test_networks(option):
    config = option_of("network", option)
    sizes = {"in_channels": 6, "num_parameters": 3, "patch_side": 101}
    network = instantiate(config, **sizes, _convert_="all")
    displacement, logits = network(torch.zeros(1, 6, 101, 101))
    assert displacement.shape == (1, 3)
    assert logits.shape == (1, 6)


@pytest.mark.parametrize("option", options("sampling"))
def test_samplings(option):
    sampling = instantiate(composed(*DATA, f"sampling={option}").sampling)
    assert isinstance(sampling, Sampling)
    assert sampling.knows_scale == (option == "scatter")


@pytest.mark.parametrize("option", options("displacement_loss"))
def test_displacement_losses(option):
    loss = instantiate(option_of("displacement_loss", option))
    assert isinstance(loss, DisplacementLoss)
    assert loss.needs_scale == (option == "relative")


@pytest.mark.parametrize("option", options("loader"))
def test_loaders(option):
    assert callable(instantiate(option_of("loader", option)))


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


@pytest.mark.parametrize("option", options("trainer"))
def test_trainers(option, tmp_path):
    config = composed(*DATA, f"trainer={option}").trainer
    settings = {"default_root_dir": tmp_path, "logger": False, "precision": "32-true"}
    trainer = instantiate(config, **settings, _convert_="all")
    assert trainer.max_steps > 0


@pytest.mark.parametrize("option", options("strategy"))
def test_strategies(option):
    for program in ("train", "infer"):
        given = DATA if program == "train" else []
        chosen = composed(*given, f"strategy={option}", config_name=program).trainer.strategy
        assert strategy_name(chosen) == option
    if option == "fsdp":  # files that other strategies, and predictions, can read
        assert instantiate(chosen)._state_dict_type == "full"


def test_every_data_source_has_a_layout_test():
    assert options("data") == ["bids", "csv", "folder", "phantom", "pin"]


@pytest.mark.parametrize(
    ("option", "shape"),
    [("multi", "PCAShapeModel"), ("single", "IdentityShapeModel"), ("shared", "PointsShapeModel")],
)
def test_models_choose_their_shape_model_and_optimiser(option, shape):
    landmark = ["model.landmark=CSP"] if option == "single" else []
    config = composed(*DATA, f"model={option}", *landmark)
    assert config.shape._target_.endswith(shape)
    weights = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = instantiate(config.model.optimizer)(weights)
    scheduler = instantiate(config.model.scheduler)(optimizer, total_steps=10)
    assert scheduler.optimizer is optimizer
    assert options("model") == ["multi", "shared", "shared_fast", "single"]


def test_the_command_line_wins_over_the_model():
    assert "Identity" in composed(*DATA, "model=multi", "shape=identity").shape._target_
    chosen = composed(*DATA, "model=shared", "network=compact", "augmentation=none")
    assert "Compact" in chosen.network._target_
    assert instantiate(chosen.augmentation) == Augmentation()
    settings = ["model.prior=null", "trainer.max_steps=7", "loader.batch_size=3"]
    chosen = composed(*DATA, "model=shared", *settings)
    assert chosen.model.prior is None
    assert chosen.trainer.max_steps == 7
    assert chosen.loader.batch_size == 3


def test_the_shared_model_is_a_configuration():
    config = composed(*DATA, "model=shared")
    parts = {"sampling": Scatter, "displacement_loss": RelativeError, "update_rule": RuleB}
    assert config.network._target_.endswith("SharedNetwork")
    for group, expected in parts.items():
        assert isinstance(instantiate(config[group]), expected)
    assert isinstance(instantiate(config.model.prior), PCAShapeModel)
    assert list(config.model.patch_spacings) == [1, 3]
    assert config.loader.batch_size is None  # as many volumes as have about 256 landmarks


def test_presets_name_a_model_only_where_the_command_line_does_not():
    assert options("preset") == ["accurate", "fast"]
    accurate, fast = composed(*DATA), composed(*DATA, "preset=fast")
    assert accurate == composed(*DATA, "model=shared")
    assert fast == composed(*DATA, "model=shared_fast")
    assert fast.trainer.max_steps < accurate.trainer.max_steps
    same = [composed(*DATA, f"preset={one}", "model=multi") for one in ("accurate", "fast")]
    assert same[0] == same[1]
    assert same[0].shape._target_.endswith("PCAShapeModel")
    assert same[0].network._target_.endswith("CompactNetwork")


@pytest.mark.parametrize("model", ["multi", "single"])
def test_what_is_beyond_the_paper_is_off_by_default(model):
    landmark = ["model.landmark=CSP"] if model == "single" else []
    config = composed(*DATA, f"model={model}", *landmark)
    assert instantiate(config.sampling) == Approach(0.9)
    assert instantiate(config.displacement_loss) == SquaredError()
    assert list(config.model.patch_spacings) == [1]
    assert config.model.prior is None
    assert config.model.ema_decay is None
    assert config.trainer.max_steps == 1200


@pytest.mark.parametrize("model", ["multi", "single"])
def test_the_papers_experiment(model):
    landmark = ["model.landmark=CSP"] if model == "single" else []
    config = composed(*DATA, "experiment=paper", f"model={model}", *landmark)
    assert config.model.patch_side == 101
    assert config.model.alpha == 0.5
    assert config.model.displacement_unit == "voxel"
    assert config.model.approach_fraction == 0
    assert config.model.tolerance_voxels == 0
    assert instantiate(config.augmentation) == Augmentation()
    assert config.model.num_starts == {"multi": 6, "single": 19}[model]
    assert config.update_rule._target_.endswith("RuleC")
    assert config.update_rule.max_iterations == 10
    assert config.loader.batch_size == 64
    assert config.trainer.max_steps == 100_000
    assert config.shape._target_.endswith(
        {"multi": "PCAShapeModel", "single": "IdentityShapeModel"}[model]
    )
    assert instantiate(config.model.scheduler) is None
    network = instantiate(config.network, in_channels=30, num_parameters=15, patch_side=101)
    assert sum(weights.numel() for weights in network.parameters()) == 4_772_301
    optimizer = instantiate(config.model.optimizer)(network.parameters())
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["lr"] == 1e-3
    assert optimizer.defaults["betas"] == (0.9, 0.999)
    assert optimizer.defaults["weight_decay"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("option", options("experiment"))
def test_experiments_compose_with_every_value(option):
    config = composed(*DATA, f"experiment={option}")
    OmegaConf.resolve(config)
    assert config.trainer.max_steps > 0


def test_what_becomes_of_a_training_that_is_cut_off_or_of_damaged_data():
    for option in options("data"):
        assert not skips_errors(composed(*DATA, f"data={option}").data.on_error)
    for program in ("check", "evaluate"):
        assert composed("data=folder", config_name=program).data.on_error == "refuse"
    config = composed(*DATA)
    assert config.ckpt_path is None
    assert config.checkpoint.every_steps is None  # each validation


def test_report_settings():
    assert ReportSettings.of(composed(*DATA).report) == ReportSettings()


def test_planes_are_named_with_the_data():
    for option in options("data"):
        config = composed(*DATA, f"data={option}")
        groups = ReportSettings.of(config.report, config.data.planes).planes
        assert [group.name for group in groups] == (["TV", "TC"] if option == "phantom" else [])
    assert composed(config_name="infer").planes is True


def test_infer_config_says_what_is_missing():
    config = composed(config_name="infer")
    assert OmegaConf.missing_keys(config) == {"run", "input", "output"}


def test_export_config():
    config = composed("run=some/run", config_name="export")
    assert config.output == "some/run/onnx"
    assert Tolerance(**config.tolerance) == Tolerance()
    assert config.opset in OPSETS
    with pytest.raises(ValueError, match=r"^run: is not set"):
        refuse_missing(composed(config_name="export"))


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
