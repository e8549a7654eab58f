import numpy as np
import pytest
from sklearn.decomposition import PCA

from pin_lightning.evaluation.planes.axes import LineFit, MeanToMean

POSITIONS = {
    "front": np.array([0.0, 0.0, 0.0]),
    "middle": np.array([3.0, 0.1, 0.0]),
    "back": np.array([6.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("seed", range(5))
def test_a_line_is_the_first_principal_axis(seed):
    points = np.random.default_rng(seed).normal(size=(6, 3)) * [9, 2, 1]
    names = tuple("abcdef")
    direction = LineFit(names).direction(dict(zip(names, points, strict=True)))
    assert abs(direction @ PCA(1).fit(points).components_[0]) == pytest.approx(1)
    assert direction @ (points[-1] - points[0]) >= 0
    backwards = LineFit(names[::-1]).direction(dict(zip(names, points, strict=True)))
    np.testing.assert_allclose(backwards, -direction)


def test_by_hand_and_without_what_is_missing():
    line, between = LineFit(tuple(POSITIONS)), MeanToMean(("front",), ("middle", "back"))
    assert between.names == ("front", "middle", "back")
    np.testing.assert_allclose(between.direction(POSITIONS), [4.5, 0.05, 0])
    known = {name: POSITIONS[name] for name in ("front", "back")}
    np.testing.assert_allclose(line.direction(known), [1, 0, 0])
    np.testing.assert_allclose(between.direction(known), [6, 0, 0])


def test_too_little_gives_no_direction():
    one = {"front": POSITIONS["front"]}
    same = {"front": POSITIONS["front"], "back": POSITIONS["front"]}
    for axis in (LineFit(("front", "back")), MeanToMean(("front",), ("back",))):
        assert axis.direction(one) is None
        assert axis.direction(same) is None
