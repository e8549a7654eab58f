"""The files that a project is known by agree with the code."""

import re
import tomllib

import pytest
import yaml
from test_layers import ORDER

from conftest import REPOSITORY

CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE).group(1)
    assert citation["version"] == newest == PROJECT["version"]


def test_targets_that_contributing_names_exist():
    named = set(re.findall(r"\bmake ([a-z-]+)", CONTRIBUTING))
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"test", "test-all"} <= named <= targets


PATH = r"`((?:pin_lightning|tests|conf|docs)/[\w/.]+)`"


@pytest.mark.parametrize("path", sorted(set(re.findall(PATH, CONTRIBUTING))))
def test_files_that_contributing_names_exist(path):
    """NAME stands for a new file, whose folder exists."""
    named = REPOSITORY / path
    assert (named.parent if "NAME" in path else named).exists()


def test_layers_that_contributing_names_are_those_that_are_tested():
    (line,) = re.findall(r"^    (common < .*) < programs$", CONTRIBUTING, re.MULTILINE)
    assert [re.sub("[{},]", "", one) for one in line.split(" < ")] == ORDER
