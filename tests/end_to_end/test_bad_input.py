"""Every kind of bad input on disk, through the programs as a user runs them."""

import shutil

import pytest
from bad_files import BAD_IMAGES, BAD_LANDMARKS, LANDMARKS, NAMES, save
from matplotlib.image import imread
from programs import run

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
from pin_lightning.data.sources.folder import find_cases

pytestmark = pytest.mark.slow

BAD_CASES = BAD_IMAGES | BAD_LANDMARKS
MOVED = "head 3"


@pytest.fixture(scope="module")
def inferred(short_run, tmp_path_factory):
    """One `infer.py` over a folder of every bad kind and two good volumes."""
    folder = tmp_path_factory.mktemp("to predict") / "neue Köpfe"
    folder.mkdir()
    for kind, (suffix, write, _, _) in BAD_IMAGES.items():
        write(folder / f"{kind}{suffix}")
    for name in ("Köpfchen ß", "日本 head (1)"):
        save(folder / f"{name}.nii.gz")
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
    markups = {"Köpfchen ß.mrk.json", "日本 head (1).mrk.json"}
    assert {path.name for path in output.iterdir()} == {"landmarks.csv", "review.html", *markups}
    assert len(read_landmarks(output / "日本 head (1).mrk.json")) == 10
    assert f"2 of {2 + len(BAD_IMAGES)} volumes predicted" in done.stdout
    assert len(error_lines(done)) == len(BAD_IMAGES) + 1
    summary = error_lines(done)[-1]
    assert f"{len(BAD_IMAGES)} not predicted: " in summary
    assert set(summary.split("predicted: ")[1].split(", ")) == set(BAD_IMAGES)


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
