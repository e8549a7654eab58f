import re

import numpy as np
import pytest
from head_shapes import CASES, HEAD, NAMES, POSES, SIDES, heads, turned

from pin_lightning.data.checks.aligned_shapes import align
from pin_lightning.data.checks.naming import swapped

ONE_SIDED = np.concatenate([HEAD, [[60, -40, 30], [40, -60, -20], [50, 30, 60]]])  # no mates
ALL_NAMES = (*NAMES, "spleen", "vein", "scar")
MIRROR = [-1, 1, 1]
in_any_pose = pytest.mark.parametrize("posed", POSES.values(), ids=POSES)


def found(shapes, names=ALL_NAMES):
    cases = CASES[: len(shapes)]
    return [
        (one.level, one.case, one.message) for one in swapped(shapes, cases, names, align(shapes))
    ]


@in_any_pose
@pytest.mark.parametrize("wrong", [[1], [1, 4, 6]], ids=["one-case", "three-cases"])
def test_a_mirrored_case_is_an_error_with_both_distances(wrong, posed):
    shapes = heads(shape=ONE_SIDED)
    shapes[wrong] *= MIRROR
    errors = found(posed(shapes))
    assert [error[:2] for error in errors] == [("error", CASES[index]) for index in wrong]
    for _, _, message in errors:
        assert message.startswith("fits the other cases only when mirrored")
        assert "left and right are exchanged in the file's header or its landmarks" in message
        as_it_is, mirrored = (float(number) for number in re.findall(r"([\d.]+) mm", message))
        assert 2 * mirrored < as_it_is < 100


@in_any_pose
def test_names_exchanged_between_sides_are_not_taken_for_a_mirror(posed):
    shapes = heads(shape=ONE_SIDED)
    shapes[1, :9] = shapes[1, SIDES]
    ((level, case, message),) = found(posed(shapes))
    assert (level, case) == ("error", "case01")
    assert message.startswith("left and right look swapped (or the image is mirrored): eyeL<->eyeR")


@pytest.mark.parametrize("count", [4, 7])
def test_many_mirrored_cases_are_one_warning(count):
    """As left and right kidneys in one data set are."""
    shapes = heads(shape=ONE_SIDED)
    shapes[:count] *= MIRROR
    ((level, case, message),) = found(turned(shapes))
    assert (level, case) == ("warning", "")
    assert message.startswith(f"{count} of 14 cases fit the others only when mirrored: case0")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [[1, 1, 0.0], [1, 1, 0.02], [1, 1, 0.05]], ids=str)
def test_nearly_planar_shapes_are_not_called_mirrored(size, seed):
    shapes = heads(shape=ONE_SIDED * size, seed=seed)
    assert found(turned(shapes)) == []
    if size[2] == 0:
        shapes[3] *= MIRROR
        assert found(turned(shapes)) == []


@in_any_pose
def test_a_list_of_names_that_slipped_is_put_right_without_names(posed):
    shapes = heads(shape=ONE_SIDED)
    shapes[5] = np.roll(shapes[5], 1, axis=0)
    ((level, case, message),) = found(posed(shapes))
    assert (level, case) == ("error", "case05")
    assert message.startswith("names nose -> scar -> vein -> spleen -> top -> ")


def test_exchanges_that_look_like_a_turn_are_seen_where_scans_are_in_line():
    """Corners of a plate: exchanging the sides is the same as turning it over."""
    plate = np.array([[-30, 50, 0], [30, 50, 0], [-30, -50, 0], [30, -50, 0.0]])
    shapes = heads(shape=plate)
    shapes[3] = shapes[3, [1, 0, 3, 2]]
    ((level, case, message),) = found(shapes, "abcd")
    assert (level, case) == ("error", "case03")
    assert "a<->b, c<->d" in message
    assert found(turned(shapes), "abcd") == []


def test_of_two_cases_either_may_be_wrong():
    shapes = heads(2, shape=ONE_SIDED)
    assert found(turned(shapes)) == []
    assert found(shapes[:1]) == []
    mirrored, exchanged = shapes.copy(), shapes.copy()
    mirrored[0] *= MIRROR
    exchanged[0, [0, 4]] = exchanged[0, [4, 0]]
    for wrong, said in ((mirrored, "only when mirrored"), (exchanged, "names nose and earL look")):
        ((level, case, message),) = found(turned(wrong))
        assert (level, case) == ("warning", "")
        assert message.startswith("one of the two cases case00 and case01 is wrong: ")
        assert said in message
