"""How the C library handles the memory that tensors leave behind."""

import ctypes
import platform

# Options of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep what tensors free for the next ones, instead of returning it to the system.

    By default every block above 32 MB is mapped anew, and the system clears each of its pages on
    first use: a fifth of a training step of the paper's size on the CPU. For programs that train or
    predict and then end; call it early.

    Returns:
        Whether it took effect; other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # One arena: threads that read volumes take what training has freed.
    options = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _ARENA_MAX: 1}
    return all(mallopt(option, value) for option, value in options.items())
