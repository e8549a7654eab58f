"""The check before training, on phantoms with every kind of mistake put in."""

import io
import json
import shutil

import numpy as np
import pytest
from hydra.utils import instantiate
from matplotlib.image import imread
from rich.console import Console

from conftest import composed
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
from pin_lightning.data.survey import survey
from pin_lightning.reports.data_check import check, findings_table
from pin_lightning.training.run import train


@pytest.fixture
def root(phantom_root, tmp_path):
    shutil.copytree(phantom_root, tmp_path / "data")
    return tmp_path / "data"


def test_a_name_that_is_not_utf8_is_shown_with_its_bytes(root, tmp_path, capsys):
    for folder in ("images", "landmarks"):
        first = min((root / folder).iterdir())
        other = first.with_name(b"M\xfcller".decode("utf-8", "surrogateescape"))
        first.rename(other.with_name(other.name + "".join(first.suffixes)))
    assert run(root, tmp_path) == 0
    assert "M%FCller" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").is_file()


def run(root, tmp_path, *more):
    settings = [f"data.root={root}", f"data.cache_dir={tmp_path}/cache"]
    return check(composed(*settings, f"sheet={tmp_path}/sheet.png", *more, config_name="check"))


def surveyed(root, tmp_path):
    source = composed(f"data.root={root}", config_name="check").data.source
    return survey(instantiate(source), tmp_path / "cache")


def change(root, number, edit):
    """Rewrite the landmarks of a case: `edit` takes names and positions and gives both."""
    path = root / "landmarks" / f"head_{number:03d}.mrk.json"
    landmarks = read_landmarks(path)
    names, positions = edit(list(landmarks.names), landmarks.positions_world.copy())
    write_landmarks(path, LandmarkSet.of(names, positions))


def say_ras(root):
    path = root / "landmarks" / "head_003.mrk.json"
    content = json.loads(path.read_text("utf-8"))
    content["markups"][0]["coordinateSystem"] = "RAS"
    path.write_text(json.dumps(content))


def exchange(names, positions):
    swap = {"rightHead": "leftHead", "leftHead": "rightHead"}
    return [swap.get(name, name) for name in names], positions


def misspell(names, positions):
    return [name.replace("frontHead", "frontHaed") for name in names], positions


def pile_up(names, positions):
    positions[1] = positions[0]
    return names, positions


def throw_out(names, positions):
    positions[2] += 500
    return names, positions


def copy_image(root):
    shutil.copy(root / "images" / "head_000.nii.gz", root / "images" / "head_001.nii.gz")


def changed(number, edit):
    return lambda root: change(root, number, edit)


# Damaged files are in test_bad_input.py.
MISTAKES = {
    "ras-lps": (say_ras, "head_003", "negating x and y"),
    "left-right": (changed(4, exchange), "head_004", "rightHead and leftHead look swapped"),
    "misspelt": (changed(5, misspell), "head_005", "probably frontHead"),
    "coincident": (changed(6, pile_up), "head_006", "at the same place"),
    "outside": (changed(7, throw_out), "head_007", "outside the volume: backHead"),
    "same-image": (copy_image, "head_001", "is the same image as case head_000"),
}


def test_good_data_has_no_errors_and_a_contact_sheet(root, tmp_path, capsys):
    assert run(root, tmp_path) == 0
    said = capsys.readouterr().out
    assert "10 cases, voxels 54x35x47, spacing mm 3x3x3" in said
    assert "0 errors" in said
    assert imread(tmp_path / "sheet.png").std() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found_in_its_case_and_refused_by_training(mistake, root, tmp_path, capsys):
    make, case, words = MISTAKES[mistake]
    make(root)
    findings = surveyed(root, tmp_path).findings
    errors = [finding for finding in findings if finding.level == "error"]
    assert {finding.case for finding in errors} == {case}
    assert any(words in finding.message for finding in errors), [str(one) for one in errors]
    training = composed(f"data.root={root}", f"data.cache_dir={tmp_path}/cache")
    with pytest.raises(ValueError, match=r"the data has \d+ error") as refused:
        train(training, tmp_path / "run")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_all_mistakes_at_once_are_all_in_the_table(root, tmp_path):
    for make, _, _ in MISTAKES.values():
        make(root)
    text = io.StringIO()
    Console(file=text, width=250).print(findings_table(surveyed(root, tmp_path)))
    rows = text.getvalue().splitlines()
    for case in ("head_003", "head_005", "head_006", "head_007"):
        (row,) = [row for row in rows if row.startswith(f"│ {case}")]
        assert row.split("│")[-2].strip(), case


def test_only_the_landmarks_asked_for_are_compared(root, tmp_path):
    change(root, 4, exchange)
    assert run(root, tmp_path, "model.landmarks=[CSP,frontHead,backHead,centerHead]") == 0


def test_missing_landmarks_are_a_warning(root, tmp_path, capsys):
    def lose(names, positions):
        positions[0] = np.nan
        return names, positions

    change(root, 2, lose)
    assert run(root, tmp_path) == 0
    assert "1 of 10 cases lack some of 10 landmarks" in capsys.readouterr().out.replace("\n", " ")


def test_a_plane_of_unknown_landmarks_is_refused(root, tmp_path):
    with pytest.raises(ValueError, match=r"planes\.P: no case has CPS; did you mean CSP\?"):
        run(root, tmp_path, "+data.planes.P.landmarks=[CPS,backHead,frontHead]")
