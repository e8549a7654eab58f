import numpy as np
import pytest

from pin_lightning.evaluation.convergence import Convergence
from pin_lightning.evaluation.convergence_files import read_convergence, write_convergence

NAN = float("nan")


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "run" / "convergence.csv"
    one = Convergence(np.array([2.0, 1.5]), np.array([NAN, 0.25]), np.array([3.0, 0.12345]))
    other = Convergence(np.array([NAN]), np.array([NAN]), np.array([0.0]))
    write_convergence(path, {"val": {"a, b": other}, "test": {"a, b": one, "c": one}})
    assert path.read_text("utf-8").splitlines()[:4] == [
        "split,case,iteration,radial_error_mm,movement_mm,spread_mm",
        'val,"a, b",0,,,0.0000',
        'test,"a, b",0,2.0000,,3.0000',
        'test,"a, b",1,1.5000,0.2500,0.1235',
    ]
    again = read_convergence(path)
    assert [list(cases) for cases in again.values()] == [["a, b"], ["a, b", "c"]]
    for name in ("error_mm", "movement_mm", "spread_mm"):
        found = getattr(again["test"]["c"], name)
        np.testing.assert_allclose(found, getattr(one, name), atol=1e-4)
    assert [entry.name for entry in path.parent.iterdir()] == ["convergence.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("split,case\n", "lacks the column iteration"),
        ("split,case,iteration,radial_error_mm,movement_mm,spread_mm\nval,a,0,x,1,1\n", "'x'"),
        ("split,case,iteration,radial_error_mm,movement_mm,spread_mm\nval,a,0\n", "mend or"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, words):
    path = tmp_path / "convergence.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as refused:
        read_convergence(path)
    assert str(path) in str(refused.value)
