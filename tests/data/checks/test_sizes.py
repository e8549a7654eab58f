import numpy as np
import pytest
from head_shapes import CASES, POSES, heads, turned

from pin_lightning.data.checks.aligned_shapes import align
from pin_lightning.data.checks.sizes import size_factors, sizes


def found(shapes):
    return sizes(shapes, CASES[: len(shapes)], align(shapes))


def test_a_size_is_the_median_ratio_of_distances():
    """By hand: of three distances two are twice as long, and one is ten times as long."""
    reference = np.array([[[0, 0, 0], [1, 0, 0], [2, 0, 0.0]]])
    shape = np.array([[[0, 0, 0], [2, 0, 0], [12, 0, 0.0]]])  # 2, 12 (of 2), 10 (of 1)
    assert size_factors(shape, reference) == pytest.approx([6])
    reference[0, 2] = np.nan
    assert size_factors(shape, reference) == pytest.approx([2])
    assert np.isnan(size_factors(shape, np.zeros_like(reference))).all()


@pytest.mark.parametrize("posed", POSES.values(), ids=POSES)
@pytest.mark.parametrize("count", [3, 14])
@pytest.mark.parametrize("factor", [0.1, 10, 1000])
def test_landmarks_of_another_unit_are_an_error(factor, count, posed):
    shapes = heads(count, seed=3)
    shapes[1] *= factor
    (finding,) = found(posed(shapes))
    assert (finding.level, finding.case) == ("error", "case01")
    assert "times as far" in finding.message
    assert "is the unit mm?" in finding.message
    assert float(finding.message.split("lie ")[1].split(" times")[0]) == pytest.approx(
        factor, rel=0.1
    )


def test_of_two_cases_both_are_named():
    shapes = turned(heads(2))
    assert found(shapes) == []
    shapes[1] *= 10
    (finding,) = found(shapes)
    assert (finding.level, finding.case) == ("error", "")
    assert finding.message.startswith("landmarks of case00 and case01 differ ")


def test_an_unusual_size_is_a_warning_where_five_cases_are_alike():
    shapes = turned(heads())
    shapes[3] *= 1.5
    (finding,) = found(shapes)
    assert (finding.level, finding.case) == ("warning", "case03")
    assert found(shapes[:4]) == []


def test_cases_with_a_landmark_or_none_have_no_size():
    shapes = heads()
    shapes[0], shapes[1, 1:] = np.nan, np.nan
    assert found(shapes) == []
    assert found(heads(1)) == []
    assert found(np.zeros((4, 3, 3))) == []
