import os
import subprocess
import sys

import pytest
from programs import run

WRITES = """
import logging, sys
from pin_lightning.cli.streams import keep_writing
keep_writing()
logging.basicConfig(stream=sys.{stream}, level="INFO")
print("first", file=sys.{stream})
sys.stdin.read()  # until the reader has gone
for number in range(1000):
    logging.info("line %d", number)
    print("line", number, file=sys.{stream}, flush=True)
open(sys.argv[1], "w").close()
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_it_goes_on_when_its_reader_has_gone(stream, tmp_path):
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES.format(stream=stream), str(tmp_path / "done")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    reader = getattr(process, stream)
    assert reader.readline() == f"first{os.linesep}".encode()
    reader.close()
    process.stdin.close()
    assert process.wait(60) == 0
    assert getattr(process, other).read() == b""
    getattr(process, other).close()
    assert (tmp_path / "done").is_file()


@pytest.mark.parametrize(("encoding", "written"), [("ascii", r"K\xf6pfe"), ("utf-8", "Köpfe")])
def test_text_that_the_terminal_lacks_is_written_as_escapes(encoding, written):
    code = "from pin_lightning.cli.streams import keep_writing as k; k(); print('Köpfe\\udcff')"
    done = run("-c", code, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (0, f"{written}\\udcff\n")


def test_streams_that_somebody_replaced_stay(capsys):
    from pin_lightning.cli.streams import keep_writing

    before = (sys.stdout, sys.stderr)
    keep_writing()
    assert (sys.stdout, sys.stderr) == before
