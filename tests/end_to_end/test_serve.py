"""The server of annotations as a user starts it, killed and started again."""

import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from served_scans import write_balls
from server_process import SECONDS, serving

from pin_lightning.data.landmarks.files import read_landmarks

CLIENTS = 8


def settings_of(folder):
    scans = folder / "scans"
    if not scans.exists():
        write_balls(scans, CLIENTS)
    names = "landmarks=[nose,chin]"
    return f"input={scans}", f"output={folder / 'annotations'}", names, "port=0"


def keys_of(server):
    _, found = server.json("GET", "/api/volumes")
    return {one["name"]: one["id"] for one in found["volumes"]}


class Savers:
    """Clients that save so often a second, each a volume of its own and all one together."""

    def __init__(self, server, keys, each_second=1000):
        self.server, self.interval, self.ended = server, 1 / each_second, threading.Event()
        self.saved, self.conflicts, self.errors = {}, 0, []
        shared = keys[0]
        self.threads = [
            threading.Thread(target=self._work, args=(number, key, shared))
            for number, key in enumerate(keys)
        ]
        for one in self.threads:
            one.start()

    def join(self):
        for one in self.threads:
            one.join()

    def _work(self, number, own, shared):
        own_connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=SECONDS)
        step, due = 0, time.monotonic()
        try:
            while not self.ended.is_set():
                step += 1
                key = shared if step % 4 == 0 else own
                self._save(own_connection, key, number + step / 1000)
                due = max(due + self.interval, time.monotonic() - 1)  # at most a second behind
                time.sleep(max(0.0, due - time.monotonic()))
        except (OSError, http.client.HTTPException):
            pass  # the server was killed
        except Exception as error:
            self.errors.append(error)

    def _save(self, connection, key, x):
        version = self.saved.get(key, {0: None})
        body = {"landmarks": [{"name": "nose", "position": [x, 0.0, 0.0]}]}
        seen = max(version)
        status, answer = self.server.json(
            "PUT", f"/api/volumes/{key}", body, connection=connection, if_match=f'"{seen}"'
        )
        if status == 409:
            self.conflicts += 1
            self.saved.setdefault(key, {}).setdefault(answer["version"], None)
            return
        assert status == 200, answer
        assert answer["version"] == seen + 1
        self.saved.setdefault(key, {})[answer["version"]] = x


def check_all_saved(server, savers, folder):
    """Every version that was said to be saved was, and none that was not seen is there."""
    assert not savers.errors
    names = {key: name for name, key in keys_of(server).items()}
    for key, versions in savers.saved.items():
        _, volume = server.json("GET", f"/api/volumes/{key}")
        last = max(version for version, x in versions.items() if x is not None)
        assert volume["version"] in (last, last + 1)
        path = folder / "annotations" / f"{names[key]}.mrk.json"
        x = read_landmarks(path).positions_world[0, 0]
        assert volume["landmarks"][0]["position"][0] == x
        assert volume["version"] > last or x == versions[last]


@pytest.mark.slow
def test_killed_among_saves_nothing_is_lost_and_asked_to_end_it_ends(tmp_path):
    settings = settings_of(tmp_path)
    with serving(*settings) as server:
        keys = list(keys_of(server).values())
        savers = Savers(server, keys)
        while sum(map(len, list(savers.saved.values()))) < 100 and not savers.errors:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGKILL)
        savers.join()
    with serving(*settings) as server:
        check_all_saved(server, savers, tmp_path)
        # Paths as no client library would send them.
        for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/..", "//etc/passwd"):
            assert server.ask("GET", path)[0] == 404
        for path in ("/api/volumes/../../x", "/api/volumes/..%2f..%2fetc/image", "\\..\\x"):
            assert server.ask("GET", path)[0] in (400, 404)
        assert server.ask("GET", "/", host="evil.example")[0] == 421
        events = _listen(server)
        name, key = next(iter(keys_of(server).items()))
        path = tmp_path / "annotations" / f"{name}.mrk.json"
        path.write_text(path.read_text().replace('"defined"', '"missing"'))
        found = next(one for one in events if one.get("id") == key)
        assert found["state"] in ("corrected", "in_work")
        _, volume = server.json("GET", f"/api/volumes/{key}")
        assert volume["landmarks"][0]["missing"]
        assert volume["version"] == found["version"]
        server.process.send_signal(signal.SIGTERM)  # while a page listens
        assert server.process.wait(SECONDS) == 143


def _listen(server):
    """Events of kind ``volume``."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.readline().startswith(b"retry")

    def events():
        for line in answer:
            if line.startswith(b"event: volume"):
                yield json.loads(answer.readline().removeprefix(b"data: "))

    return events()


@pytest.mark.slow
def test_half_a_minute_of_saves_by_eight_clients_loses_nothing(tmp_path):
    with serving(*settings_of(tmp_path)) as server:
        # 272 a second together: 200 saves, and conflicts about the volume that all save.
        savers = Savers(server, list(keys_of(server).values()), each_second=34)
        time.sleep(30)
        savers.ended.set()
        savers.join()
        check_all_saved(server, savers, tmp_path)
        count = sum(x is not None for one in savers.saved.values() for x in one.values())
        print(f"{count / 30:.0f} saves and {savers.conflicts / 30:.0f} conflicts a second")
        assert savers.conflicts > 0  # all have saved one volume, too


def _children(process):
    """Processes that any thread of a process has started."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for one in found for child in one.read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes as Linux does")
def test_what_predicts_ends_with_a_server_that_was_killed(short_run, phantom_root, tmp_path):
    settings = (f"run={short_run}", f"input={phantom_root / 'images'}", "port=0", "device=cpu")
    with serving(*settings, f"output={tmp_path / 'annotations'}") as server:
        events = _listen(server)
        assert next(events)["state"] == "predicted"
        (child,) = _children(server.process.pid)
        server.process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while os.path.exists(f"/proc/{child}/exe"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
