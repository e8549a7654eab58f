import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from pin_lightning.distributed.process import EXIT_CODE

# Tells of each line, and then does what takes longer than any test.
CHILD = """
import multiprocessing, os, sys, time
from pin_lightning.distributed.parent import lines_of_parent
if __name__ == "__main__":
    lines = lines_of_parent(os.fdopen(os.dup(0), "rb"))
    worker = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    worker.start()
    print(os.getpid(), worker.pid, next(lines), next(lines), flush=True)
    time.sleep(600)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, sys.argv[1]], stdin=subprocess.PIPE)
child.stdin.write(b"one\\ntwo\\n")
child.stdin.flush()
child.wait()
"""


def is_running(pid):
    """Whether there is such a process that has not ended: nobody may have waited for it."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, encoding="utf-8"
        ).stdout
        return bool(state.strip()) and not state.startswith("Z")
    return False


@pytest.mark.slow
def test_a_process_and_its_own_end_when_the_one_that_started_it_is_killed(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    command = [sys.executable, "-c", PARENT, str(tmp_path / "child.py")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
    child, worker, *lines = parent.stdout.readline().split()
    assert lines == [r"b'one\n'", r"b'two\n'"]
    assert is_running(int(child))
    assert is_running(int(worker))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while is_running(int(child)) or is_running(int(worker)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_end_of_the_lines_ends_it_in_the_middle_of_its_work(tmp_path):
    lines = "lines_of_parent(os.fdopen(os.dup(0), 'rb'))"
    script = f"""
import os, time
from pin_lightning.distributed.parent import lines_of_parent
for line in {lines}:
    print(line, flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, input=b"one\ntwo\n", stdout=subprocess.PIPE, check=False)
    assert found.returncode == EXIT_CODE
