import sys
from importlib import import_module

import numpy as np
import pytest
from programs import run

import pin_lightning
from pin_lightning.__main__ import PROGRAMS, main


def called(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["pin-lightning", *arguments])
    main()


def test_the_console_command_runs_the_module():
    done = run("-m", "pin_lightning", "compare", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: pin-lightning compare")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [(["--help"], "0", ""), ([], "2", ""), (["trian"], "2", "error: trian: there is no such")],
)
def test_help_lists_all_programs(arguments, code, error, monkeypatch, capsys):
    with pytest.raises(SystemExit, match=code):
        called(monkeypatch, *arguments)
    said = capsys.readouterr()
    assert said.err.startswith(error)
    assert all(f"  {name} " in said.out for name in PROGRAMS) == (not error)


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
