import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from fastapi.testclient import TestClient
from served_scans import NAMES, session_of, write_ball

from pin_lightning.annotation.app import create_app
from pin_lightning.annotation.learning.trainings import TrainingLearner
from pin_lightning.annotation.volumes import volume_id
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks

KEY = volume_id("ball0")
PATH = f"/api/volumes/{KEY}"


@pytest.fixture
def client(session):
    with TestClient(create_app(session), base_url="http://127.0.0.1") as made:
        yield made


def put(client, version, *landmarks, path=PATH, done=False, **others):
    body = {"landmarks": list(landmarks), "done": done, **others}
    return client.put(path, json=body, headers={"if-match": f'"{version}"'})


def near(session, key=KEY):
    """A position within the scan."""
    shape, affine = session.scans.header(session.scans[key])
    return (affine @ [*(np.array(shape) / 2), 1])[:3].tolist()


def test_from_the_list_to_a_saved_volume(client, session, tmp_path):
    known = client.get("/api/session").json()
    assert known["landmarks"] == list(NAMES)
    assert known["progress"] == {"done": 0, "total": 3, "minutes_left": None}
    volumes = client.get("/api/volumes").json()["volumes"]
    assert [one["state"] for one in volumes] == ["new"] * 3
    volume = client.get(PATH).json()
    assert [one["position"] for one in volume["landmarks"]] == [None] * 3
    place = near(session)
    answer = put(client, 0, {"name": "nose", "position": place}, seconds=4)
    assert answer.json() == {"version": 1, "state": "in_work"}
    others = [{"name": "chin", "missing": True}, {"name": "ear", "position": place}]
    assert put(client, 1, *others, done=True, seconds=2).json()["state"] == "corrected"
    landmarks = read_landmarks(tmp_path / "annotations" / "ball0.mrk.json")
    assert landmarks.names == NAMES
    np.testing.assert_allclose(landmarks.positions_world, [place, [np.nan] * 3, place])
    volume = client.get(PATH).json()
    assert (volume["version"], volume["done"], volume["seconds"]) == (2, True, 6)
    assert [one["missing"] for one in volume["landmarks"]] == [False, True, False]
    listed = client.get("/api/volumes").json()
    assert listed["volumes"][-1]["id"] == KEY  # what is done is last
    assert listed["volumes"][-1]["moved"] == 3
    assert listed["progress"] == {"done": 1, "total": 3, "minutes_left": 0.2}
    assert {client.get("/api/next").json()["id"] for _ in range(9)} < set(session.scans) - {KEY}


def test_a_conflict_is_answered_with_what_is_saved(client, session):
    place = near(session)
    put(client, 0, {"name": "nose", "position": place})
    answer = put(client, 0, {"name": "nose", "missing": True})
    assert answer.status_code == 409
    volume = client.get(PATH).json()
    assert {**answer.json(), "detail": ""} == {**volume, "detail": ""}
    assert volume["version"] == 1


@pytest.mark.parametrize(
    ("landmarks", "said"),
    [
        ([{"name": "tail", "position": [0, 0, 0]}], "tail"),
        ([{"name": "nose"}, {"name": "nose"}], "twice"),
        ([{"name": "nose", "position": [0, 0, 0], "missing": True}], "placed and missing"),
        ([{"name": "nose", "position": [0, 0, 1e5]}], "from the scan's centre"),
        ([{"name": "nose", "position": [0, 0]}], "position"),
        ([{"name": "nose", "position": [0, 0, "x"]}], "position"),
        ([{"name": "nose", "position": [0, 0, 10**400]}], "position"),
        ([{"name": "x" * 1000}], "name"),
        ([{"name": "nose"}] * 5000, "landmarks"),
        ("nose", "landmarks"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(client, session, landmarks, said):
    body = json.dumps({"landmarks": landmarks})
    headers = {"if-match": '"0"', "content-type": "application/json"}
    answer = client.put(PATH, content=body, headers=headers)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    assert session.store.read(KEY).version == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client, number):
    headers = {"if-match": '"0"', "content-type": "application/json"}
    body = f'{{"landmarks": [{{"name": "nose", "position": [0, 0, {number}]}}]}}'
    assert client.put(PATH, content=body, headers=headers).status_code == 422
    body = f'{{"landmarks": [], "seconds": {number}}}'
    assert client.put(PATH, content=body, headers=headers).status_code == 422
    assert client.get(f"{PATH}/detail?x={number}&y=0&z=0&side_mm=5").status_code == 422


@pytest.mark.parametrize(
    ("version", "code"),
    [(None, 428), ("", 422), ("*", 422), ("one", 422), ('"1"', 409), ("0", 200)],
)
def test_a_version_is_asked_for(client, version, code):
    headers = {} if version is None else {"if-match": version}
    assert client.put(PATH, json={"landmarks": []}, headers=headers).status_code == code


@pytest.mark.parametrize(
    "key",
    [
        "0" * 16,
        "..",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "..%5c..%5cetc",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "ball0",
        "ball0.nii.gz",
        "a" * 5000,
        "%00",
        f"{KEY}%00",
        f"{KEY.upper()}",
    ],
)
def test_nothing_of_a_path_is_taken_from_a_client(client, key, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for path in (f"/api/volumes/{key}", f"/api/volumes/{key}/image"):
        assert client.get(path).status_code == 404
    answer = put(client, 0, path=f"/api/volumes/{key}")
    assert answer.status_code in (404, 405)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "/etc/passwd",
        "..%5capp.py",
        "../../../setup.js",
    ],
)
def test_only_files_of_the_page_are_served(client, path):
    assert client.get(f"/static/{path}").status_code == 404


def test_the_page_and_its_files(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/static/index.html")
    unchanged = {"if-none-match": again.headers["etag"]}
    assert client.get("/static/index.html", headers=unchanged).status_code == 304
    assert client.get("/docs").status_code == 404  # its scripts would come from the network


def test_an_image_is_sent_once(client):
    answer = client.get(f"{PATH}/image", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    plain = client.get(f"{PATH}/image", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content  # the client has uncompressed it
    assert nib.Nifti1Image.from_bytes(plain.content).ndim == 3
    headers = {"if-none-match": answer.headers["etag"]}
    assert client.get(f"{PATH}/image", headers=headers).status_code == 304
    assert client.get(f"{PATH}/image?frame=anatomical").status_code == 404  # no pose was found
    assert client.get(f"{PATH}/image?frame=other").status_code == 422
    cube = client.get(f"{PATH}/detail?x=0&y=0&z=0&side_mm=8")
    assert nib.Nifti1Image.from_bytes(cube.content).shape == (9,) * 3


def test_a_volume_that_cannot_be_read_is_in_the_list_with_its_reason(tmp_path):
    scans = tmp_path / "scans"
    write_ball(scans / "other.nii.gz")
    (scans / "damaged.nii.gz").write_bytes(gzip.compress(b"no image"))
    session = session_of(scans, tmp_path / "annotations")
    with TestClient(create_app(session), base_url="http://127.0.0.1") as client:
        volume = client.get(f"/api/volumes/{volume_id('damaged')}").json()
        assert volume["reason"].startswith("damaged.nii.gz: ")
        assert str(tmp_path) not in volume["reason"]
        assert volume["window"] is None
        answer = client.get(f"/api/volumes/{volume_id('damaged')}/image")
        assert answer.status_code == 422
        assert str(tmp_path) not in answer.json()["detail"]
    session.close()


def test_names_are_given_before_anything_is_annotated(scans, tmp_path):
    session = session_of(scans, tmp_path / "annotations", names=())
    template = tmp_path / "template.mrk.json"
    write_landmarks(template, read_landmarks(_any_landmarks(tmp_path)))
    with TestClient(create_app(session), base_url="http://127.0.0.1") as client:
        for names in ([], ["a", "a"], ["a\nb"], [" "], ["x" * 201], ["\ud800"]):
            content = json.dumps({"names": names})
            assert client.put("/api/session/landmarks", content=content).status_code == 422
        answer = client.put("/api/session/landmarks", json={"names": ["a ", "b"]})
        assert answer.json()["landmarks"] == ["a", "b"]
        files = {"file": ("../../etc/x.mrk.json", template.read_bytes())}
        answer = client.post("/api/session/template", files=files)
        assert answer.json()["landmarks"] == ["left", "right"]
        for name, content in (("a.exe", b""), ("a.mrk.json", b"{"), ("a.fcsv", b"\xff")):
            answer = client.post("/api/session/template", files={"file": (name, content)})
            assert answer.status_code == 422
            assert "/tmp" not in answer.json()["detail"]
        answer = client.post("/api/session/template", files={"file": ("my skull.fcsv", b"\xff")})
        assert answer.json()["detail"].startswith("my skull.fcsv: ")
        put(client, 0, {"name": "left", "missing": True})
        assert client.put("/api/session/landmarks", json={"names": ["c"]}).status_code == 422
    session.close()
    assert session_of(scans, tmp_path / "annotations", names=()).names == (
        "left",
        "right",
    )  # after a restart


def _any_landmarks(folder):
    path = folder / "any.csv"
    path.write_text("landmark,x,y,z,frame\nleft,1,2,3,RAS\nright,,,,RAS\n")
    return path


def test_who_looks_at_a_volume_is_known(client, session):
    body = {"tab": "one"}
    assert client.post(f"{PATH}/looking", json=body).json() == {"looking": ["one"]}
    assert client.get(PATH).json()["looking"] == ["one"]
    assert client.get("/api/next").json()["id"] != KEY
    gone = client.post(f"{PATH}/looking", json={**body, "closed": True})
    assert gone.json() == {"looking": []}


def test_what_is_not_there_is_said(client):
    assert client.post(f"{PATH}/predict").json() == {"detail": "there is no run that predicts"}
    assert client.post("/api/training").status_code == 422
    assert client.get("/api/training").json()["state"] == "idle"
    assert client.delete("/api/training").json()["state"] == "idle"
    assert client.get("/api/contradictions").json() == {"contradictions": []}


@pytest.mark.parametrize("path", ["/train", "/api/training"])
def test_a_training_of_too_few_volumes_is_refused(client, session, tmp_path, path):
    session.learner = TrainingLearner(tmp_path / "trainings")
    put(client, 0, *({"name": name, "position": near(session)} for name in NAMES), done=True)
    answer = client.post(path)
    said = "1 volume is done: training needs 5; finish 4 more"
    assert (answer.status_code, answer.json()["detail"]) == (422, said)
    assert not (tmp_path / "trainings").exists()
    assert client.get("/api/session").json()["fewest_to_train"] == 5


def test_a_full_disk_is_said_in_one_line(client, session, monkeypatch):
    from pin_lightning.annotation import on_disk

    def full(path, **others):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(on_disk, "whole_file", full)
    answer = put(client, 0, {"name": "nose", "missing": True})
    assert answer.status_code == 507
    assert answer.json()["detail"] == "cannot be saved: No space left on device"


def test_a_defect_is_no_traceback(session, monkeypatch):
    monkeypatch.setattr(session, "progress", lambda: 1 / 0)
    app = create_app(session)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.get("/api/session")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "a defect of the server; see its log"}
