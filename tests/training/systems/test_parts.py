import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.baselines.registry import SYSTEMS
from pin_lightning.cli.config_tree import option_names
from pin_lightning.training.combinations import check_combination, parts_of, without_effect
from pin_lightning.training.systems.parts import SystemParts

DATA = ["data=folder", "data.root=x"]


def config_of(*settings, target=None):
    config = composed(*DATA, "model=heatmap", *settings)
    config.overrides = list(settings)
    if target is not None:
        OmegaConf.update(config, "system", {"_target_": f"toy_systems.{target}"}, merge=False)
    return config


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_option_of_a_system_has_nothing_of_pin(name):
    assert name in option_names("model")
    config = composed(*DATA, f"model={name}")
    parts = parts_of(config)
    assert isinstance(parts, SystemParts)
    assert parts.system is SYSTEMS[name] is get_class(config.system._target_)
    assert not {"shape", "network", "update_rule", "sampling"} & set(map(str, config))
    check_combination(parts)
    assert list(without_effect(config, parts)) == []


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("shape=pca", "shape: is of PIN, and model=heatmap is not; leave it out"),
        ("update_rule=A", "update_rule: is of PIN"),
        ("first_stage=outputs/run", "first_stage: gives starts, and model=heatmap has none"),
        ("loader=queue", "loader=queue: gives patches, and model=heatmap sees whole volumes"),
    ],
)
def test_settings_that_do_not_apply_are_refused(setting, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        parts_of(config_of(setting))


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("augmentation.noise_sd=0.1", "augmentation.noise_sd: model=nearest draws nothing"),
        ("checkpoint.every_steps=5", "checkpoint.every_steps: model=nearest trains in one piece"),
        ("strategy=ddp", "strategy: model=nearest trains in one process"),
        ("ckpt_path=some.ckpt", "ckpt_path=some.ckpt: model=nearest trains in one piece"),
    ],
)
def test_a_loop_of_its_own_refuses_more(setting, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        parts_of(config_of(setting, target="Nearest"))
    parts_of(config_of(setting, target="Offset"))
