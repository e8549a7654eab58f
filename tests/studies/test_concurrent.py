import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pin_lightning.studies import concurrent as processes


class Threads(ThreadPoolExecutor):
    """Threads in the place of processes; notes how many calls it held each time it got one."""

    held: list[int]
    futures: list

    def __init__(self, at_once, *args, **settings):
        super().__init__(at_once)

    def submit(self, call, function, arguments, *others):
        self.futures.append(super().submit(function, *arguments))
        self.held.append(sum(not one.done() for one in self.futures))
        return self.futures[-1]


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setattr(processes, "ProcessPoolExecutor", Threads)
    Threads.held, Threads.futures = [], []


def test_each_call_is_made_and_no_more_at_once_than_asked_for(tmp_path):
    done = []
    processes.run_at_once(done.append, [(number,) for number in range(5)], 5 * [tmp_path], 2)
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert max(Threads.held) <= 2


def test_no_further_call_begins_once_the_program_is_asked_to_end(handlers, tmp_path):
    asked = threading.Event()

    def call(number):
        if number == 0:
            time.sleep(0.2)  # all that is to begin has begun
            os.kill(os.getpid(), signal.SIGTERM)
            asked.set()
        assert asked.wait(10)

    with pytest.raises(SystemExit) as end:
        processes.run_at_once(call, [(0,), (1,), (2,)], 3 * [tmp_path], 2)
    assert end.value.code == 143
    assert len(Threads.held) == 2


def test_what_a_call_raises_comes_out_and_the_rest_is_left(tmp_path):
    def fail(number):
        raise ValueError(f"fold{number}: is wrong")

    with pytest.raises(ValueError, match="is wrong"):
        processes.run_at_once(fail, [(number,) for number in range(5)], 5 * [tmp_path], 2)
    assert len(Threads.held) < 5
