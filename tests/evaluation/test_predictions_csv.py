import csv
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_evaluation import random_evaluation, small_evaluation

from pin_lightning.evaluation.predictions_csv import read_predictions, write_predictions
from pin_lightning.evaluation.summary import metrics_of

SMALL = small_evaluation()


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


def test_file_cells_by_hand(tmp_path):
    write_predictions(tmp_path / "p.csv", {"test": SMALL})
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert ",".join(rows[0]) == (
        "split,case,landmark,x,y,z,true_x,true_y,true_z,radial_error_mm,"
        "mean_shape_x,mean_shape_y,mean_shape_z,mean_shape_error_mm,spread_mm,seconds,localise_seconds"
    )
    base_of_a = "test a base 10.0 3.0 4.0 10.0 0.0 0.0 5.0 0.0 0.0 0.0 10.0 0.2 0.5 0.25"
    assert rows[2] == base_of_a.split()
    assert ",".join(rows[4]) == "test,b,base,7.0,7.0,7.0,,,,,1.0,1.0,1.0,,0.4,1.5,0.5"


def test_number_at_an_undefined_landmark_stays_out_of_the_file(tmp_path):
    hidden = replace(SMALL, truth_world=np.nan_to_num(SMALL.truth_world, nan=7.0))
    write_predictions(tmp_path / "p.csv", {"test": hidden})
    assert not read_predictions(tmp_path / "p.csv")["test"].defined[1, 1]


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "p.csv"
    write_predictions(path, {"test": SMALL})
    whole = path.read_text("utf-8")
    for old, new, message in [
        ("true_x", "tru_x", "p.csv: line 1: lacks the column true_x"),
        ("7.0", "seven", "p.csv: line [0-9]+: [a-z_]+ is 'seven'"),
        ("b,base", "b,bottom", "p.csv: case b has other landmarks than a"),
        ("test,b,tip,0.0", "test,b,tip,", "p.csv: predicted_world: tip of b is not finite"),
    ]:
        assert old in whole
        path.write_text(whole.replace(old, new))
        with pytest.raises(ValueError, match=message):
            read_predictions(path)


def test_a_file_of_before_has_no_time_of_localising(tmp_path):
    path = tmp_path / "p.csv"
    write_predictions(path, {"test": SMALL})
    rows = [line.rsplit(",", 1)[0] for line in path.read_text("utf-8").splitlines()]
    path.write_text("\n".join(rows) + "\n")
    read = read_predictions(path)["test"]
    assert np.isnan(read.localise_seconds).all()
    np.testing.assert_array_equal(read.seconds, SMALL.seconds)
    assert metrics_of(read)["localise_seconds_per_volume"] is None
