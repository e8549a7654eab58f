import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pin_lightning.data.checks.exchanged_names import exchanged, is_left_right

# Three pairs across the plane x = 0, two points on it; 1 is not far from 0.
PLACES = np.array(
    [[-30, 0, 0], [30, 0, 0], [-20, 40, 5], [20, 40, 5], [-9, 20, 30], [9, 20, 30], [0, 60, 0.0]]
)
LEFT_RIGHT = [[0, 1], [2, 3], [4, 5]]


def order_of(*cycles):
    """Which place each landmark stands at."""
    order = list(range(len(PLACES)))
    for cycle in cycles:
        for point, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            order[point] = following
    return order


CYCLES = [[], [[0, 3]], [[1, 2, 6]], [[0, 4], [1, 5, 3]], LEFT_RIGHT]


@pytest.mark.parametrize("cycles", CYCLES, ids=str)
def test_exchanged_names_are_found_in_spite_of_noise(cycles):
    noise = np.random.default_rng(0).normal(0, 0.6, PLACES.shape)  # about 1 mm
    assert exchanged(PLACES[order_of(*cycles)] + noise, PLACES, typical_mm=1.0) == cycles
    for count in (0, 1):
        assert exchanged(np.ones((count, 3)), np.zeros((count, 3)), typical_mm=0.0) == []


@pytest.mark.parametrize(("apart", "found"), [(1.4, []), (1.6, [[0, 1]])], ids=["near", "far"])
def test_an_exchange_has_to_gain_three_typical_distances(apart, found):
    """By hand: two points change places, which gains twice their distance."""
    places = np.array([[0, 0, 0], [apart, 0, 0], [0, 50, 0]])
    assert exchanged(places[[1, 0, 2]], places, typical_mm=1.0) == found


@pytest.mark.parametrize(("off", "found"), [(6.0, []), (5.5, [[0, 1]])], ids=["no", "yes"])
def test_an_exchange_has_to_halve_the_distances(off, found):
    """By hand: from hypot(10, off) to off, which is half of it at 5.77."""
    places = np.array([[0, 0, 0], [10, 0, 0.0]])
    assert exchanged(places[[1, 0]] + np.array([0, off, 0]), places, typical_mm=0.1) == found


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(7)), st.integers(0, 99))
def test_any_exchange_of_far_places_is_undone(order, seed):
    places = np.random.default_rng(seed).permutation(np.arange(21.0) * 10).reshape(7, 3)
    assert order_of(*exchanged(places[order], places, typical_mm=0.0)) == list(order)


SIDES = {
    "all": (LEFT_RIGHT, True),
    "most": (LEFT_RIGHT[:2], True),
    "one": (LEFT_RIGHT[:1], False),
    "not-across-one-plane": ([[0, 1], [2, 6]], False),
    "rings": ([[0, 1, 2], [3, 4, 5]], False),
    "none": ([], False),
}


@pytest.mark.parametrize(("cycles", "expected"), SIDES.values(), ids=SIDES)
def test_left_and_right_are_most_pairs_across_one_plane(cycles, expected):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    for places in (PLACES, PLACES @ turn + np.array([5, -80, 12])):
        assert is_left_right(cycles, places, typical_mm=1.0) == expected


def test_two_of_many_pairs_are_not_left_and_right():
    left = np.arange(1, 7)[:, None] * [[0.0, 15.0, 4.0]] + np.array([20, 0, 0])
    places = np.concatenate([left, left * [-1, 1, 1]])
    pairs = [[index, index + 6] for index in range(6)]
    assert is_left_right(pairs[:3], places, typical_mm=1.0)
    assert not is_left_right(pairs[:2], places, typical_mm=1.0)
