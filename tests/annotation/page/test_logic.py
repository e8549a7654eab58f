"""What the page does without a document, by node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
TESTS = sorted((Path(__file__).parent / "logic").glob("*.test.mjs"))


@pytest.mark.skipif(NODE is None, reason="no node; apt-get install nodejs")
def test_the_logic_of_the_page():
    command = [NODE, "--test", *map(str, TESTS)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stdout
