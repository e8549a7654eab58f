"""Volumes in an S3 bucket, of a server on this machine."""

import csv
import os
import tarfile

import pytest
import s3fs
from moto.server import ThreadedMotoServer
from programs import run

pytestmark = pytest.mark.slow

ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {**ACCOUNT, "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}"}
    server.stop()


@pytest.fixture
def bucket(server, phantom_root, tmp_path, monkeypatch):
    """Two images of the data set, one more in an archive, and one that is none."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    images = sorted((phantom_root / "images").iterdir())
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(images[2], "c.nii.gz")
    store = s3fs.S3FileSystem(endpoint_url=os.environ["FSSPEC_S3_ENDPOINT_URL"])
    store.mkdir("scans")
    store.put(str(images[0]), "scans/x/a.nii.gz")
    store.put(str(images[1]), "scans/y/b.nii.gz")
    store.put(str(tmp_path / "shard.tar"), "scans/shard.tar")
    store.pipe("scans/x/bad.nii.gz", b"no image")
    (tmp_path / "list").write_text("\n".join(map(str, images[:3])))
    yield store
    store.rm("scans", recursive=True)


def positions(folder):
    with (folder / "landmarks.csv").open(encoding="utf-8", newline="") as file:
        return [[row[axis] for axis in "xyz"] for row in csv.DictReader(file)]


def infer(short_run, given, output):
    settings = [f"run={short_run}", f"input={given}", f"output={output}", "device=cpu"]
    return run("infer.py", *settings, "batch_size=1")


def test_they_are_predicted_as_on_this_machine_and_only_once(bucket, short_run, tmp_path):
    here = infer(short_run, f"@{tmp_path}/list", tmp_path / "here")
    assert here.returncode == 0, here.stderr
    given = "[s3://scans/**/*.nii.gz,s3://scans/*.tar]"
    done = infer(short_run, given, tmp_path / "out")
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert "3 of 4 volumes predicted" in done.stdout
    assert "s3://scans/x/bad.nii.gz: cannot be read as an image" in done.stdout
    assert sorted(positions(tmp_path / "out")) == sorted(positions(tmp_path / "here"))
    names = {path.name for path in (tmp_path / "out").glob("*.mrk.json")}
    assert names == {"a.mrk.json", "b.mrk.json", "shard_c.mrk.json"}
    again = infer(short_run, given, tmp_path / "out")
    assert "3 volumes predicted before, 1 failed before, 0 to do" in again.stdout
    bucket.copy("scans/y/b.nii.gz", "scans/x/a.nii.gz")
    changed = infer(short_run, given, tmp_path / "out")
    assert "2 volumes predicted before, 1 failed before, 1 to do" in changed.stdout


def test_a_bucket_that_is_not_there_is_one_line(bucket, short_run, tmp_path):
    done = infer(short_run, "s3://none/*.nii.gz", tmp_path / "out")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: input=s3://none/*.nii.gz: ")
    assert not (tmp_path / "out").exists()
