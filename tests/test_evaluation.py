import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from pin_lightning.evaluation import (
    CSV_COLUMNS,
    Evaluation,
    error_table,
    markdown_table,
    metrics_of,
    read_predictions,
    write_json,
    write_predictions,
)


@pytest.fixture
def small():
    """Two cases, two landmarks, one undefined: errors 3, 5 and 4 mm; mean shape 1, 10 and 2 mm."""
    truth = np.array([[[0.0, 0, 0], [10, 0, 0]], [[0, 0, 0], [np.nan] * 3]])
    predicted = np.array([[[3.0, 0, 0], [10, 3, 4]], [[0, 0, -4], [7, 7, 7]]])
    mean_shape = np.array([[[0.0, 1, 0], [0, 0, 0]], [[2, 0, 0], [1, 1, 1]]])
    return Evaluation(
        cases=("a", "b"),
        names=("tip", "base"),
        truth_world=truth,
        defined=np.isfinite(truth).all(axis=-1),
        predicted_world=predicted,
        mean_shape_world=mean_shape,
        spread_mm=np.array([[0.1, 0.2], [0.3, 0.4]]),
        seconds=np.array([0.5, 1.5]),
    )


def random_evaluation(seed, num_cases=7, num_landmarks=5):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 50, (num_cases, num_landmarks, 3))
    defined = rng.random((num_cases, num_landmarks)) < 0.8
    return Evaluation(
        cases=tuple(f"case, {index}" for index in range(num_cases)),
        names=tuple(f'mark "{index}"' for index in range(num_landmarks)),
        truth_world=np.where(defined[..., None], truth, np.nan),
        defined=defined,
        predicted_world=truth + rng.normal(0, 3, truth.shape),
        mean_shape_world=rng.normal(0, 50, truth.shape),
        spread_mm=rng.random(defined.shape),
        seconds=rng.random(num_cases),
    )


def printed(table, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_metrics_by_hand(small):
    assert metrics_of(small) == {
        "num_cases": 2,
        "radial_error_mm": {"mean": 4.0, "sd": 1.0, "median": 4.0, "p95": pytest.approx(4.9)},
        "mean_shape_radial_error_mm": {
            "mean": pytest.approx(13 / 3),
            "sd": pytest.approx((73 / 3) ** 0.5),
            "median": 2.0,
        },
        "success_rate": {
            "within_0.5_mm": 0.0,
            "within_1_mm": 0.0,
            "within_2_mm": 0.0,
            "within_4_mm": pytest.approx(2 / 3),
            "within_8_mm": 1.0,
        },
        "per_landmark": {
            "tip": {
                "n": 2,
                "mean": 3.5,
                "sd": pytest.approx(0.5**0.5),
                "median": 3.5,
                "mean_shape_mean": 1.5,
            },
            "base": {"n": 1, "mean": 5.0, "sd": 0.0, "median": 5.0, "mean_shape_mean": 10.0},
        },
        "per_case": {"a": 4.0, "b": 4.0},
        "seconds_per_volume": 1.0,
    }


def test_metrics_without_any_truth_are_none_and_fit_json(small):
    metrics = metrics_of(replace(small, defined=np.zeros((2, 2), dtype=bool)))
    assert metrics["radial_error_mm"] == {"mean": None, "sd": None, "median": None, "p95": None}
    assert metrics["per_landmark"]["tip"]["n"] == 0
    assert metrics["per_case"] == {"a": None, "b": None}
    assert set(metrics["success_rate"].values()) == {None}
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cases": ("a", "a")}, "each only once"),
        ({"cases": (), "seconds": np.zeros(0)}, "at least one"),
        ({"names": ("tip", "tip")}, "each only once"),
        ({"predicted_world": np.full((2, 2, 3), np.nan)}, "tip of a is not finite"),
        ({"defined": np.ones((2, 2), dtype=bool)}, "base of b is not finite"),
    ],
)
def test_bad_evaluation_is_refused(small, change, message):
    bad = {name: getattr(small, name) for name in small.__dataclass_fields__} | change
    if change.get("cases") == ():
        bad |= {name: value[:0] for name, value in bad.items() if isinstance(value, np.ndarray)}
    with pytest.raises(ValueError, match=message):
        Evaluation(**bad)


def test_wrong_shape_or_precision_is_refused(small):
    # object.__new__: the annotation checks of the constructor would speak first.
    for name, value, message in [
        ("seconds", np.zeros(3), r"seconds: is float64 \(3,\), give float64 \(2,\)"),
        ("spread_mm", np.zeros((2, 2), np.float32), r"spread_mm: is float32"),
        ("defined", np.zeros((2, 2)), r"defined: is float64 \(2, 2\), give bool"),
    ]:
        bad = object.__new__(Evaluation)
        bad.__dict__.update(vars(small) | {name: value})
        with pytest.raises(ValueError, match=message):
            bad.__post_init__()


@pytest.mark.parametrize("seed", range(5))
def test_metrics_survive_the_file_exactly(tmp_path, seed):
    written = {"validation": random_evaluation(seed), "test": random_evaluation(seed + 100, 2, 3)}
    write_predictions(tmp_path / "new" / "predictions.csv", written)
    read = read_predictions(tmp_path / "new" / "predictions.csv")
    assert list(read) == ["validation", "test"]
    for split, evaluation in written.items():
        assert metrics_of(read[split]) == metrics_of(evaluation)
        assert (read[split].cases, read[split].names) == (evaluation.cases, evaluation.names)
        np.testing.assert_array_equal(read[split].spread_mm, evaluation.spread_mm)
        np.testing.assert_array_equal(read[split].truth_world, evaluation.truth_world)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["predictions.csv"]


def test_file_cells_by_hand(tmp_path, small):
    write_predictions(tmp_path / "p.csv", {"test": small})
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(CSV_COLUMNS)
    assert ",".join(rows[0]) == (
        "split,case,landmark,x,y,z,true_x,true_y,true_z,radial_error_mm,"
        "mean_shape_x,mean_shape_y,mean_shape_z,mean_shape_error_mm,spread_mm,seconds"
    )
    base_of_a = "test a base 10.0 3.0 4.0 10.0 0.0 0.0 5.0 0.0 0.0 0.0 10.0 0.2 0.5"
    assert rows[2] == base_of_a.split()
    assert rows[4] == [
        *["test", "b", "base", "7.0", "7.0", "7.0"],
        *[""] * 4,
        *["1.0"] * 3,
        "",
        "0.4",
        "1.5",
    ]


def test_number_at_an_undefined_landmark_stays_out_of_the_file(tmp_path, small):
    hidden = replace(small, truth_world=np.nan_to_num(small.truth_world, nan=7.0))
    write_predictions(tmp_path / "p.csv", {"test": hidden})
    assert not read_predictions(tmp_path / "p.csv")["test"].defined[1, 1]


def test_damaged_files_are_refused(tmp_path, small):
    path = tmp_path / "p.csv"
    write_predictions(path, {"test": small})
    whole = path.read_text()
    for old, new, message in [
        ("true_x", "tru_x", "p.csv: lacks the column true_x"),
        ("7.0", "seven", "p.csv: could not convert string to float: 'seven'"),
        ("b,base", "b,bottom", "p.csv: case b has other landmarks than a"),
        ("test,b,tip,0.0", "test,b,tip,", "p.csv: predicted_world: tip of b is not finite"),
    ]:
        assert old in whole
        path.write_text(whole.replace(old, new))
        with pytest.raises(ValueError, match=message):
            read_predictions(path)


def test_json_is_whole_or_absent(tmp_path):
    path = tmp_path / "sub" / "m.json"
    write_json(path, {"größe": (1, None)})
    assert json.loads(path.read_text(encoding="utf-8")) == {"größe": [1, None]}
    with pytest.raises(ValueError, match=r"m\.json: JSON knows no NaN"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"größe": [1, None]}
    assert [file.name for file in path.parent.iterdir()] == ["m.json"]


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "m.json"
    write_json(path, 1)
    with pytest.raises(UnicodeEncodeError):
        write_json(path, "\ud800")
    assert path.read_text() == "1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_table_shows_every_landmark_within_80_columns(small):
    names = ("[red]tip[/red]", "a landmark with a rather long name, as anatomists like them")
    text = printed(error_table(metrics_of(replace(small, names=names)), "test [x]"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "test [x] (radial error, mm)" in text
    assert "[red]tip[/red]" in text
    row = next(line for line in lines if "All landmarks" in line)
    assert row.replace("│", " ").split() == [
        "All",
        "landmarks",
        "3",
        "4.00",
        "1.00",
        "4.00",
        "4.33",
    ]


def test_markdown_by_hand(small):
    table = markdown_table(metrics_of(replace(small, names=("tip|x", "base"))))
    assert table == (
        "| Landmark | n | Mean | SD | Median | Mean shape |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| tip\\|x | 2 | 3.50 | 0.71 | 3.50 | 1.50 |\n"
        "| base | 1 | 5.00 | 0.00 | 5.00 | 10.00 |\n"
        "| All landmarks | 3 | 4.00 | 1.00 | 4.00 | 4.33 |\n"
    )


def test_undefined_landmark_is_a_dash(small):
    defined = np.array([[True, False], [True, False]])
    table = markdown_table(metrics_of(replace(small, defined=defined)))
    assert "| base | 0 | - | - | - | - |\n" in table
