"""Optimisers that end a job of a sweep in ways that a real one would not."""

import os
import signal

import torch


def killed(*args, **kwargs):
    """As the system does with a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def counted(*args, **kwargs):
    """Says with how many threads the job would train."""
    raise ValueError(f"threads={torch.get_num_threads()}")
