import shutil

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.utils import get_class

from pin_lightning.cli import config_tree
from pin_lightning.cli.config_tree import (
    CONF,
    PAGE,
    Option,
    composed,
    options_of,
    purpose,
    with_table,
)
from pin_lightning.studies.sweeps.closing import CloseSweep


@pytest.fixture(scope="module")
def of_train():
    return options_of("train")


def test_the_documentation_has_the_table_that_the_config_files_make():
    text = PAGE.read_text("utf-8")
    assert with_table(text) == text, "run: python -m pin_lightning.cli.config_tree"
    with pytest.raises(ValueError, match="has no <!-- config tree -->"):
        with_table("no markers")


def test_every_option_is_there_and_says_what_it_is_for(of_train):
    listed = {(one.group, one.name) for one in of_train}
    files = {(str(path.parent.relative_to(CONF)), path.stem) for path in CONF.glob("*/**/*.yaml")}
    bases = {one for one in files if one[1] == "base" or one[0] == "model/common"}
    assert listed == files - bases | {("hydra/launcher", "basic"), ("hydra/sweeper", "basic")}
    assert all(len(one.purpose) > 10 for one in of_train)


def test_the_default_is_what_is_taken_where_nothing_is_named(of_train):
    defaults = {one.group: one.name for one in of_train if one.is_default}
    assert defaults["model"] == "shared"  # by the preset, not by the list of the config
    assert defaults["shape"] == "points"  # by that model
    assert defaults["hydra/launcher"] == "basic"
    assert "experiment" not in defaults
    assert config_tree.option_names("model") == sorted(config_tree.option_names("model"))
    assert next(one.name for one in of_train if one.group == "model") == "shared"  # it comes first


def test_a_program_has_only_the_groups_that_it_uses():
    groups = {"infer": [], "report": [], "check": ["data"], "evaluate": ["data"]}
    assert {program: list(config_tree.groups_of(program)) for program in groups} == groups


def test_a_new_option_needs_no_list(tmp_path, monkeypatch):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "shape" / "mesh.yaml").write_text("# @package _global_\n# A mesh.\n_target_: a.B\n")
    monkeypatch.setattr(config_tree, "CONF", conf)
    assert Option("shape", "mesh", "A mesh.", False) in options_of("train")
    (conf / "shape" / "mesh.yaml").write_text("_target_: a.B\n")
    with pytest.raises(ValueError, match=r"mesh\.yaml: has no description"):
        purpose(conf / "shape" / "mesh.yaml")


def test_the_table_by_hand():
    options = [
        Option("shape", "pca", "Modes | more.", True),
        Option("shape", "points", "Points.", False),
        Option("model", "multi", "All.", False),
    ]
    assert config_tree.markdown_table(options).splitlines() == [
        "| group | option | what it is for |",
        "|---|---|---|",
        r"| `shape` | **`pca`** | Modes \| more. |",
        "| | `points` | Points. |",
        "| `model` | `multi` | All. |",
    ]


@pytest.mark.parametrize("program", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_sweep_names_its_failed_jobs(program):
    callbacks = config_tree.composed(program).hydra.callbacks.values()
    assert any(issubclass(get_class(one._target_), CloseSweep) for one in callbacks)


def test_a_program_of_hydra_can_compose_the_config_of_another_one():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        own = GlobalHydra.instance().hydra
        assert composed("cross_validate", ["calibration.coverage=0.8"]).calibration.coverage == 0.8
        with pytest.raises(HydraException):
            composed("cross_validate", ["nonsense=3"])
        assert GlobalHydra.instance().hydra is own
