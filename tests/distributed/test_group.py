import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.distributed import DistNetworkError, DistStoreError
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from pin_lightning.distributed import group
from pin_lightning.distributed.group import ends_together

SOURCE = "/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553"
LOST = RuntimeError(f"[{SOURCE}] Connection closed by peer [127.0.0.1]:50566")

LOST_BY_NCCL = """torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:2251
ncclRemoteError: A call failed possibly due to a network error
Last error:"""


def process(code):
    return subprocess.Popen([sys.executable, "-S", "-c", code])


SLEEP = "import time; time.sleep(60)"


@pytest.mark.parametrize("error", [LOST, RuntimeError("in words of another version")])
def test_another_process_that_has_failed_is_named_and_all_are_ended(error, monkeypatch):
    monkeypatch.setattr(group, "SECONDS_TO_END", 2.0)
    started = [process("raise SystemExit(0)"), process("raise SystemExit(3)"), process(SLEEP)]
    started[1].wait(60)
    with (
        pytest.raises(ValueError, match=r"^rank 2 ended with code 3: all processes are ended$"),
        ends_together(SimpleNamespace(procs=started)),
    ):
        raise error
    assert started[2].wait(10) == -9


@pytest.mark.parametrize("kind", [DistNetworkError, DistStoreError])
def test_a_store_that_is_gone_is_another_process_once_all_have_met(monkeypatch, kind):
    with pytest.raises(kind, match="port in use"), ends_together(None):
        raise kind("port in use")
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with pytest.raises(ValueError, match="another process has ended"), ends_together(None):
        raise kind("failed to recv, got 0 bytes")


def _talk_on():
    while True:
        torch.distributed.all_reduce(torch.ones(1))


def _left_alone(rank, meeting, folder):
    torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=2)
    torch.distributed.barrier()
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    with pytest.raises(ValueError, match="another process has ended"), ends_together(None):
        _talk_on()
    (folder / "said").touch()


def test_gloo_says_that_a_process_was_killed(tmp_path):
    context = multiprocessing.get_context("fork")
    given = (f"file://{tmp_path}/meet", tmp_path)
    both = [context.Process(target=_left_alone, args=(rank, *given)) for rank in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert (tmp_path / "said").exists()


def test_a_failure_of_its_own_ends_the_others_and_stays_what_it_is():
    waiting = process(SLEEP)
    with pytest.raises(KeyError, match="own"), ends_together(SimpleNamespace(procs=[waiting])):
        raise KeyError("own")
    assert waiting.wait(10) == -9


@pytest.mark.parametrize(("rank", "code"), [("0", 143), ("1", 0)])
def test_processes_that_were_asked_to_end_do_not_count_as_failed(monkeypatch, rank, code):
    monkeypatch.setenv("LOCAL_RANK", rank)
    with pytest.raises(SystemExit) as stop, ends_together(None):
        raise SystemExit(143)
    assert stop.value.code == code


def test_a_process_that_started_no_other_says_that_one_has_ended():
    with pytest.raises(ValueError, match="another process has ended"), ends_together(None):
        raise LOST
    with pytest.raises(RuntimeError, match="no memory"), ends_together(None):
        raise RuntimeError("no memory")


@pytest.mark.parametrize(
    ("rank", "last", "line"),
    [
        (0, "ValueError: loader.batch_size=0: give 1", "loader.batch_size=0: give 1"),
        (1, "FileNotFoundError: [Errno 2] a.nii", "rank 1: [Errno 2] a.nii"),
        (1, "KeyError: 'a defect'", None),
        (1, f"RuntimeError: {LOST}", "rank 1 has lost another process: all are ended"),
        (0, LOST_BY_NCCL, "rank 0 has lost another process: all are ended"),
    ],
)
def test_a_users_mistake_in_a_spawned_process_is_one_here(rank, last, line):
    error = ProcessRaisedException(f"\n-- Process {rank}:\nTraceback ...\n{last}\n", rank, 1)
    kind = ProcessRaisedException if line is None else ValueError
    with pytest.raises(kind) as raised, ends_together(None):
        raise pickle.loads(pickle.dumps(error))
    if line is not None:
        assert str(raised.value) == line


@pytest.mark.parametrize(
    ("code", "error"),
    [(143, SystemExit(143)), (-15, SystemExit(143)), (-9, ValueError("rank 1 ended with code -9"))],
)
def test_a_spawned_process_that_ends_without_an_error(code, error):
    with pytest.raises(type(error), match=str(error)), ends_together(None):
        raise ProcessExitedException("process 1 terminated", 1, 4711, code)


def test_only_the_first_process_speaks(monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.INFO)
    group.speak_if_first(logging.ERROR)
    assert root.level == logging.INFO
    monkeypatch.setenv("RANK", "1")
    group.speak_if_first(logging.ERROR)
    assert root.level == logging.ERROR


def test_numbers_that_were_not_started_are_refused(monkeypatch):
    def refuse(*numbers):
        raise ValueError("the product (2 * 1)\n does not match")

    environment = SimpleNamespace(validate_settings=refuse, creates_processes_externally=False)
    strategy = SimpleNamespace(cluster_environment=environment, num_processes=2)
    with pytest.raises(ValueError, match=r"^devices=2: the product \(2 \* 1\) does not match$"):
        group.check_environment("devices=2", strategy, 1)
    environment.validate_settings = lambda *numbers: None
    group.check_environment("devices=2", strategy, 1)
    with pytest.raises(ValueError, match="num_nodes=2: this process knows of no other node"):
        group.check_environment("num_nodes=2", strategy, 2)
    monkeypatch.setenv("NODE_RANK", "0")
    group.check_environment("num_nodes=2", strategy, 2)
