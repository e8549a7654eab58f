"""The protocol's routes: what clients of any kind may send, and what they get."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_series
from fastapi.testclient import TestClient
from scipy.spatial.transform import Rotation

from pin_lightning.annotation.app import create_app
from pin_lightning.annotation.guard import MOST_BODY
from pin_lightning.annotation.learner import NoLearner
from pin_lightning.annotation.learning.proposer import RegistrationProposer
from pin_lightning.annotation.monai_label.labels import label_text, read_label
from pin_lightning.annotation.names import LandmarkNames
from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.annotation.points import Point
from pin_lightning.annotation.predicting_run import PredictingRun
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.volumes import Scans
from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.data.landmarks.files import read_landmarks
from pin_lightning.runs.doubts import Reviewed

NAMES = ("nose", "chin", "ear")
PREDICTED = np.array([[1.0, 2, 3], [4, 5, 6], [900, 0, 0]])
SIZE = (6, 5, 4)


class Learning(NoLearner):
    """Says that it trains, and keeps on what."""

    volumes = None
    state = "idle"

    def status(self):
        return {**super().status(), "state": self.state, "step": 3, "steps": 10, "message": "now"}

    def start(self, volumes):
        if not volumes:
            raise ValueError("training: nothing is done")
        self.volumes, self.state = volumes, "running"

    def cancel(self):
        self.state = "cancelled"


def affine():
    """Oblique and flipped."""
    turn = Rotation.from_euler("xyz", [10, -20, 35], degrees=True).as_matrix()
    return nib.affines.from_matvec(turn @ np.diag([-0.5, 0.75, 1.25]), [3, -2, 5])


def write_scans(folder):
    """``ANNA.nii.gz``, the DICOM series ``BERT``, and ``CARL.mgz``."""
    folder.mkdir()
    voxels = np.arange(np.prod(SIZE), dtype=np.int16).reshape(SIZE)
    nib.save(nib.Nifti1Image(voxels, affine()), folder / "ANNA.nii.gz")
    write_series(sitk.ReadImage(folder / "ANNA.nii.gz"), folder / "BERT")
    nib.save(nib.MGHImage(voxels, affine()), folder / "CARL.mgz")


def predicted(name):
    """A prediction without a radius whose last landmark lies outside."""
    spread, outside = np.full(3, 0.1), np.array([False, False, True])
    return Reviewed(name, f"{name}.nii.gz", PREDICTED, spread, None, outside)


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Three scans, of which two are predicted, and a run that is not there to predict the last."""
    monkeypatch.setattr("pin_lightning.annotation.monai_label.inferring.MOST_SECONDS", 20.0)
    write_scans(tmp_path / "scans")
    names = LandmarkNames(tmp_path / "own")
    names.set_by_run(NAMES)
    scans = Scans.find(f"{tmp_path}/scans/*")
    session = Session(scans, tmp_path / "own", names, "skulls")
    session.predictions.run = PredictingRun(tmp_path / "run", NAMES, {})
    session.predictions._known.update({name: predicted(name) for name in ("ANNA", "BERT")})
    session.learner = Learning()
    yield session
    session.close()


@pytest.fixture
def client(session):
    with TestClient(create_app(session), "http://127.0.0.1") as client:
        yield client


def keys(session):
    return {scan.name: key for key, scan in session.scans.items()}


def save(client, points, params=None, image="ANNA", tag="", name="x/../tmp.mrk.json"):
    label = {"label": (name, label_text(points).encode())}
    form = {"params": json.dumps(params or {})}
    where = {"image": image, "tag": tag}
    return client.put("/datastore/label", params=where, files=label, data=form)


ALL = {"nose": Point((1.5, 2.0, 3.0)), "chin": Point((4.0, 5.0, 6.0)), "ear": Point(missing=True)}


def test_what_is_said_suits_the_module_of_slicer(client):
    info = client.get("/info/").json()
    assert "config" not in info
    assert info["labels"] == []
    model = info["models"]["landmarks"]
    assert (model["type"], model["labels"], model["landmarks"]) == ("detection", [], list(NAMES))
    assert set(info["strategies"]) == {"doubt", "random", "diverse"}
    assert info["datastore"] == {"total": 3, "completed": 0, "label_tags": {"original": 2}}
    assert all(isinstance(one.get("config", {}), dict) for one in info["trainers"].values())


def test_a_label_is_saved_as_a_page_would(client, session, tmp_path):
    answer = save(client, ALL, {"client_id": "me", "label_info": []})
    assert answer.status_code == 200, answer.text
    key = keys(session)["ANNA"]
    assert answer.json() == {"image": key, "label": key, "version": 1, "state": "corrected"}
    saved = read_landmarks(tmp_path / "own" / "ANNA.mrk.json")
    assert saved.names == NAMES
    np.testing.assert_array_equal(saved.positions_world[:2], [[1.5, 2, 3], [4, 5, 6]])
    assert client.get("/info/").json()["datastore"]["completed"] == 1
    objects = client.get("/datastore/", params={"output": "all"}).json()["objects"]
    assert set(objects[key]["labels"]) == {"final", "original"}
    assert client.get("/datastore/?output=train").json() == [{"image": key, "label": key}]


def test_points_that_a_label_lacks_are_not_placed(client, session):
    assert save(client, {"nose": ALL["nose"]}, tag="draft").json()["state"] == "in_work"
    points = session.points(keys(session)["ANNA"])
    assert points == {"nose": ALL["nose"], "chin": Point(), "ear": Point()}


def test_nobody_saves_over_what_they_have_not_seen(client, session):
    key = keys(session)["ANNA"]
    assert save(client, ALL, {"client_id": "me"}).status_code == 200
    refused = save(client, ALL, {"client_id": "other"})
    assert refused.status_code == 409
    assert '"version": 1 to replace it' in refused.json()["detail"]
    client.post(
        "/infer/landmarks", params={"image": key}, data={"params": '{"client_id": "other"}'}
    )
    assert save(client, ALL, {"client_id": "other"}).json()["version"] == 2
    assert save(client, ALL, {"client_id": "me"}).status_code == 409
    assert save(client, ALL, {"client_id": "me", "version": 2}).json()["version"] == 3
    assert save(client, ALL, {"client_id": "me"}).json()["version"] == 4
    assert save(client, ALL, {"client_id": "me", "version": 1}).status_code == 409
    assert save(client, ALL, {"version": "4"}).status_code == 422


def test_of_clients_without_a_name_none_saves_over_what_another_has_saved(client, session):
    for _ in range(2):
        client.post("/infer/landmarks", params={"image": "ANNA"})
    assert save(client, ALL).status_code == 200
    refused = save(client, ALL)
    assert refused.status_code == 409
    assert '"version": 1' in refused.json()["detail"]
    assert save(client, ALL, {"version": 1}).json()["version"] == 2


def test_labels_are_got_as_point_lists(client, session):
    original = client.get("/datastore/label", params={"label": "ANNA", "tag": "original"})
    assert original.headers["content-disposition"].endswith("''ANNA.mrk.json")
    found = read_label("a.json", original.content)
    assert found == {"nose": Point((1.0, 2, 3)), "chin": Point((4.0, 5, 6)), "ear": ALL["ear"]}
    final = {"label": "ANNA", "tag": "final"}
    assert client.get("/datastore/label", params=final).status_code == 404
    assert client.head("/datastore/label", params={"image": "CARL"}).status_code == 404
    save(client, ALL)
    answer = client.get("/datastore/label", params=final)
    assert (read_label("a.json", answer.content), answer.headers["etag"]) == (ALL, '"1"')
    assert client.head("/datastore/label", params={"image": "ANNA"}).status_code == 200


def test_a_prediction_is_a_form_with_a_point_list(client, session):
    where, key = "/infer/landmarks", keys(session)["BERT"]
    answer = client.post(where, params={"image": "BERT", "output": "json"})
    assert answer.json() == {
        "image": key,
        "version": 0,
        "model": "landmarks",
        "landmarks": [
            {"name": "nose", "position": [1, 2, 3], "missing": False},
            {"name": "chin", "position": [4, 5, 6], "missing": False},
            {"name": "ear", "position": None, "missing": True},
        ],
    }
    label = client.post(where, params={"image": "BERT", "output": "image"})
    assert read_label("a.json", label.content)["nose"] == Point((1.0, 2.0, 3.0))
    form = client.post(where, params={"image": "BERT"})
    assert form.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(form.headers["content-length"]) == len(form.content)  # the client reads no chunks
    assert b'filename="BERT.mrk.json"' in form.content


def test_a_volume_that_cannot_be_predicted_is_said(client, session):
    session.predictions.problem = "run: is gone"
    answer = client.post("/infer/landmarks", params={"image": "CARL"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "run: is gone")
    assert client.post("/infer/other", params={"image": "ANNA"}).status_code == 404
    session.predictions.run = None
    assert client.post("/infer/landmarks", params={"image": "ANNA"}).status_code == 404


def test_a_volume_that_cannot_be_proposed_is_said(client, session):
    session.predictions.run, session.predictions.problem = None, ""
    session.proposer = RegistrationProposer()  # from what is done: nothing
    answer = client.post("/infer/landmarks", params={"image": "CARL"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("nothing could be proposed")


def test_the_next_image_is_one_that_is_not_done(client, session):
    seen = []
    for _ in range(3):
        sample = client.post("/activelearning/doubt", json={"client_id": "me"}).json()
        seen.append(sample["PatientID"])
        assert not any(str(session.folder.parent) in str(value) for value in sample.values())
        assert save(client, ALL, {"client_id": "me"}, sample["id"]).status_code == 200
    assert sorted(seen) == ["ANNA", "BERT", "CARL"]
    assert client.post("/activelearning/random").json() == {}
    assert client.post("/activelearning/first").status_code == 404


def test_images_lie_where_their_labels_do(client, session, tmp_path):
    """A file as it is; of a series or a format of FreeSurfer, NIfTI at the same place."""
    answer = client.get("/datastore/image", params={"image": "ANNA"})
    assert answer.content == (tmp_path / "scans" / "ANNA.nii.gz").read_bytes()
    assert answer.headers["content-disposition"].endswith("''ANNA.nii.gz")
    for name in ("BERT", "CARL"):
        answer = client.get("/datastore/image", params={"image": keys(session)[name]})
        path = tmp_path / "got.nii"
        path.write_bytes(answer.content)
        corner = nib.load(path).affine @ [0, 0, 0, 1]
        own = nib.load(path)
        np.testing.assert_allclose(own.get_qform(), own.get_sform(), atol=1e-5)
        itk = sitk.ReadImage(path)
        np.testing.assert_allclose(flip_lps_ras(np.array(itk.GetOrigin())), corner[:3], atol=1e-4)
        values = own.get_fdata()
        index = np.argwhere(values == 7)[0]
        expected = affine() @ [*np.argwhere(np.arange(120).reshape(SIZE) == 7)[0], 1]
        np.testing.assert_allclose((own.affine @ [*index, 1])[:3], expected[:3], atol=1e-3)
    assert client.head("/datastore/image", params={"image": "BERT"}).status_code == 200


def test_a_link_to_elsewhere_is_not_followed(client, session, tmp_path):
    secret = tmp_path / "secret.nii.gz"
    (tmp_path / "scans" / "ANNA.nii.gz").rename(secret)
    os.symlink(secret, tmp_path / "scans" / "ANNA.nii.gz")
    answer = client.get("/datastore/image", params={"image": "ANNA"})
    assert answer.status_code == 422
    assert "outside the input folder" in answer.json()["detail"]
    assert client.get("/datastore/image/info", params={"image": "ANNA"}).status_code == 422


PATHS = ["../own/ANNA", "/etc/passwd", "..%2F..%2Fetc%2Fpasswd", "ANNA.nii.gz", "", "\0", "a" * 900]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_of_a_client_is_used(client, path):
    for get in (
        client.get("/datastore/image", params={"image": path}),
        client.get("/datastore/label", params={"label": path, "tag": path}),
        client.get("/datastore/image/info", params={"image": path}),
        client.get(f"/session/{path.replace(chr(0), '%00')}" if path else "/session/none"),
        client.post("/infer/landmarks", params={"image": path}),
        save(client, ALL, image=path),
    ):
        assert get.status_code == 404, get.text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "a.nii.gz"}, 422),
        ({"tag": "../x"}, 422),
        ({"points": {**ALL, "nose-1": Point((1.0, 2.0, 3.0))}}, 422),
        ({"points": {"nose": Point((1e9, 0.0, 0.0))}}, 422),
        ({"points": {f"p{n}": Point() for n in range(2000)}}, 422),
    ],
)
def test_labels_that_cannot_be_used_leave_all_as_it_was(client, session, change, code):
    answer = save(client, **{"points": ALL, **change})
    assert answer.status_code == code, answer.text
    assert len(answer.json()["detail"].splitlines()) == 1
    assert not (session.folder / "ANNA.mrk.json").exists()


def test_damaged_params_are_refused(client):
    for params in ("[1]", "{", "1", "[" * 30000):
        answer = client.post("/infer/landmarks?image=ANNA", data={"params": params})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("params")


def test_large_images_are_taken_in_turn(client, session):
    """Their number is not bounded; what lies on the disk is."""
    image = nib.Nifti1Image(np.zeros((300, 200, 40), np.int16), np.eye(4)).to_bytes()
    assert len(image) > MOST_BODY
    send = lambda _: client.put("/session/", files={"files": ("a.nii", image)})  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    keys = {answer.json()["session_id"] for answer in answers}
    assert {path.name for path in (session.folder / PRIVATE / "uploads").iterdir()} == keys
    for key in keys:
        sent = client.get(f"/session/{key}", params={"image": True})
        assert sent.content == image
        assert client.delete(f"/session/{key}").json()["meta"] == {"size": len(image)}
        assert client.delete(f"/session/{key}").status_code == 404


def test_sessions_take_images_alone(client, session):
    for name, content in (("a.txt", b"text"), ("a.nii", b"text"), ("a.zip", b"PK")):
        answer = client.put("/session/", files={"files": (name, content)})
        assert answer.status_code == 422
    more = {"uncompress": True}
    answer = client.put("/session/", files={"files": ("a.nii", b"")}, params=more)
    assert answer.status_code == 422
    many = [("files", (f"{number}.dcm", b"")) for number in range(1001)]
    assert client.put("/session/", files=many).status_code == 400
    assert not list((session.folder / PRIVATE / "uploads").glob("*"))


def test_images_are_not_taken_into_the_folder(client, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for path in ("/datastore/?image=x", "/datastore/image?image=../x"):
        answer = client.put(path, files={"file": ("x.nii", b"")}, data={"params": "{}"})
        assert answer.status_code == 403
    assert sorted(tmp_path.rglob("*")) == before


def test_a_training_is_a_task(client, session):
    assert client.get("/train/").status_code == 404
    assert client.delete("/train/").json() is None
    assert client.post("/train/landmarks", json={}).status_code == 422
    save(client, ALL)
    task = client.post("/train/landmarks", json={"client_id": "me"}).json()
    assert (task["status"], task["details"][-1]) == ("RUNNING", "now")
    assert [volume.name for volume in session.learner.volumes] == ["ANNA"]
    assert client.post("/train/").status_code == 429
    assert client.get("/train/", params={"check_if_running": True}).status_code == 200
    stats = client.get("/info/").json()["train_stats"]["landmarks"]
    assert stats == {"epoch": 3, "total_epochs": 10}
    assert client.delete("/train/").json()["status"] == "STOPPED"
    assert client.get("/train/", params={"check_if_running": True}).status_code == 404
    assert client.get("/train/", params={"all": True}).json()[0]["status"] == "STOPPED"
    assert client.post("/train/other").status_code == 404


def test_a_login_gives_the_token(session):
    with TestClient(create_app(session, token="T" * 20), "http://127.0.0.1") as client:
        assert client.get("/info/").status_code == 401
        assert client.get("/auth/").json() == {"enabled": True}
        assert client.post("/auth/token", data={"password": "no"}).status_code == 401
        login = {"username": "me", "password": "T" * 20, "grant_type": "password"}
        said = client.post("/auth/token", data=login).json()
        headers = {"Authorization": f"{said['token_type']} {said['access_token']}"}
        assert client.get("/info/", headers=headers).status_code == 200
        assert client.get("/auth/token/valid", headers=headers).status_code == 200
        assert client.get("/auth/token/valid").status_code == 401
