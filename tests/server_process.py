"""A server of annotations in a process of its own, as a user starts it."""

import http.client
import json
import os
import queue
import re
import subprocess
import sys
import threading
from contextlib import contextmanager

from conftest import REPOSITORY

SECONDS = 120


class Server:
    """A running server.

    Attributes:
        process: Its process.
        port: Its port.
        page: Address of the page as it printed it.
    """

    def __init__(self, process):
        self.process, self.lines = process, queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        said = []
        while not (found := re.search(r"open (http://\S+:(\d+)/\S*)", said[-1] if said else "")):
            said.append(self.lines.get(timeout=SECONDS))
            assert said[-1] is not None, "".join(said[:-1])
        self.page, self.port = found.group(1), int(found.group(2))

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def ask(self, method, path, body=None, connection=None, **headers):
        """Status, headers and content of an answer; the path is sent as it is."""
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        content = None if body is None else json.dumps(body)
        kind = {} if body is None else {"content-type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        own.request(method, path, content, {**kind, **named})
        answer = own.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        if connection is None:
            own.close()
        return found

    def json(self, method, path, body=None, **others):
        """Status and content of an answer."""
        status, _, content = self.ask(method, path, body, **others)
        return status, json.loads(content)


@contextmanager
def serving(*settings):
    """A server of these settings, killed at the end of the block if it still runs."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pin_lightning.serve", *map(str, settings)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        yield Server(process)
    finally:
        process.kill()
        process.wait()
