import sys

import pytest
from omegaconf import OmegaConf
from programs import run

from conftest import REPOSITORY
from pin_lightning.cli import hydra_program as entry
from pin_lightning.cli.config_tree import CONF
from pin_lightning.cli.help import parents_of, print_help, read_config, wrapped

PROGRAMS = sorted(path.stem for path in CONF.glob("*.yaml"))


def test_every_config_is_that_of_a_program_with_examples():
    for program in PROGRAMS:
        command = f"pin-lightning {program.replace('_', '-')}"
        introduction, settings = read_config(program)
        first, *rest = introduction.splitlines()
        assert first[0].isupper(), program
        assert rest[-1].startswith("  "), program  # what follows is the comment of a setting
        examples = [line for line in rest if line.startswith(f"  {command} ")]
        assert 2 <= len(examples) <= 6, program
        keys = set(OmegaConf.load(CONF / f"{program}.yaml")) - {"defaults", "hydra"}
        assert {line.split(":")[0] for line in settings.splitlines() if line[:1].isalpha()} == keys


@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_help("check", "python here.py")
    said = capsys.readouterr().out
    assert "  python here.py data=folder data.root=FOLDER\n" in said
    assert "folder *" in said
    assert "# Names of the landmarks to check" in said
    assert "hydra:" not in said
    long = [line for line in said.splitlines() if len(line.rstrip()) > width]
    assert all(line.startswith("python here.py GROUP=OPTION") for line in long)


def test_parents_are_shown_too():
    assert parents_of("cross_validate") == ["train"]
    assert parents_of("evaluate") == ["report"]
    assert parents_of("train") == []


def test_values_do_not_wrap():
    assert wrapped("key: [a, b, c, d]  # four", 11) == "key: [a, b, c, d]  # four"


@pytest.mark.parametrize("flag", entry.HELP)
def test_help_comes_before_the_program(flag, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gather.py", "sweep=nowhere", flag])
    entry.start("gather", lambda _: pytest.fail("the program began"))
    assert capsys.readouterr().out.startswith("Make the table of a sweep again")


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_helps_without_its_heavy_imports(program):
    own = (REPOSITORY / f"{program}.py").is_file()
    command = [f"{program}.py"] if own else ["-m", f"pin_lightning.{program}"]
    done = run("-X", "importtime", *command, "--help")
    assert done.returncode == 0, done.stderr
    called = f"python {program}.py" if own else f"pin-lightning {program.replace('_', '-')}"
    assert f"{called} GROUP=OPTION --cfg job" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "pytorch_lightning", "torchio", "matplotlib"}
