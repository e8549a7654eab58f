"""The programs in processes of their own, as a user starts them."""

import os
import subprocess
import sys

from conftest import REPOSITORY


def run(*command, cwd=REPOSITORY, timeout=300, **environment):
    """Run Python to its end, with other environment variables; None removes one."""
    wide = {"COLUMNS": "1000"}  # each row of a table in one line
    variables = {**os.environ, **wide, **environment}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
