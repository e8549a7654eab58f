import numpy as np
import pytest

from pin_lightning.annotation.points import (
    Point,
    changed_names,
    landmarks_of,
    points_of,
)
from pin_lightning.common.landmark_set import LandmarkSet

PREDICTED = {"a": (1.0, 2.0, 3.0), "b": (0.0, 0.0, 0.0)}  # "c" was predicted missing


@pytest.mark.parametrize(
    ("name", "point", "changed"),
    [
        ("a", Point((1.0, 2.0, 3.0)), False),
        ("a", Point((1.0 + 1e-12, 2.0, 3.0)), False),
        ("a", Point((1.0, 2.0, 3.1)), True),
        ("a", Point(missing=True), True),
        ("a", Point(), True),
        ("c", Point(missing=True), False),
        ("c", Point(), False),
        ("c", Point((5.0, 5.0, 5.0)), True),
    ],
)
def test_what_counts_as_a_change(name, point, changed):
    assert changed_names({name: point}, PREDICTED) == [name] * changed


def test_without_a_prediction_all_that_is_known_counts():
    points = {"a": Point((1.0, 1.0, 1.0)), "b": Point(missing=True), "c": Point()}
    assert changed_names(points, {}) == ["a", "b"]


def test_landmarks_and_back():
    points = {"a": Point((1.0, 1.0, 1.0)), "b": Point(missing=True), "c": Point()}
    landmarks = landmarks_of(points)
    assert landmarks.defined.tolist() == [True, False, False]
    assert points_of(landmarks, ["b"]) == points
    assert landmarks_of({}).names == LandmarkSet.of([], np.empty((0, 3))).names
