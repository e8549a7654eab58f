import os
import signal

import pytest

from pin_lightning.distributed.termination import EXIT_CODE, end_on_sigterm, postpone_end


@pytest.fixture
def handlers():
    """Those of the process are there again after the test."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)}
    end_on_sigterm()
    yield
    postpone_end(until_saved=False)
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_ends_the_program_in_order(handlers, name):
    with pytest.raises(SystemExit) as end:
        os.kill(os.getpid(), getattr(signal, name))
    assert end.value.code == EXIT_CODE == 143


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_training_that_saves_itself_is_not_interrupted(handlers, name):
    postpone_end(until_saved=True)
    os.kill(os.getpid(), getattr(signal, name))
    postpone_end(until_saved=False)
    with pytest.raises(SystemExit):
        os.kill(os.getpid(), getattr(signal, name))
