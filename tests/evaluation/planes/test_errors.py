import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation
from rich.console import Console
from scipy.spatial.transform import Rotation

from pin_lightning.evaluation.planes.axes import LineFit
from pin_lightning.evaluation.planes.errors import plane_errors, plane_metrics, write_plane_errors
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.reports.terminal_tables import plane_table

NAMES = ("a", "b", "c", "d")
GROUP = PlaneGroup("P", NAMES, LineFit(("a", "b")))
OTHER = PlaneGroup("Q", ("a", "b", "e"), LineFit(("a", "b")))
SQUARE = np.array([[0.0, 0, 0], [4, 0, 0], [4, 2, 0], [0, 2, 0]])


@pytest.fixture
def turned():
    """Cases turned by 10 and 20 degrees about their x axis, the first also 3 mm along the normal.

    In the third the truth has only two of the landmarks.
    """
    truth = np.stack(3 * [SQUARE])
    truth[2, 2:] = np.nan
    centre = SQUARE.mean(axis=0)
    predicted = [
        Rotation.from_euler("x", degrees, degrees=True).apply(SQUARE - centre + [0, 0, up]) + centre
        for degrees, up in ((10, 3), (20, 0), (0, 0))
    ]
    return replace(
        random_evaluation(0, 3, 4),
        cases=("one", "two", "three"),
        names=NAMES,
        truth_world=truth,
        defined=np.isfinite(truth).all(axis=-1),
        predicted_world=np.stack(predicted),
    )


def test_metrics_by_hand_and_only_of_planes_with_all_landmarks(turned):
    (found,) = plane_metrics(turned, [GROUP, OTHER])["planes"].items()
    angle = {"mean": 15, "sd": 50**0.5, "median": 15, "p95": 19.5}
    offset = {"mean": 1.5, "sd": 4.5**0.5, "median": 1.5, "p95": 2.85}
    expected = {"n": 2, "angle_degrees": pytest.approx(angle), "offset_mm": pytest.approx(offset)}
    assert found == ("P", expected)
    assert plane_metrics(turned, [OTHER]) == plane_metrics(turned, []) == {}


def test_a_missing_landmark_is_no_error(turned):
    """Both planes are fitted to the landmarks that the truth has."""
    predicted = turned.truth_world.copy()
    predicted[2], predicted[0, 3] = SQUARE, [0, 2, 9]  # far off where nothing is known
    truth = turned.truth_world.copy()
    truth[0, 3] = np.nan
    defined = np.isfinite(truth).all(axis=-1)
    found = replace(turned, truth_world=truth, defined=defined, predicted_world=predicted)
    errors = plane_errors(found, GROUP)
    np.testing.assert_allclose(errors[:, 0], [0, 0, np.nan], atol=1e-9)


def test_without_any_plane_values_are_none_and_the_table_shows_dashes(turned):
    bare = replace(turned, defined=np.zeros((3, 4), dtype=bool))
    metrics = plane_metrics(bare, [GROUP])
    assert metrics["planes"]["P"]["n"] == 0
    assert set(metrics["planes"]["P"]["offset_mm"].values()) == {None}
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert printed(metrics).count(" - ") == 6


def printed(metrics):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(plane_table(metrics))
    return console.export_text()


def test_the_table_shows_degrees_before_mm(turned):
    text = printed(plane_metrics(turned, [GROUP]))
    (row,) = [line for line in text.splitlines() if line.startswith("│")]
    numbers = "P 2 15.00 7.07 15.00 1.50 2.12 1.50"
    assert " ".join(row.replace("│", " ").split()) == numbers
    assert max(map(len, text.splitlines())) <= 80


def test_csv_has_a_row_for_each_case_and_goes_with_its_planes(turned, tmp_path):
    path = tmp_path / "planes.csv"
    write_plane_errors(path, {"val": turned, "test": turned}, [GROUP, OTHER])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["split"], row["case"], row["plane"]) for row in rows] == [
        (split, case, "P") for split in ("val", "test") for case in ("one", "two", "three")
    ]
    assert float(rows[0]["angle_degrees"]) == plane_errors(turned, GROUP)[0, 0]
    assert rows[2]["angle_degrees"] == rows[2]["offset_mm"] == ""
    write_plane_errors(path, {"test": turned}, [OTHER])
    assert not path.exists()
