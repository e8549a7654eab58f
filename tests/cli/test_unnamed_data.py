import logging

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from programs import run

from conftest import REPOSITORY, composed
from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.unnamed_data import DOING, PHANTOMS, TOLD, TellOfPhantoms, with_phantoms

# Experiments of a user: one with a folder, one with another layout.
EXPERIMENTS = {
    "mine": "data:\n  root: mine\n",
    "table": "defaults:\n  - override /data: csv\n",
    "lr": "model:\n  optimizer:\n    lr: 1\n",
    "grid": "hydra:\n  sweeper:\n    params:\n      data.root: a,b\n",
}


@pytest.fixture
def own_configs(tmp_path):
    (tmp_path / "experiment").mkdir()
    for name, text in EXPERIMENTS.items():
        (tmp_path / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    return tmp_path


UNNAMED = [
    [],
    ["model=multi", "shape=pca"],
    ["experiment=paper"],
    ["-m", "model.alpha=0,1", "seed=0,1"],
    ["-m", "hydra/sweeper=listed", "hydra.sweeper.jobs=[[seed=1],[seed=2]]"],
    ["--config-dir", "OWN", "-m", "experiment=lr,paper"],
    ["run_dir=RUN", "ckpt_path=last"],
    ["data.split.val_fraction=0", "data.cache_dir=here"],
    ["data.source.num_cases=5"],
    ["--config-dir", "OWN", "experiment=lr"],
]
NAMED = [
    ["data=folder"],
    ["data=phantom"],
    ["data.root=FOLDER"],
    ["++data.root=FOLDER"],
    ["-m", "data.root=a,b"],
    ["experiment=demo"],
    ["-m", "experiment=paper,demo"],
    ["-m", "hydra/sweeper=listed", "hydra.sweeper.jobs=[[data=csv,data.root=a]]"],
    ["--config-dir", "OWN", "experiment=mine"],
    ["--config-dir", "OWN", "experiment=table"],
    ["--config-dir", "OWN", "-m", "experiment=grid"],
    ["data.frame=LPS"],  # of other data than phantoms
    ["model=no_such_model"],
    ["experiment=null"],
    ["--config-path", "elsewhere"],
]


def given(arguments, own_configs):
    return quote_arguments([str(own_configs) if one == "OWN" else one for one in arguments])


@pytest.mark.parametrize("arguments", UNNAMED, ids=" ".join)
def test_a_command_line_without_data_takes_phantoms(arguments, own_configs):
    arguments = given(arguments, own_configs)
    now = with_phantoms("train", arguments)
    assert sorted(now) == sorted([*arguments, PHANTOMS, TOLD])
    assert [one for one in now if one in arguments] == arguments


@pytest.mark.parametrize("arguments", NAMED, ids=" ".join)
def test_a_command_line_with_data_stays_as_it_is(arguments, own_configs):
    arguments = given(arguments, own_configs)
    assert with_phantoms("train", arguments) == arguments


def test_programs_that_take_phantoms():
    assert with_phantoms("cross_validate", []) == [PHANTOMS, TOLD]
    assert with_phantoms("check", []) == [PHANTOMS, TOLD]
    for program in ("infer", "evaluate", "report"):
        assert with_phantoms(program, ["run=RUN"]) == ["run=RUN"]


def test_nothing_stands_after_an_option_of_hydra():
    arguments = ["model=multi", "seed=1", "--cfg", "job"]
    assert with_phantoms("train", arguments) == [PHANTOMS, TOLD, *arguments]
    assert with_phantoms("train", ["--cfg", "job"]) == ["--cfg", "job", PHANTOMS, TOLD]


@pytest.mark.parametrize(("program", "doing"), DOING.items())
def test_the_line(program, doing, caplog):
    config = composed(PHANTOMS, TOLD, "hydra.mode=RUN", config_name=program, with_hydra=True)
    with caplog.at_level(logging.INFO):
        instantiate(config.hydra.callbacks.unnamed).on_job_start(config)
    (line,) = caplog.messages
    assert line.startswith(f"no data named: {doing} phantoms in {config.data.root}; data=folder")


def test_a_sweep_says_it_once_and_other_processes_never(caplog, monkeypatch):
    with caplog.at_level(logging.INFO):
        sweep = composed(PHANTOMS, "hydra.mode=MULTIRUN", with_hydra=True)
        TellOfPhantoms().on_multirun_start(sweep)
        TellOfPhantoms().on_job_start(sweep)
        monkeypatch.setenv("LOCAL_RANK", "1")
        TellOfPhantoms().on_job_start(composed(PHANTOMS, "hydra.mode=RUN", with_hydra=True))
    assert len(caplog.messages) == 1


@pytest.mark.slow
def test_train_without_data_in_an_empty_folder(tmp_path):
    settings = ["model=multi", "shape=pca", "trainer.max_steps=2", "trainer.val_check_interval=2"]
    settings += ["data.source.num_cases=8", "data.source.size=[54,35,47]", "run_dir=run"]
    settings += ["data.source.spacing_mm=[3,3,3]", "loader.batch_size=4", "report.pictures=false"]
    done = run(REPOSITORY / "train.py", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    root = OmegaConf.load(tmp_path / "run" / "config.yaml").data.root
    assert (tmp_path / root / "phantom.json").is_file()
    line = f"no data named: training on phantoms in {root};"
    assert line in done.stdout.splitlines()[0]
    logged = (tmp_path / "run" / "train.log").read_text("utf-8")
    assert line in logged
    assert "data.spacing_mm=3.0 (from the data)" in logged
