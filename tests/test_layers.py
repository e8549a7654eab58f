"""Imports between packages run in one direction (docs/architecture.md)."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pin_lightning"
# A package may import those before it; packages on one line do not import each other.
ORDER = [
    "common",
    "distributed",
    "cli",
    "data method",
    "baselines",
    "evaluation",
    "runs",
    "reports",
    "training inference",
    "deployment studies",
    "annotation",
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names.split()}
# The method is the paper's, and needs nothing but the vocabulary; other systems need it, too.
ONLY = {"data": {"common"}, "method": {"common"}, "baselines": {"common", "method"}}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Modules of the package that a file imports, inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pin_lightning"):
            inside = [f"{node.module}.{one.name}" for one in node.names]
            yield from [one for one in inside if file_of(one)] or [node.module]
        if isinstance(node, ast.Import):
            yield from [one.name for one in node.names if one.name.startswith("pin_lightning")]


def file_of(module):
    path = PACKAGE.parent / module.replace(".", "/")
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in found if one.is_file()), None)


def test_every_package_has_its_level():
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert packages == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down(path):
    own = path.relative_to(PACKAGE).parts[0]
    others = {module.split(".")[1] for module in imports(path) if "." in module} - {own}
    if own in ONLY:
        assert others <= ONLY[own]
    elif own in LEVEL:
        assert all(LEVEL.get(other, 99) < LEVEL[own] for other in others), others


def test_no_file_imports_itself_by_way_of_others():
    graph = {path: {file_of(module) for module in imports(path)} - {path} for path in FILES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
