import re

import numpy as np
import pytest
from head_shapes import CASES, NAMES, POSES, SIDES, heads, turned

from pin_lightning.data.checks.aligned_shapes import align
from pin_lightning.data.checks.naming import swapped
from pin_lightning.data.checks.robust_statistics import others_median
from pin_lightning.data.checks.shapes import (
    outliers,
    ras_lps,
    shape_findings,
)

SPACING_MM = 0.5
in_any_pose = pytest.mark.parametrize("posed", POSES.values(), ids=POSES)


def levels(findings):
    return [(finding.level, finding.case, finding.landmark) for finding in findings]


def all_findings(shapes_mm, flipped_mm=None):
    """Findings; without flipped shapes those of a scanner whose origin is far away."""
    flipped_mm = shapes_mm + 300 if flipped_mm is None else flipped_mm
    cases = CASES[: len(shapes_mm)]
    return shape_findings(shapes_mm, flipped_mm, cases, NAMES, SPACING_MM)


@in_any_pose
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["complete", "missing"])
def test_heads_that_differ_as_heads_do_have_no_findings(seed, missing, posed):
    shapes = posed(heads(seed=seed))
    shapes[np.random.default_rng(seed).random(shapes.shape[:2]) < missing] = np.nan
    assert all_findings(shapes) == []


@in_any_pose
@pytest.mark.parametrize("count", range(5))
def test_few_cases_have_no_findings(count, posed):
    assert all_findings(posed(heads(count))) == []


def test_degenerate_data_have_no_findings():
    shapes = heads()
    shapes[3], shapes[:, 8] = np.nan, np.nan
    shapes[1:, 7] = np.nan  # one case alone has it
    assert all_findings(shapes) == []
    assert all_findings(np.full_like(shapes, np.nan)) == []
    nothing_in_common = np.full((9, 9, 3), np.nan)
    nothing_in_common[np.arange(9), np.arange(9)] = 10.0
    assert all_findings(nothing_in_common) == []
    assert all_findings(np.repeat(heads(1), 6, axis=0)) == []


EXCHANGES = {
    "eyes": ([2, 3], [3, 2], "names eyeL and eyeR look swapped;"),
    "unlike": ([0, 6], [6, 0], "names nose and jawL look swapped;"),
    "ring": ([0, 4, 8], [4, 8, 0], "names nose -> earL -> top -> nose look exchanged;"),
    "two": ([0, 1, 4, 8], [1, 0, 8, 4], "names nose and chin look swapped, earL and top look sw"),
}


@pytest.mark.parametrize(("places", "sources", "message"), EXCHANGES.values(), ids=EXCHANGES)
@pytest.mark.parametrize("count", [3, 14])
@in_any_pose
def test_exchanged_names_are_one_error(places, sources, message, count, posed):
    shapes = posed(heads(count))
    shapes[2, places] = shapes[2, sources]
    (finding,) = all_findings(shapes)
    assert levels([finding]) == [("error", "case02", "")]
    assert finding.message.startswith(message)


WRONG_SIDES = {
    "names": lambda shape: shape[SIDES],
    "mirrored-image": lambda shape: shape * [-1, 1, 1],
}


@pytest.mark.parametrize("change", WRONG_SIDES.values(), ids=WRONG_SIDES)
@pytest.mark.parametrize("wrong", [[1], [1, 4, 6]], ids=["one-case", "three-cases"])
@in_any_pose
def test_left_and_right_exchanged_is_told_as_such(change, wrong, posed):
    """The head is symmetric: its mirror image fits with names exchanged."""
    shapes = heads()
    shapes[wrong] = [change(shape) for shape in shapes[wrong]]
    found = all_findings(posed(shapes))
    assert levels(found) == [("error", CASES[index], "") for index in wrong]
    expected = "left and right look swapped (or the image is mirrored): eyeL<->eyeR, earL<->earR"
    assert all(finding.message.startswith(expected) for finding in found)


def test_exchanges_among_the_landmarks_a_case_has():
    shapes = heads()
    shapes[2, [4, 5]], shapes[2, [0, 6, 8]] = shapes[2, [5, 4]], np.nan
    (finding,) = all_findings(shapes)
    assert finding.message.startswith("names earL and earR look swapped")


def test_near_neighbours_exchanged_are_found_by_their_fit():
    """8 mm apart: about as far as heads differ, but neighbours differ less from each other."""
    shapes = heads(30, seed=3, varying=0.12)
    noise = np.random.default_rng(0).normal(0, 0.4, (30, 1, 3))
    near = np.concatenate([shapes, shapes[:, :1] + np.array([8.0, 0, 0]) + noise], axis=1)
    near[5, [0, 9]] = near[5, [9, 0]]
    cases, names = [str(number) for number in range(30)], (*NAMES, "nostril")
    aligned = align(turned(near))
    assert swapped(near, cases, names, aligned) == []
    (finding,) = outliers(aligned, cases, names, spacing_mm=0.1)
    assert levels([finding]) == [("error", "5", "")]
    assert finding.message.startswith("names nose and nostril look swapped")


def flipped_pairs(wrong):
    """Heads in volumes some way from the origin, of which some are read with the wrong signs."""
    right = heads() + np.array([20.0, -15, 40])
    other = right * [-1, -1, 1]
    chosen = np.isin(np.arange(len(right)), wrong)[:, None, None]
    return np.where(chosen, other, right), np.where(chosen, right, other)


@pytest.mark.parametrize("wrong", [[], [0], [3, 5, 9]], ids=["none", "one", "three"])
def test_a_ras_lps_mix_up_is_the_only_finding(wrong):
    shapes, flipped = flipped_pairs(wrong)
    found = all_findings(shapes, flipped)
    assert levels(found) == [("error", CASES[index], "") for index in wrong]
    assert all("RAS/LPS mix-up: negating x and y brings" in one.message for one in found)


def test_a_mix_up_needs_three_cases_and_agreement():
    shapes, flipped = flipped_pairs([0])
    assert levels(ras_lps(shapes[:3], flipped[:3], CASES[:3], align(shapes[:3]))) == [
        ("error", "case00", "")
    ]
    assert ras_lps(shapes[:2], flipped[:2], CASES[:2], align(shapes[:2])) == []
    assert ras_lps(shapes, flipped + 60, CASES, align(shapes)) == []


def test_in_any_pose_a_half_turn_is_no_mix_up():
    """Scans in any pose may lie half a turn about z from the others."""
    shapes = turned(heads())
    aligned, flipped = align(shapes), others_median(shapes)
    assert aligned.in_line is None
    assert ras_lps(shapes, flipped, CASES, aligned) == []


@in_any_pose
def test_another_shape_is_a_warning_with_both_numbers(posed):
    shapes = heads()
    shapes[7] += np.random.default_rng(1).normal(0, 12, shapes[7].shape)
    found = outliers(align(posed(shapes)), CASES, NAMES, SPACING_MM)
    whole = [finding for finding in found if not finding.landmark]
    assert levels(whole) == [("warning", "case07", "")]
    apart_mm, typical_mm = (float(n) for n in re.findall(r"([\d.]+) mm", whole[0].message))
    assert 10 < apart_mm < 25
    assert 1 < typical_mm < 4


@in_any_pose
@pytest.mark.parametrize("missing", [[], [0, 6]], ids=["complete", "missing"])
def test_a_landmark_out_of_place_is_a_warning_with_both_numbers(missing, posed):
    shapes = heads(seed=1)
    shapes[4, 2] += np.array([0, 0, 15.0])
    shapes[4, missing] = np.nan
    (finding,) = all_findings(posed(shapes))
    assert levels([finding]) == [("warning", "case04", "eyeL")]
    assert finding.message.startswith("landmark eyeL lies 1")
    assert float(finding.message.split("typically ")[1].split(" mm")[0]) < 2


def test_a_landmark_is_expected_no_nearer_than_three_voxels():
    shapes = heads(seed=1)
    shapes[4, 2] += np.array([0, 0, 15.0])
    assert outliers(align(shapes), CASES, NAMES, spacing_mm=4.0) != []
    assert outliers(align(shapes), CASES, NAMES, spacing_mm=6.0) == []


def test_at_most_five_landmarks_of_a_case_are_named():
    shapes = heads(seed=1)
    shapes[4] += np.random.default_rng(0).normal(0, 20, shapes[4].shape)
    found = outliers(align(shapes), CASES, NAMES, SPACING_MM)
    assert {finding.case for finding in found} == {"case04"}
    assert 0 < sum(bool(finding.landmark) for finding in found) <= 5


def test_a_case_with_an_error_already_is_kept_out():
    shapes = heads()
    shapes[2, [2, 3]] = shapes[2, [3, 2]]
    errors = swapped(shapes, CASES, NAMES, align(shapes))
    found = shape_findings(shapes, shapes + 300, CASES, NAMES, SPACING_MM, known_errors=errors)
    assert found == []
