"""Clients of `pin-lightning serve`: that of MONAI Label, and the module for 3D Slicer."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
from monai_client import called
from server_process import serving
from slicer_storage import correct_by_module, read_by_slicer

from pin_lightning.data.landmarks.files import read_landmarks

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-twenty-letters"


class Served(NamedTuple):
    """A server: its address, the folder of its volumes and that of what is saved."""

    address: str
    scans: Path
    annotations: Path


@pytest.fixture(scope="module")
def served(short_run, phantom_root, tmp_path_factory):
    scans = phantom_root / "images"
    annotations = tmp_path_factory.mktemp("served") / "annotations"
    settings = [f"run={short_run}", f"input={scans}", f"output={annotations}", f"token={TOKEN}"]
    with serving(*settings, "port=0") as server:
        yield Served(f"http://127.0.0.1:{server.port}", scans, annotations)
        server.process.terminate()
        assert server.process.wait(60) == 143


def call(served, *calls, **more):
    return called(served.address, *calls, token=TOKEN, folder=served.annotations.parent, **more)


def test_monai_labels_client_goes_through_all(served):
    info, sample = call(served, ("info", {}), ("next_sample", _next("random")))
    assert "config" not in info
    assert info["models"]["landmarks"]["type"] == "detection"
    key, name = sample["id"], sample["PatientID"]
    (inferred,) = call(served, ("infer", _infer(key)))
    file, params = inferred
    assert params["image"] == key
    (points,) = read_by_slicer(file["file"])  # Slicer shows what came
    assert [point["label"] for point in points] == info["models"]["landmarks"]["landmarks"]
    shown = {point["label"]: point["position"] for point in points}
    for one in params["landmarks"]:
        np.testing.assert_allclose(shown[one["name"]], one["position"])
    saved, again = call(served, ("save_label", _save(key, file)), ("save_label", _save(key, file)))
    assert (saved["version"], saved["state"], again["version"]) == (1, "accepted", 2)
    label = served.annotations / f"{name}.mrk.json"
    np.testing.assert_allclose(read_landmarks(label).positions_world, [*shown.values()])
    (other,) = call(served, ("save_label", _save(key, file)), client="other")
    assert "Status: 409" in other["raised"]
    (got,) = call(served, ("download_label", {"label_id": key, "tag": "final"}))
    assert json.loads(got["content"])["markups"][0]["type"] == "Fiducial"
    (datastore,) = call(served, ("datastore", {}))
    assert set(datastore["objects"][key]["labels"]) == {"final", "original"}


def test_monai_labels_client_trains(served):
    """The client understands what becomes of it, be it that training is not available."""
    calls = []
    for name in (f"head_{number:03}" for number in range(6)):
        file = {"file": str(served.annotations.parent / f"{name}.mrk.json")}
        calls += [("infer", _infer(name)), ("save_label", _save(name, file))]
    assert [one["state"] for one in call(served, *calls)[1::2]] == ["accepted"] * 6
    answers = call(
        served,
        ("train_start", {"model": "landmarks", "params": {}}),
        ("train_status", {"check_if_running": True}),
        ("train_stop", {}),
    )
    started, is_running, stopped = answers
    if "raised" in started:
        assert "Status: 422" in started["raised"]
        assert (is_running, stopped) == (False, None)
    else:
        assert (started["status"], is_running) == ("RUNNING", True)
        assert stopped["details"]


def test_monai_labels_client_sends_an_image(served, phantom_root):
    image = min((phantom_root / "images").iterdir())
    (session,) = call(served, ("create_session", {"image_in": str(image)}))
    key = session["session_id"]
    calls = [("get_session", {"session_id": key}), ("infer", {**_infer("x"), "session_id": key})]
    calls += [("remove_session", {"session_id": key})] * 2
    info, inferred, removed, gone = call(served, *calls)
    assert info["name"] == removed["name"] == image.name
    (by_volume,) = call(served, ("infer", _infer(image.name.removesuffix(".nii.gz"))))
    positions = [
        [one["position"] for one in each[1]["landmarks"]] for each in (inferred, by_volume)
    ]
    np.testing.assert_allclose(*positions, atol=1e-4)
    assert "Status: 404" in gone["raised"]
    calls = ("upload_image", {"image_in": str(image), "image_id": "new"})
    (refused,) = call(served, calls)
    assert "Status: 403" in refused["raised"]


def test_the_module_for_slicer_corrects_a_scan(served, tmp_path):
    call(served, ("infer", _infer("head_000")), ("infer", _infer("head_001")))
    found = correct_by_module(served.address, TOKEN, tmp_path, {"CSP": [1.5, -2.25, 3.125]})
    name, before = found["volume"]["name"], found["volume"]["landmarks"]
    assert (found["saved"]["state"], found["state"]) == ("corrected", "corrected")
    saved = read_landmarks(served.annotations / f"{name}.mrk.json")
    for one in before:
        expected = [1.5, -2.25, 3.125] if one["name"] == "CSP" else one["position"]
        row = saved.names.index(one["name"])
        np.testing.assert_allclose(saved.positions_world[row], expected, rtol=1e-15)
    assert found["now"]["version"] == found["saved"]["version"]
    assert found["now"]["seconds"] == 2.5
    own = nib.load(served.scans / f"{name}.nii.gz")
    np.testing.assert_array_equal(nib.load(found["file"]).dataobj, own.dataobj)


def test_nobody_comes_in_without_the_token(served):
    for path in ("/info/", "/datastore/image?image=head_000", "/session/x", "/auth/token/valid"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(served.address + path)


def _next(strategy):
    return {"strategy": strategy, "params": {}}


def _infer(key):
    return {"model": "landmarks", "image_id": key, "params": {}}


def _positions(inferred):
    return [one["position"] for one in inferred[1]["landmarks"]]


def _save(key, file):
    return {"image_id": key, "label_in": file["file"], "params": {"label_info": []}}
