"""From nothing to a model: proposals, a training, and predictions by it, through the routes."""

import time

import pytest
from fastapi.testclient import TestClient
from phantom_scans import TINY, write_places_of_a_head
from served_scans import session_of

from pin_lightning.annotation.app import create_app
from pin_lightning.annotation.learning.connect import connect
from pin_lightning.annotation.volumes import volume_id

pytestmark = pytest.mark.slow
SETTINGS = {"device": "cpu", "num_starts": 2, "trust_run": False}


def wait_for(ask, is_done, seconds=300):
    until = time.monotonic() + seconds
    while not is_done(answer := ask()):
        assert time.monotonic() < until, answer
        time.sleep(0.3)
    return answer


def annotate(client, name, marks, seconds=10.0):
    path = f"/api/volumes/{volume_id(name)}"
    rows = zip(marks.names, marks.positions_world.tolist(), strict=True)
    body = {"landmarks": [{"name": a, "position": b} for a, b in rows], "done": True}
    version = client.get(path).json()["version"]
    answer = client.put(
        path, json=body | {"seconds": seconds}, headers={"if-match": f'"{version}"'}
    )
    assert answer.status_code == 200, answer.text


def test_from_nothing_to_a_model_that_predicts_the_rest(tmp_path):
    (tmp_path / "scans").mkdir()
    heads = write_places_of_a_head(tmp_path / "scans", 7)
    names = heads["head 0"].names
    session = session_of(tmp_path / "scans", tmp_path / "annotations", names)
    session.start(connect(session, SETTINGS, TINY))
    with TestClient(create_app(session), base_url="http://127.0.0.1") as client:
        try:
            _from_nothing(client, session, heads)
        finally:
            session.close()
    again = session_of(tmp_path / "scans", tmp_path / "annotations", names)
    run = connect(again, SETTINGS, TINY)
    assert run is not None
    assert run.folder.parent.name == "001"
    assert again.learner.status()["state"] == "finished"
    again.close()


def _from_nothing(client, session, heads):
    advice = lambda: client.get("/api/session").json()["advice"]  # noqa: E731
    state = lambda name: client.get(f"/api/volumes/{volume_id(name)}").json()["state"]  # noqa: E731
    assert "by hand" in advice()
    assert client.post("/api/training").status_code in (409, 422)
    annotate(client, "head 0", heads["head 0"])
    assert "after 4 more" in advice()
    key = volume_id("head 1")
    assert client.post(f"/api/volumes/{key}/predict").status_code in (200, 202)
    wait_for(lambda: state("head 1"), lambda one: one == "predicted")
    proposed = client.get(f"/api/volumes/{key}").json()["landmarks"]
    assert all(one["position"] is not None for one in proposed)
    for strategy in ("doubt", "random", "diverse"):
        found = client.get("/api/next", params={"strategy": strategy}).json()["id"]
        assert found in {volume_id(name) for name in heads} - {volume_id("head 0")}
    for number in range(1, 5):
        annotate(client, f"head {number}", heads[f"head {number}"])
    assert state("head 1") == "corrected"
    assert "training pays now" in advice()
    assert client.post("/api/training").json()["state"] == "running"
    ask = lambda: client.get("/api/training").json()  # noqa: E731
    ended = wait_for(ask, lambda one: one["state"] != "running")
    assert ended["state"] == "finished", ended
    assert ended["result"]["moved_points"] > 0
    assert isinstance(client.get("/api/contradictions").json()["contradictions"], list)
    wait_for(lambda: [state("head 5"), state("head 6")], lambda one: one == ["predicted"] * 2)
    assert session.predictions.run.folder == session.learner.run()
    assert state("head 1") == "corrected"
