"""Every combination of the options is either refused, with a reason, or trains and evaluates."""

import gc
import itertools
from functools import cache

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.baselines.registry import SYSTEMS
from pin_lightning.cli.config_tree import option_names
from pin_lightning.common.errors import user_mistake
from pin_lightning.training.combinations import Parts, check_combination, without_effect
from pin_lightning.training.run import train

# Refused combinations: what they have in common, and what the reason says.
MODELS = [name for name in option_names("model") if name not in SYSTEMS]  # others have no parts
SEVERAL = tuple(name for name in MODELS if name != "single")
MOVE_TOGETHER = tuple(name for name in option_names("shape") if name not in ("identity", "points"))
NO_SENSE = (
    ({"shape": MOVE_TOGETHER, "network": ("shared",)}, "network=shared: moves each landmark"),
    (
        {"sampling": ("approach",), "displacement_loss": ("relative",)},
        "displacement_loss=relative: needs sampling=scatter",
    ),
    ({"shape": ("identity",), "model": SEVERAL}, "shape=identity: holds one landmark, not 10"),
    ({"shape": ("autoencoder",), "model": ("single",)}, "shape=autoencoder: needs at least 3 land"),
)
SCATTER = {"_target_": "pin_lightning.method.sampling.Scatter"}
RULE_A = {"_target_": "pin_lightning.method.update_rules.RuleA"}
TINY = (
    *("data=folder", "run_name=test", "run_dir=unused", "augmentation=none"),
    "pose=as_scanned",  # a pose stage has tests of its own
    *("data.spacing_mm=9", "data.grid_size=[18,12,16]"),
    *("data.split.val_fraction=0.1", "data.split.test_fraction=0.1"),
    *("model.num_starts=2", "update_rule.max_iterations=2", "loader.batch_size=2"),
    *("trainer.max_steps=2", "trainer.val_check_interval=2"),
    *("report.pictures=false", "report.bootstrap.resamples=100"),
)
# Of single options, so that each is small.
SMALL = {
    "loader=resident": ["loader.batches_per_epoch=2"],
    "loader=queue": ["loader.queue_length=8", "loader.samples_per_volume=2"],
    "network=compact": ["network.widths=[4,4]", "network.hidden=[8]", "model.patch_side=9"],
    "network=shared": ["network.widths=[4,4]", "network.hidden=[8]", "model.patch_side=9"],
    "network=paper": ["model.patch_side=95"],
    "model=single": ["model.landmark=CSP"],
    "shape=autoencoder": ["shape.max_steps=10"],
}


def options_of(group):
    return MODELS if group == "model" else option_names(group)


def combinations(*groups):
    for options in itertools.product(*map(options_of, groups)):
        yield dict(zip(groups, options, strict=True))


# What a model changes beyond the options that it takes is numbers.
ALL = [
    *combinations("shape", "update_rule", "loader", "model"),
    *(
        {**parts, "model": "single" if parts["shape"] == "identity" else "multi"}
        for parts in combinations("shape", "network", "sampling", "displacement_loss")
    ),
]


@cache
def chosen_by(model):
    """The options that a model takes for the groups that a combination does not name."""
    settings = ["model.landmark=CSP"] if model == "single" else []
    config = composed(f"model={model}", *settings, with_hydra=True)
    return dict(config.hydra.runtime.choices)


def label(combination):
    return " ".join(f"{group}={option}" for group, option in combination.items())


def reason_against(combination):
    full = {**chosen_by(combination["model"]), **combination}
    for common, reason in NO_SENSE:
        if all(full[group] in options for group, options in common.items()):
            return reason
    return None


def config_of(combination, root, cache_dir):
    full = {**chosen_by(combination["model"]), **combination}
    own = [f"{group}={option}" for group, option in combination.items()]
    small = [one for group, option in full.items() for one in SMALL.get(f"{group}={option}", [])]
    return composed(*own, *TINY, *small, f"data.root={root}", f"data.cache_dir={cache_dir}")


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    """Where working volumes are made once; collecting garbage after each training costs little."""
    gc.collect()
    gc.freeze()
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def multi():
    return composed("data=folder", "data.root=x", "model=multi", "augmentation=full")


@pytest.mark.parametrize(("common", "reason"), NO_SENSE[:2])
def test_what_makes_no_sense_is_refused_before_the_data_are_read(common, reason):
    parts = {"shape": "pca", "network": "compact", "sampling": "scatter"}
    parts |= {group: options[0] for group, options in common.items()}
    parts.setdefault("displacement_loss", "mse")
    chosen = [f"{group}={option}" for group, option in parts.items()]
    config = composed("data=folder", "data.root=x", "model=multi", *chosen)
    with pytest.raises(ValueError, match=f"^{reason}"):
        check_combination(Parts.of(config))


@pytest.mark.parametrize(
    ("asked", "others", "line"),
    [
        ("model.prior_share", {}, "model.prior_share: has no effect here, model.prior=null"),
        ("model.trajectory_every", {}, "model.trajectory_share=0"),
        ("model.trajectory_every", {"model.trajectory_share": 0.2}, None),
        ("model.approach_fraction", {}, None),
        ("model.approach_fraction", {"sampling": SCATTER}, "it is of sampling=approach"),
        ("augmentation.elastic_spacing", {}, None),
        ("augmentation.elastic_spacing", {"augmentation.elastic_sd": 0}, "elastic_sd=0"),
        ("data.mirror_pairs", {}, "augmentation.flip_probability=0"),
        ("data.split.test_fraction", {}, None),
        ("data.split.test_fraction", {"data.split.folds": 5}, "names or folds"),
        ("data.split.val_fraction", {"data.split.val_names": ["a"]}, "data.split.val_names says"),
        ("seed", {"model.alpha": 1}, "model.alpha=1: does not train the displacement that RuleB"),
        ("seed", {"model.alpha": 0}, None),
        ("seed", {"model.alpha": 0, "update_rule": RULE_A}, "the direction that RuleA uses"),
    ],
)
def test_a_setting_without_effect_is_pointed_out(multi, asked, others, line):
    config = multi.copy()
    config.overrides = [f"{asked}=1", "model.landmarks=null"]
    for key, value in others.items():
        OmegaConf.update(config, key, value, merge=False)
    parts = Parts.of(config)
    found = list(without_effect(config, parts))
    assert len(found) == (line is not None)
    assert line is None or line in found[0]
    config.overrides = []  # of a default nothing is said
    assert [one for one in without_effect(config, parts) if "has no effect" in one] == []


@pytest.mark.slow
@pytest.mark.parametrize("combination", ALL, ids=label)
def test_every_combination_trains_or_is_refused(combination, phantom_root, cache_dir, tmp_path):
    config, reason = config_of(combination, phantom_root, cache_dir), reason_against(combination)
    if reason is None:
        metrics = train(config, tmp_path / "run")
        assert metrics["test"]["num_cases"] == 1
        assert metrics["test"]["radial_error_mm"]["mean"] > 0
        return
    with pytest.raises((ValueError, InstantiationException)) as refused:
        train(config, tmp_path / "run")
    assert reason in user_mistake(refused.value)
    assert not (tmp_path / "run").exists()
