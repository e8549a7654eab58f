import errno
import os

import pytest

from pin_lightning.common.errors import failure, user_mistake


def system_error(number, *path):
    return OSError(number, os.strerror(number), *path)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (system_error(errno.ENOSPC, "a.csv"), "a.csv: No space left on device; free some space"),
        (system_error(errno.ENOSPC), "No space left on device; free some space and start again"),
        (system_error(errno.EROFS, "a"), "a: Read-only file system; give a folder that can be"),
        (system_error(errno.ENAMETOOLONG, "a"), "a: File name too long; give it a shorter name"),
        (system_error(errno.ENOENT, "a"), "[Errno 2] No such file or directory: 'a'"),
        (ValueError("two\n lines"), "two lines"),
    ],
)
def test_a_users_mistake_is_one_line_that_says_what_to_do(error, line):
    assert user_mistake(error).startswith(line)
    assert failure("scan.nii", error) == user_mistake(error)


def test_other_errors_are_no_mistake_but_a_failure_of_what_was_worked_on():
    assert user_mistake(RuntimeError("x")) is None
    assert failure("scan.nii", RuntimeError("two\n lines")) == "scan.nii: RuntimeError: two lines"
    assert failure("scan.nii", MemoryError()).startswith("scan.nii: too little memory; ")
