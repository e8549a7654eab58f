import gc
import json
import os
import platform
import signal
import sys

import pytest
from programs import run

from pin_lightning.distributed import process

FAULTS = """
import resource, torch
from pin_lightning.distributed.process import keep_freed_memory
kept = {keep} and keep_freed_memory()
def make(count):
    for _ in range(count):
        torch.ones(16_000_000)  # 64 MB, freed at once
make(20)
before = resource.getrusage(resource.RUSAGE_SELF)
make(20)
after = resource.getrusage(resource.RUSAGE_SELF)
print(kept, after.ru_minflt - before.ru_minflt, after.ru_maxrss - before.ru_maxrss)
"""

RETURNED = """
from pathlib import Path
import torch
from pin_lightning.distributed.process import keep_freed_memory, return_freed_memory
def resident_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1000
keep_freed_memory()
pieces = [torch.ones(250_000) for _ in range(800)]  # of 1 MB
last = torch.ones(250_000)
del pieces
kept = resident_mb()
print(return_freed_memory(), kept, resident_mb())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these options")
def test_memory_that_was_freed_is_used_again_and_does_not_grow():
    printed = [run("-c", FAULTS.format(keep=keep)).stdout.split() for keep in (True, False)]
    (kept, few, grown), (_, many, _) = printed
    assert kept == "True"
    assert int(few) < int(many) / 100
    assert int(grown) < 1000


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert process.keep_freed_memory() is False
    assert process.return_freed_memory() is False


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed")
def test_freed_memory_is_returned_when_asked():
    printed = run("-c", RETURNED).stdout.split()
    assert printed[0] == "True"
    kept, returned = map(int, printed[1:])
    assert kept > 600
    assert returned < kept - 600


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of a process is read with wait4")
def test_the_papers_72_volumes_train_within_3_gb(tmp_path):
    """Through train.py; at 324 x 207 x 279 voxels the volumes alone are 1.4 GB."""
    done = run("benchmarks/programs.py", "--steps=4", "--memory", "--output", tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "programs.json").read_text("utf-8"))["facts"]
    limited = {fact["what"]: fact["value"] for fact in facts if fact["target"].endswith("GB")}
    assert len(limited) == 1
    assert max(limited.values()) < 3.0


def test_imports_are_not_looked_through_for_garbage():
    before = gc.get_freeze_count()
    with pytest.raises(ImportError), process.importing():  # noqa: PT012
        assert not gc.isenabled()
        kept = [[] for _ in range(10)]
        raise ImportError
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(kept)
    assert not any(one is kept for one in gc.get_objects())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_ends_the_program_but_no_training_that_saves_itself(handlers, name):
    process.postpone_end(until_saved=True)
    os.kill(os.getpid(), getattr(signal, name))
    process.postpone_end(until_saved=False)
    with pytest.raises(SystemExit, match="143") as ended:
        os.kill(os.getpid(), getattr(signal, name))
    by_name = {"SIGINT": (130, "Ctrl-C")}
    assert process.asked_to_end(ended.value) == by_name.get(name, (143, "SIGTERM"))
    os.kill(os.getpid(), signal.SIGTERM)  # once is enough: it is ending
    # What a library makes of it is not the reason.
    assert process.asked_to_end(RuntimeError("no module")) is not None


def test_nobody_has_asked(handlers):
    assert process.asked_to_end(SystemExit(2)) is None
    assert process.asked_to_end(ValueError("x")) is None


SWALLOWS = """
import os, signal, time
from pin_lightning.distributed import process
process.SECONDS_TO_END = 0.5
process.end_on_signals()
if os.fork() == 0:  # a signal of a forked process is its own
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0)
os.wait()
time.sleep(1)
print("alive", flush=True)
while True:
    try:
        os.kill(os.getpid(), signal.{name})
        time.sleep(60)
    except BaseException:
        pass
"""


@pytest.mark.parametrize(("name", "said"), [("SIGTERM", "SIGTERM"), ("SIGINT", "Ctrl-C")])
def test_a_process_that_swallows_the_exception_ends_nevertheless(name, said):
    done = run("-c", SWALLOWS.format(name=name), timeout=60)
    assert (done.stdout, done.stderr) == ("alive\n", f"error: ended by {said}\n")
    assert done.returncode == {"SIGTERM": 143, "SIGINT": 130}[name]
