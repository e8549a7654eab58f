"""Every kind of bad input on disk, through the programs as a user runs them."""

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from bad_files import BAD_IMAGES, BAD_LANDMARKS, LANDMARKS, NAMES, save
from matplotlib.image import imread
from started_at_once import run

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.sources.phantom import make_phantom

pytestmark = pytest.mark.slow

BAD_CASES = BAD_IMAGES | BAD_LANDMARKS
GOOD = {"Köpfchen ß": 0.0, "日本 head (1)": 20.0}  # volumes that differ in their angle only
MOVED = "head 3"
# Of a prediction as a whole.
OWN_FILES = ("landmarks.csv", "failed.csv", "review.html", "prediction.json", "records")


@pytest.fixture(scope="module")
def inferred(short_run, tmp_path_factory):
    """One `infer.py` over a folder of every bad kind and two good volumes."""
    folder = tmp_path_factory.mktemp("to predict") / "neue Köpfe"
    folder.mkdir()
    for kind, (suffix, write, _, _) in BAD_IMAGES.items():
        write(folder / f"{kind}{suffix}")
    for name, angle in GOOD.items():
        head = make_phantom(5, (54, 35, 47), (3.0, 3.0, 3.0), oblique_degrees=angle)
        nib.save(nib.Nifti1Image(head.volume, head.affine), folder / f"{name}.nii.gz")
    before = sorted(folder.iterdir())
    output = folder.parent / "vorhergesägt, all"
    done = run("infer.py", f"run={short_run}", f"input={folder}", f"output={output}")
    assert sorted(folder.iterdir()) == before
    return done, output, folder


def error_lines(done):
    return [line for line in done.stdout.splitlines() if "[ERROR]" in line]


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_infer_names_each_bad_image_once_and_writes_nothing_for_it(kind, inferred):
    suffix, _, said, remedy = BAD_IMAGES[kind]
    done, output, folder = inferred
    (line,) = [line for line in error_lines(done) if f"{folder / kind}{suffix}: " in line]
    assert said in line
    assert remedy in line
    assert not list(output.glob(f"*{kind}*"))


def test_infer_predicts_the_others_and_counts_the_bad(inferred):
    done, output, _ = inferred
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    markups = {f"{name}.mrk.json" for name in GOOD}
    assert {path.name for path in output.iterdir()} == {*OWN_FILES, *markups}
    assert f"2 of {2 + len(BAD_IMAGES)} volumes predicted" in done.stdout
    assert len(error_lines(done)) == len(BAD_IMAGES) + 1
    summary = error_lines(done)[-1]
    assert f"{len(BAD_IMAGES)} not predicted: " in summary
    assert set(summary.split("predicted: ")[1].split(", ")) == set(BAD_IMAGES)


def test_positions_are_the_same_in_the_table_in_markups_and_for_simpleitk(inferred):
    """SimpleITK, an independent reader of headers, takes them back to the same voxels."""
    _, output, folder = inferred
    with (output / "landmarks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["volume"] for row in rows] == [name for name in GOOD for _ in range(10)]
    voxels = []
    for name in GOOD:
        own = [row for row in rows if row["volume"] == name]
        markups = json.loads((output / f"{name}.mrk.json").read_text("utf-8"))["markups"][0]
        assert markups["coordinateSystem"] == "LPS"
        points = markups["controlPoints"]
        assert [row["landmark"] for row in own] == [point["label"] for point in points]
        lps = [point["position"] for point in points]
        ras = np.array([[float(row[axis]) for axis in "xyz"] for row in own])
        np.testing.assert_allclose(lps, ras * [-1, -1, 1], atol=1e-3)
        assert all(float(row["spread_mm"]) > 0 for row in own)
        image = sitk.ReadImage(str(folder / f"{name}.nii.gz"))
        voxels.append([image.TransformPhysicalPointToContinuousIndex(one) for one in lps])
    np.testing.assert_allclose(*voxels, atol=0.05)


@pytest.fixture(scope="module")
def data_set(phantom_root, tmp_path_factory):
    """A data set of every bad kind, and four good cases, one with a landmark that is elsewhere."""
    root = tmp_path_factory.mktemp("to check") / "Schädel sét"
    images, landmarks = root / "images", root / "landmarks"
    images.mkdir(parents=True)
    for index, case in enumerate(find_cases(phantom_root)[:4]):
        name = "Köpfchen ß 0" if index == 0 else f"head {index}"
        shutil.copy(case.image, images / f"{name}.nii.gz")
        positions = case.read().positions_world
        positions[0] += 500 * (name == MOVED)
        write_landmarks(landmarks / f"{name}.mrk.json", LandmarkSet.of(NAMES, positions))
    for kind, (suffix, write, _, _) in BAD_IMAGES.items():
        write(images / f"{kind}{suffix}")
        write_landmarks(landmarks / f"{kind}.mrk.json", LANDMARKS)
    for kind, (suffix, write, _, _) in BAD_LANDMARKS.items():
        save(images / f"{kind}.nii.gz")
        write(landmarks / f"{kind}{suffix}")
    return root


@pytest.fixture(scope="module")
def checked(data_set):
    """One `pin_lightning.check` over that data set."""
    sheet = data_set.parent / "Kontakt bögen" / "sheet.png"
    settings = [f"data.root={data_set}", f"data.cache_dir={data_set.parent}/cache"]
    return run("-m", "pin_lightning.check", *settings, f"sheet={sheet}"), sheet


@pytest.mark.parametrize("kind", BAD_CASES)
def test_check_says_what_is_wrong_with_each_bad_case(kind, checked, data_set):
    suffix, _, said, remedy = BAD_CASES[kind]
    folder = "images" if kind in BAD_IMAGES else "landmarks"
    (row,) = [row for row in checked[0].stdout.splitlines() if row.startswith(f"│ {kind} ")]
    assert f"{data_set / folder / kind}{suffix}: " in row
    assert said in row
    assert remedy in row


def test_check_goes_on_with_the_others_and_draws_them(checked):
    done, sheet = checked
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert f"{len(BAD_CASES) + 4} cases" in done.stdout
    (row,) = [row for row in done.stdout.splitlines() if row.startswith(f"│ {MOVED} ")]
    assert f"outside the volume: {NAMES[0]}" in row
    assert f"{len(BAD_CASES) + 1} errors" in done.stdout
    assert imread(sheet).std() > 0.1
    assert [path.name for path in sheet.parent.iterdir()] == ["sheet.png"]


def test_train_refuses_the_same_data_set(checked, data_set, tmp_path):
    settings = [f"data.root={data_set}", f"data.cache_dir={data_set.parent}/cache"]
    done = run("train.py", *settings, f"run_dir={tmp_path}/lauf é")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"the data has {len(BAD_CASES) + 1} errors" in line
    assert [path.name for path in (tmp_path / "lauf é").rglob("*")] == ["train.log"]
