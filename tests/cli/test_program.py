import signal
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError

from pin_lightning.__main__ import PROGRAMS
from pin_lightning.cli import ending
from pin_lightning.cli.arguments import quote_arguments
from pin_lightning.cli.failures import Failure, read_failure, write_failure
from pin_lightning.cli.hydra_program import start
from pin_lightning.cli.tasks import one_line_errors
from pin_lightning.common.settings import refuse_missing


def program(error):
    @one_line_errors
    def run():
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("model.alpha=2: give\n  less"), "error: model.alpha=2: give less\n"),
        (PermissionError(13, "Permission denied", "/out"), "error: [Errno 13] Permission denied"),
        (ConfigKeyError("Key 'alpa' is not in struct"), "error: config: Key 'alpa'"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(capsys, error, line):
    with pytest.raises(SystemExit) as stop:
        program(error)()
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(line)
    assert printed.count("\n") == 1


LATE = """
import time
from pin_lightning.cli.program import in_order
class SlowToGo:
    def __del__(self, sleep=time.sleep):
        print("going", flush=True)
        sleep(1)
kept = SlowToGo()  # until Python takes down its modules
in_order(print)("done", flush=True)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_changes_nothing_once_all_is_done(name):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", LATE], **pipes)
    assert [process.stdout.readline() for _ in range(2)] == ["done\n", "going\n"]
    process.send_signal(getattr(signal, name))
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


IGNORED = """
import signal, time
from pin_lightning.cli.program import in_order
class Ending:
    def __del__(self):
        signal.raise_signal(signal.{name})
        time.sleep(0)
def main():
    Ending()  # what is raised in its destructor goes no further
    for _ in range(200):
        time.sleep(0.01)
in_order(main)()
"""


@pytest.mark.parametrize(
    ("name", "code", "said"), [("SIGINT", 130, "Ctrl-C"), ("SIGTERM", 143, "SIGTERM")]
)
def test_a_signal_in_a_destructor_ends_the_program_in_a_line(name, code, said):
    command = [sys.executable, "-c", IGNORED.format(name=name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, f"error: ended by {said}\n")


@pytest.mark.parametrize("error", [TypeError("a defect"), AssertionError("a defect")])
def test_a_defect_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        program(error)()
    wrapped = InstantiationException("Error in call to target 'x'")
    wrapped.__cause__ = error
    with pytest.raises(InstantiationException):
        program(wrapped)()


@pytest.fixture
def job(tmp_path, monkeypatch):
    """The folder of a job of a sweep that this process seems to run."""
    hydra = {"mode": RunMode.MULTIRUN, "runtime": {"output_dir": str(tmp_path / "3")}}
    known = OmegaConf.create({**hydra, "overrides": {"task": ["seed=1"]}})
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: known)
    return tmp_path / "3"


@pytest.mark.parametrize(
    ("error", "mistake"),
    [
        (ValueError("model.alpha=2"), "model.alpha=2"),
        (TypeError("a defect"), "TypeError: a defect"),
        (SystemExit(2), "ended with exit code 2"),
    ],
)
def test_a_job_of_a_sweep_fails_without_ending_the_sweep(job, error, mistake):
    assert program(error)() is None
    assert read_failure(job) == Failure(3, ("seed=1",), mistake)


def test_a_job_that_is_asked_to_end_ends_the_sweep_and_leaves_no_earlier_failure(job):
    write_failure(job, [], "of an earlier sweep")
    with pytest.raises(SystemExit) as stop:
        program(SystemExit(143))()
    assert stop.value.code == 143
    assert read_failure(job) is None


def test_what_a_sweeper_raises_is_one_line_after_the_sweep_is_closed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def main():
        ending.at_end.callback(print, "closed")
        raise ValueError("No trials are completed yet.")

    monkeypatch.setattr(hydra, "main", lambda **_: lambda _: main)
    with pytest.raises(SystemExit) as stop:
        start("train", pytest.fail)
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("closed\n", "error: No trials are completed yet.\n")


def test_programs_see_to_ctrl_c_before_they_import_what_takes_long():
    modules = [module for module, _ in PROGRAMS.values()]
    heavy = "print(*sys.modules.keys() & {'hydra', 'omegaconf', 'numpy', 'torch'})"
    code = f"import sys, {', '.join(modules)}; {heavy}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_missing_values_are_named_even_behind_an_interpolation():
    config = OmegaConf.create({"data": {"source": {"root": "${data.root}"}, "root": "???"}})
    with pytest.raises(ValueError, match=r"^data\.root: is not set; give data\.root=VALUE$"):
        refuse_missing(config)
    config.data.root = "here"
    refuse_missing(config)


VALUES = ["/data/köpfe", "a b/(1)", "it's = {odd}", "scans/**/*.nii.gz", "x=y", "日本/头", "plain"]


@pytest.mark.parametrize("value", VALUES)
def test_any_path_reaches_the_config_as_it_was_typed(value, tmp_path):
    (tmp_path / "config.yaml").write_text("path: null")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        config = compose("config", overrides=quote_arguments([f"path={value}"]))
    assert config.path == value


def test_what_exists_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("[old]", "a,b.nii"):
        assert quote_arguments([f"input={name}"]) == [f"input={name}"]
        Path(name).touch()
        assert quote_arguments([f"input={name}"]) == [f"input='{name}'"]


def test_what_hydra_understands_stays_as_it_is():
    arguments = ["-m", "a=0,1", "b=[1,2]", "+c={d: 1}", "~e", "f=null", "--cfg", "g='x y'"]
    assert quote_arguments(arguments) == arguments
    assert quote_arguments(["a=1", "-m", "b=0,1"]) == ["-m", "a=1", "b=0,1"]
