"""Every combination of the options is either refused, with a reason, or trains and evaluates."""

import gc
import itertools
from functools import cache

import pytest
from hydra.errors import InstantiationException

from conftest import composed
from pin_lightning.config_tree import option_names
from pin_lightning.entry import user_mistake
from pin_lightning.training import train

# Refused combinations: what they have in common, and what the reason says.
SEVERAL = tuple(name for name in option_names("model") if name != "single")
MOVE_TOGETHER = tuple(name for name in option_names("shape") if name not in ("identity", "points"))
NO_SENSE = (
    ({"shape": MOVE_TOGETHER, "network": ("shared",)}, "network=shared: moves each landmark"),
    (
        {"sampling": ("approach",), "displacement_loss": ("relative",)},
        "displacement_loss=relative: needs sampling=scatter",
    ),
    ({"shape": ("identity",), "model": SEVERAL}, "shape=identity: holds one landmark, not 10"),
)
TINY = (
    *("data=folder", "run_name=test", "run_dir=unused", "augmentation=none"),
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
}


def combinations(*groups):
    for options in itertools.product(*map(option_names, groups)):
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
    yield tmp_path_factory.mktemp("cache")
    gc.unfreeze()


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
