"""Fixtures: a small phantom data set, and one short training that many tests look at."""

import copy
import functools
import gc
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser

from pin_lightning.cli.arguments import quote_arguments

gc.disable()  # no search for garbage among libraries and tests while they are loaded

REPOSITORY = Path(__file__).resolve().parents[1]
CONF = REPOSITORY / "conf"
CT_ROOT = Path(
    os.environ.get("PIN_CT_DATA", REPOSITORY.parent / "shared" / "data" / "mouse_skull_ct")
)


def pytest_collection_finish():
    gc.freeze()  # nor later
    gc.enable()


def composed(*overrides, config_name="train", with_hydra=False):
    """The config that a command line would give, without Hydra's own part unless asked for.

    Of several values for a setting the last one counts.
    """
    given = dict(one.split("=", 1) for one in overrides)
    overrides = quote_arguments(list(map("=".join, given.items())))
    if with_hydra:
        return composed_at_once(config_name, overrides, with_hydra)
    # As Hydra does, but each choice of options is composed once: settings come after them.
    options = tuple(one for one in overrides if is_option(one))
    config = copy.deepcopy(composed_of_options(config_name, options))
    settings = [one for one in overrides if not is_option(one)]
    parsed = OverridesParser.create().parse_overrides(settings)
    ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
    return config


def is_option(override):
    """Tell whether an override is of a group of options, or of Hydra, and not a setting."""
    key = override.split("=")[0]
    return key.startswith("hydra") or (CONF / key).is_dir()


def composed_at_once(config_name, overrides, with_hydra=False):
    """What Hydra composes."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config_name, list(overrides), return_hydra_config=with_hydra)


composed_of_options = functools.cache(composed_at_once)


def assert_predicts_as_evaluated(run_dir, phantom_root):
    """Check that a loaded run predicts the test cases as in its ``predictions.csv``."""
    from pin_lightning.evaluation.predictions_csv import read_predictions
    from pin_lightning.runs.predictor import Predictor

    evaluation = read_predictions(run_dir / "predictions.csv")["test"]
    predictor = Predictor.load(run_dir, device="cpu")
    assert predictor.names == evaluation.names
    for case, expected in zip(evaluation.cases, evaluation.predicted_world, strict=True):
        prediction = predictor.predict(phantom_root / "images" / f"{case}.nii.gz")
        np.testing.assert_allclose(prediction.positions_world, expected, atol=1e-3)
        assert (prediction.spread_mm > 0).all()


def mark_as_version_1(run_dir):
    """Let a run folder say that an earlier version of the program wrote it."""
    path = run_dir / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "format_version": 1}))


@pytest.fixture(autouse=True, scope="session")
def nobody_ends_the_tests():
    """No thread ends this process after a signal that a test has sent to it."""
    from pin_lightning.distributed import process

    process._watch = lambda: None


@pytest.fixture
def handlers(monkeypatch):
    """This process ends as a program does; its own handlers are there again after the test."""
    from pin_lightning.distributed import process

    for name in ("_ending", "_interrupted", "_saves_first"):
        monkeypatch.setattr(process, name, False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = {one: signal.getsignal(one) for one in numbers}
    process.end_on_signals()
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory):
    """Ten heads at a coarse spacing."""
    from pin_lightning.data.sources.phantom import phantom_cases

    root = tmp_path_factory.mktemp("phantom")
    phantom_cases(root, num_cases=10, size=(54, 35, 47), spacing_mm=(3.0, 3.0, 3.0), seed=0)
    return root


@pytest.fixture(scope="session")
def short_settings(phantom_root, tmp_path_factory):
    """Overrides of a training that takes seconds."""
    return [
        "model=multi",
        "pose=as_scanned",  # also with other models: a pose stage has tests of its own
        "data=folder",
        f"data.root={phantom_root}",
        f"data.cache_dir={tmp_path_factory.mktemp('cache')}",
        "run_name=short",
        "run_dir=unused",
        "network.widths=[8,16,16,16]",
        "network.hidden=[64]",
        "loader.batch_size=16",
        "loader.batches_per_epoch=10",
        "trainer.max_steps=30",
        "trainer.val_check_interval=15",
        "trainer.log_every_n_steps=5",
        "report.pictures=false",
    ]


@pytest.fixture(scope="session")
def short_run(short_settings, tmp_path_factory):
    """Run folder of one short training."""
    from pin_lightning.training.run import train

    run_dir = tmp_path_factory.mktemp("runs") / "short"
    train(composed(*short_settings), run_dir)
    return run_dir


@pytest.fixture(scope="session")
def ct_root():
    """The real CT volumes, where they are at hand."""
    if not CT_ROOT.is_dir():
        pytest.skip(f"no CT data in {CT_ROOT}; set PIN_CT_DATA to a folder of images and landmarks")
    return CT_ROOT
