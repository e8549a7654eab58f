import ast
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from programs import run

import pin_lightning
from pin_lightning.__main__ import PROGRAMS, main, usage


def called(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["pin-lightning", *arguments])
    main()


def test_every_program_is_a_module_that_runs():
    for name, (module, _) in PROGRAMS.items():
        found = find_spec(module)
        main_file = f"{module}.__main__" if found.submodule_search_locations else module
        source = Path(find_spec(main_file).origin).read_text("utf-8")
        last = ast.unparse(ast.parse(source).body[-1])
        assert last.startswith("if __name__ == '__main__':"), name
        assert last.endswith("main()"), name


def test_the_console_command_runs_the_module():
    done = run("-m", "pin_lightning", "compare", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: pin-lightning compare")


def test_help_lists_all_programs(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        called(monkeypatch, "--help")
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"{usage()}\n"
    assert all(f"  {name} " in usage() for name in PROGRAMS)


@pytest.mark.parametrize(("arguments", "words"), [((), ""), (("trian",), "error: trian: there is")])
def test_without_a_program_the_exit_code_is_2(arguments, words, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        called(monkeypatch, *arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(words)


def test_version(monkeypatch, capsys):
    called(monkeypatch, "--version")
    assert capsys.readouterr().out[:1].isdigit()


def test_public_names_are_those_of_their_modules():
    for name, module in pin_lightning._MODULES.items():
        assert getattr(pin_lightning, name) is getattr(import_module(module), name)
    assert set(pin_lightning.__all__) == set(pin_lightning._MODULES) <= set(dir(pin_lightning))
    with pytest.raises(AttributeError, match="Predicter"):
        pin_lightning.Predicter  # noqa: B018


def test_public_functions_take_paths_as_text(tmp_path):
    path = str(tmp_path / "a.fcsv")
    landmarks = pin_lightning.LandmarkSet.of(["CSP"], np.array([[1.0, 2.0, 3.0]]))
    pin_lightning.write_landmarks(path, landmarks)
    assert pin_lightning.read_landmarks(path).names == ("CSP",)


def test_the_package_is_imported_without_heavy_ones():
    code = "import sys, pin_lightning; print(*(m for m in sys.modules if m.count('.') == 0))"
    loaded = set(run("-c", code).stdout.split())
    assert "pin_lightning" in loaded
    assert not loaded & {"torch", "numpy", "hydra", "omegaconf", "scipy", "pytorch_lightning"}
