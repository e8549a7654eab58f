import csv
import io

import numpy as np
import pytest
from studies.sweeps.test_rows import evaluation_of, job

from pin_lightning.common.tables import csv_text
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.studies.sweeps.published import ALL, published_of
from pin_lightning.studies.sweeps.rows import rows_of
from pin_lightning.studies.sweeps.table import cells_of, csv_rows, landmark_rows, table_rows

HIDDEN = ("n", "90 % interval", "Median", "95th percentile", "Difference from the reference")
HIDDEN += ("Seconds", "Published, s")
BOOTSTRAP = BootstrapSettings(resamples=200)
PAPER = {"multi": {"errors": {"a": [4.3, 2.2], ALL: [5.6, 3.1]}, "seconds": 0.44}}


@pytest.fixture
def rows():
    single = [[[1], [2], [3]], [[3], [4], [np.nan]]]
    pairs = zip(single, "ab", strict=True)
    jobs = [job(evaluation_of(one, name, seconds=0.1), "single") for one, name in pairs]
    multi = evaluation_of([[2, 5], [2, 5], [2, 5]], ["a", "b"], seconds=0.05)
    return rows_of([*jobs, job(multi, "multi")])


def test_cells_by_hand(rows):
    cells = cells_of(rows, "single", published_of(PAPER), BOOTSTRAP)
    found = {(cell.method, cell.landmark): cell for cell in cells}
    assert list(found) == [(m, at) for m in ("single", "multi") for at in ("a", "b", ALL)]
    whole = found["single", ALL]
    assert (whole.n, whole.mean, whole.median) == (5, 2.6, 3.0)
    assert whole.sd == pytest.approx(np.std([1, 2, 3, 3, 4], ddof=1))
    assert whole.p95 == pytest.approx(np.percentile([1, 2, 3, 3, 4], 95))
    assert whole.interval[0] < 2.6 < whole.interval[1]
    assert whole.difference is None
    assert whole.seconds == pytest.approx(0.2)
    assert found["single", "a"].seconds is None
    other = found["multi", ALL]
    # Paired: the landmark that single lacks in the last case does not count.
    assert other.difference[0] == pytest.approx(np.mean([1, 2, 0, 1, -1]))
    assert other.published == (5.6, 3.1)
    assert other.published_seconds == 0.44
    assert found["multi", "b"].published is None


def test_seeds_of_a_setting_and_how_they_differ():
    errors = [(0, [[1.0], [3.0]]), (1, [[2.0], [6.0]])]
    jobs = [job(evaluation_of(e, ["a"]), None, ["model.alpha=0", f"seed={s}"]) for s, e in errors]
    jobs.append(job(evaluation_of([[1.0], [1.0]], ["a"]), None, ["model.alpha=1", "seed=0"]))
    cells = cells_of(rows_of(jobs), None, {}, BOOTSTRAP)
    seeds = {cell.method: cell.jobs_sd for cell in cells if cell.landmark == ALL}
    assert seeds == {"model.alpha=0": (2, pytest.approx(2**0.5)), "model.alpha=1": None}
    header, body = table_rows(cells, 0.95)
    assert body[0][header.index("Jobs, SD of their means")] == "2, 1.41"
    written = list(csv.DictReader(io.StringIO(csv_text(csv_rows(cells)))))
    assert [row["jobs"] for row in written if row["landmark"] == ALL] == ["2", ""]


def test_tables_by_hand(rows):
    cells = cells_of(rows, "single", published_of(PAPER), BOOTSTRAP)
    header, body = table_rows(cells, 0.9, HIDDEN)
    assert header == ["Method", "Mean ± SD, mm", "Published, mm"]
    assert body == [["single", "2.60 ± 1.14", ""], ["multi", "3.50 ± 1.64", "5.60 ± 3.10"]]
    header, body = landmark_rows(cells)
    assert header == ["Landmark", "single", "multi", "multi, published"]
    assert body == [
        ["a", "2.00 ± 1.00", "2.00 ± 0.00", "4.30 ± 2.20"],
        ["b", "3.50 ± 0.71", "5.00 ± 0.00", ""],
        [ALL, "2.60 ± 1.14", "3.50 ± 1.64", "5.60 ± 3.10"],
    ]


def test_csv_holds_every_cell_and_columns_without_a_number_are_left_out(rows):
    cells = cells_of(rows, None, published_of(PAPER), BOOTSTRAP)
    lines = list(csv.DictReader(io.StringIO(csv_text(csv_rows(cells)))))
    assert len(lines) == 6
    assert lines[2] == {**lines[2], "method": "single", "landmark": ALL, "mean_mm": "2.6"}
    assert lines[5]["published_seconds"] == "0.44"
    assert lines[0]["published_mean_mm"] == lines[0]["difference_mm"] == ""
    header, _ = table_rows(cells_of(rows[:1], None, {}, BOOTSTRAP), 0.95)
    kept = ["Method", "n", "Mean ± SD, mm", "95 % interval", "Median", "95th percentile"]
    assert header == [*kept, "Seconds"]


def test_wrong_settings_are_refused(rows):
    with pytest.raises(ValueError, match=r"reference=PIN9: .*give one of single, multi"):
        cells_of(rows, "PIN9", {}, BOOTSTRAP)
    for bad in ({"PIN1": 3}, {"PIN1": {"seconds": 1}}, {"PIN1": {"errors": {"a": [1]}}}):
        with pytest.raises(ValueError, match=r"summary\.published="):
            published_of(bad)


def test_a_network_for_one_landmark_stands_beside_one_for_all():
    multi = evaluation_of([[2, 5], [4, 5]], ["a", "b"])
    jobs = [job(multi, "all"), job(evaluation_of([[1.0], [2.0]], ["b"]), "one")]
    alone = cells_of(rows_of(jobs[1:]), None, {}, BOOTSTRAP)
    assert landmark_rows(alone) == ([], [])  # the first table says it all
    header, body = landmark_rows(cells_of(rows_of(jobs), None, {}, BOOTSTRAP))
    assert header == ["Landmark", "all", "one"]
    assert body[:2] == [["a", "3.00 ± 1.41", ""], ["b", "5.00 ± 0.00", "1.50 ± 0.71"]]
