import csv
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation
from studies.comparison.test_paired import SETTINGS
from studies.comparison.test_runs import reordered, write_run_folder

from pin_lightning.common.tables import csv_text
from pin_lightning.compare import main
from pin_lightning.studies.comparison.paired import compare
from pin_lightning.studies.comparison.report import compare_runs, csv_rows


def better(evaluation):
    """The same cases, predicted at half the distance."""
    truth = np.where(evaluation.defined[..., None], evaluation.truth_world, 0)
    halved = (evaluation.predicted_world + truth) / 2
    return replace(evaluation, predicted_world=halved)


@pytest.fixture
def runs(tmp_path):
    evaluation = random_evaluation(0, num_cases=12)
    less = reordered(better(evaluation), evaluation.cases[1:], evaluation.names)
    return write_run_folder(tmp_path / "a", evaluation), write_run_folder(tmp_path / "b", less)


@pytest.mark.slow
def test_the_command_prints_and_writes(runs, tmp_path, capsys):
    output = tmp_path / "new" / "out"
    main([*map(str, runs), "--output", str(output), "--radii", "4", "2"])
    printed = capsys.readouterr().out
    assert f"A: {tmp_path.name}/a" in printed
    assert printed.index("Within 2 mm, %") < printed.index("Within 4 mm, %")
    assert "B is closer by 2." in printed
    assert "Left out: 1 case only in A (case, 0)." in printed
    written = sorted(path.name for path in output.iterdir())
    assert written == ["comparison.csv", "comparison.md", "comparison.png"]
    text = (output / "comparison.md").read_text("utf-8")
    assert str(tmp_path) not in text
    assert "B is closer by 2." in text
    assert "\n| Mean radial error, mm | " in text


def test_csv_holds_every_number_in_full(runs, tmp_path):
    comparison = compare_runs(*runs, output=tmp_path / "out")
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = {(row["what"], row["name"]): row for row in csv.DictReader(file)}
    assert len(rows) == 3 + 5 + 5
    mean = rows["all", "mean"]
    assert float(mean["difference"]) == comparison.numbers["mean"].difference
    assert [float(mean[end]) for end in ("low", "high")] == comparison.numbers["mean"].interval
    for name, one in comparison.landmarks.items():
        row = rows["landmark", name]
        assert (float(row["a"]), float(row["b"]), int(row["n"])) == (one.a, one.b, one.n)
        assert row["told_apart"] == str(one.told_apart)


def test_csv_cells_are_empty_where_there_is_no_number():
    one_case = compare(np.array([[1.0]]), np.array([[2.5]]), ["tip"], [2.0], SETTINGS)
    lines = csv_text(csv_rows(one_case)).splitlines()
    assert lines[1] == "all,mean,1,1.0,2.5,1.5,,,,,False"
    assert lines[-1] == "landmark,tip,1,1.0,2.5,1.5,,,,,False"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{a}", "no/such/run"], "no/such/run: has no predictions.csv"),
        (["{a}", "{b}", "--split", "val"], "has no split val; give one of test"),
        (["{a}", "{b}", "--radii", "-1"], "radius_mm=-1.0: is not a radius"),
        (["{a}", "{b}", "--output", "{a}/run.json"], "--output="),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(runs, arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([one.format(a=runs[0], b=runs[1]) for one in arguments])
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert words in printed.err
    assert (printed.err.count("\n"), printed.out) == (1, "")
