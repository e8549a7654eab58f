from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.data.checks import cases as checks
from pin_lightning.data.inspection import Inspected, inspect_cases
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.volume_facts import VolumeFacts

SHAPE = (20, 30, 40)
# Far from the world's origin, so that signs and voxel indices cannot be confused.
AFFINE = np.array([[1.5, 0, 0, 60], [0, 1.5, 0, -150], [0, 0, 1.5, 25], [0, 0, 0, 1.0]])
NAN = [np.nan] * 3


def inspected(name, landmarks, affine=AFFINE, shape=SHAPE):
    points = LandmarkSet.of(tuple(landmarks), np.array([*landmarks.values()], float).reshape(-1, 3))
    case = Case(name, Path(f"{name}.nii"), Path(f"{name}.fcsv"), lambda: points, name)
    return Inspected(case, (shape, affine), points)


def in_voxels(*points_ijk, affine=AFFINE):
    """Landmarks A, B, ... in world coordinates at these voxels."""
    world = np.array(points_ijk, float) @ affine[:3, :3].T + affine[:3, 3]
    return {chr(ord("A") + index): point for index, point in enumerate(world)}


def many(count=20, **options):
    return in_voxels(*np.random.default_rng(0).uniform(2, 17, (count, 3)), **options)


def levels(findings):
    return [(finding.level, finding.case, finding.landmark) for finding in findings]


def test_inside_reaches_half_a_voxel_beyond_the_outer_centres():
    """By hand: of 20 voxels along x, -0.5 and 19.5 are the faces."""
    faces = inspected("a", in_voxels([-0.5, 0, 0], [19.5, 29.5, 39.5], [3, 3, 3]))
    assert checks.outside([faces]) == []
    beyond = inspected("b", in_voxels([-0.6, 0, 0], [3, 3, 3], [0, 0, 39.6]) | {"D": NAN})
    (finding,) = checks.outside([faces, beyond])
    assert levels([finding]) == [("error", "b", "")]
    assert finding.message.startswith("2 of 3 landmarks lie outside the volume: A, C; check that")


def test_one_landmark_outside_is_named_and_of_many_the_first_six():
    (finding,) = checks.outside([inspected("a", in_voxels([3, 3, 3], [3, 3, 99]))])
    assert finding.landmark == "B"
    (finding,) = checks.outside([inspected("a", in_voxels(*([90, 90, i] for i in range(9))))])
    assert "9 of 9 landmarks lie outside the volume: A, B, C, D, E, F and 3 more" in str(finding)


def moved(landmarks, change):
    return {name: change(np.asarray(point)) for name, point in landmarks.items()}


def to_ijk(point):
    return (point - AFFINE[:3, 3]) / 1.5


EXPLANATIONS = {
    "ras-lps": (lambda p: p * [-1, -1, 1], "RAS/LPS mix-up: negating x and y puts 20 of 20 inside"),
    "x": (lambda p: p * [-1, 1, 1], "negating x puts 20 of 20 inside"),
    "z": (lambda p: p * [1, 1, -1], "negating z puts 20 of 20 inside"),
    "yz": (lambda p: p * [1, -1, -1], "negating y and z puts 20 of 20 inside"),
    "all": (lambda p: -p, "negating x and y and z puts 20 of 20 inside"),
    "voxel": (to_ijk, "voxel indices, as which 20 of 20 lie inside: give data.frame=voxel"),
    "voxel-read-as-lps": (lambda p: to_ijk(p) * [-1, -1, 1], "voxel indices, as which 20 of 20"),
    "elsewhere": (lambda p: p + 500, "check that image and landmarks belong together"),
}


@pytest.mark.parametrize(("change", "message"), EXPLANATIONS.values(), ids=EXPLANATIONS)
def test_outside_says_what_would_put_landmarks_inside(change, message):
    (finding,) = checks.outside([inspected("a", moved(many(), change))])
    assert message in finding.message


@pytest.mark.parametrize(("astray", "explained"), [(1, True), (2, True), (3, False)])
def test_an_explanation_holds_for_nine_landmarks_of_ten(astray, explained):
    landmarks = moved(many(), lambda point: point * [-1, -1, 1])
    for name in list(landmarks)[:astray]:
        landmarks[name] = np.array([1e4, 1e4, 1e4])
    (finding,) = checks.outside([inspected("a", landmarks)])
    assert ("RAS/LPS" in finding.message) == explained


def test_outside_follows_oblique_axes():
    turned = AFFINE @ np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert checks.outside([inspected("a", many(affine=turned), turned)]) == []
    assert checks.outside([inspected("a", many(), turned)]) != []


# Voxels of 1.5 mm: the same within 0.0015 mm, near within 0.375 mm.
@pytest.mark.parametrize(
    ("apart_mm", "level"), [(0.001, "error"), (0.002, "warning"), (0.374, "warning"), (0.376, "")]
)
def test_coincident_landmarks(apart_mm, level):
    points = {"A": [70, -140, 30], "B": [70, -140, 30 + apart_mm], "C": NAN, "D": NAN}
    expected = [(level, "a", "A")] if level else []
    assert levels(checks.coincident([inspected("a", points)])) == expected


def test_coincident_uses_the_finest_side_and_sums_up_a_case():
    fine = AFFINE @ np.diag([1, 1, 0.5, 1])
    assert checks.coincident([inspected("a", {"A": [0, 0, 0], "B": [0, 0, 0.3]}, fine)]) == []
    (finding,) = checks.coincident([inspected("a", {name: [5, 5, 5] for name in "ABCD"})])
    assert finding.message.startswith("A and B, A and C, A and D, B and C, B and D, C and D lie at")


@pytest.mark.parametrize("landmarks", [{}, {"A": [1, 1, 1]}, {"A": NAN}], ids=["none", "1", "nan"])
def test_few_landmarks_cannot_coincide_nor_lie_outside(landmarks):
    one = inspected("a", landmarks, np.eye(4))
    assert checks.coincident([one]) == checks.outside([one]) == []


def placed(*names, undefined=()):
    return {name: [index] * 3 for index, name in enumerate(names)} | dict.fromkeys(undefined, NAN)


def test_a_misspelling_names_case_name_and_the_nearest():
    cases = [inspected(case, placed("nasion", "bregma")) for case in "abcd"]
    cases.append(inspected("e", placed("nasoin", "bregma")))
    (finding,) = checks.names(cases)  # and nothing is missing besides
    assert levels([finding]) == [("error", "e", "nasoin")]
    assert str(finding).startswith("e: name nasoin is probably nasion")


def test_missing_landmarks_are_one_warning_for_the_data_set():
    """By hand: b lacks p and q, c lacks p."""
    cases = [inspected("a", placed("p", "q", "r")), inspected("b", placed("r", undefined=["p"]))]
    (finding,) = checks.names([*cases, inspected("c", placed("q", "r"))])
    assert levels([finding]) == [("warning", "", "")]
    expected = "2 of 3 cases lack some of 3 landmarks: b 2, c 1; most often missing: p in 2, q in 1"
    assert str(finding) == expected


def test_a_landmark_without_any_position_is_left_out_of_the_data_set():
    cases = [inspected(case, placed("p", undefined=["q"])) for case in "ab"]
    (finding,) = checks.names(cases)
    assert levels([finding]) == [("warning", "", "q")]
    same = [inspected(case, placed("p1", "p2", "p11", "left", "right")) for case in "abc"]
    assert checks.names([]) == checks.names(same[:1]) == checks.names(same) == []


def spaced(sides_mm, shapes=None):
    shapes = shapes or [SHAPE] * len(sides_mm)
    pairs = zip(sides_mm, shapes, strict=True)
    affines = [(np.diag([2 * side, side, side, 1.0]), shape) for side, shape in pairs]
    return [inspected(str(i), {}, *header) for i, header in enumerate(affines)]


SPACINGS = {
    "alike": (spaced([1, 1.1, 0.9, 1.9, 0.55]), []),
    "metres": (spaced([1, 1, 0.001, 1]), [("error", "2", "")]),
    "coarse": (spaced([1, 1, 2.5, 1]), [("warning", "2", "")]),
    "long": (spaced([1, 1, 1], [SHAPE, SHAPE, (20, 30, 90)]), [("warning", "2", "")]),
    "far-too-long": (spaced([1, 1, 2.5], [SHAPE, SHAPE, (20, 30, 900)]), [("error", "2", "")]),
    "too-few": (spaced([1, 1000]), []),
}


@pytest.mark.parametrize(("cases", "expected"), SPACINGS.values(), ids=SPACINGS)
def test_spacing_far_from_the_median(cases, expected):
    assert levels(checks.spacing(cases)) == expected

    (finding,) = checks.spacing(spaced([0.5, 0.5, 0.0005]))
    assert finding.message == "finest voxel side 0.0005 mm, typically 0.5 mm; is the unit mm?"


def facts(*windows):
    pairs = enumerate(windows)
    return {f"c{i}": VolumeFacts(float(low), float(high), f"digest{i}") for i, (low, high) in pairs}


USUAL = [(-1000, 2000), (-990, 2010), (-1005, 1990), (-1000, 2005)]
WINDOWS = {
    "alike": ([*USUAL, (-1001, 2003)], []),
    "all-the-same": ([(0, 255)] * 6, []),
    "wide": ([*USUAL, (-1000, 20000)], ["c4"]),
    "shifted": ([*USUAL, (0, 3000)], ["c4"]),
    "unusual-but-near": ([*USUAL, (-400, 2600)], []),  # less than a quarter of 3000
    "too-few": ([(0, 255), (0, 255), (0, 255), (0, 9999)], []),
}


@pytest.mark.parametrize(("windows", "expected"), WINDOWS.values(), ids=WINDOWS)
def test_intensities_far_from_the_others(windows, expected):
    found = checks.intensities(facts(*windows))
    assert levels(found) == [("warning", case, "") for case in expected]


def test_the_same_image_twice_is_an_error_unless_of_one_subject():
    known = facts((0, 1), (0, 1), (0, 1), (0, 1))
    known |= {case: replace(known[case], digest="same") for case in ("c0", "c2", "c3")}
    found = checks.same_images(known, {"c0": "Ann", "c1": "Bob", "c2": "Ann", "c3": "Cy"})
    assert levels(found) == [("warning", "c2", ""), ("error", "c3", "")]
    assert "is the same image as case c0; keep one" in found[1].message
    assert checks.same_images(facts((0, 1), (0, 1)), {"c0": "Ann", "c1": "Ann"}) == []


def test_robust_sd_of_normal_values_is_theirs():
    values = np.random.default_rng(0).normal(5, 3, (20000, 2))
    values[0] = np.nan
    np.testing.assert_allclose(checks.robust_sd(values), [3, 3], rtol=0.05)


def test_real_heads_have_no_finding_and_a_wrong_frame_or_unit_has(ct_root):
    cases, failures = inspect_cases(find_cases(ct_root))
    assert failures == {}
    everything = (checks.outside, checks.coincident, checks.names, checks.spacing)
    assert [finding for check in everything for finding in check(cases)] == []
    flipped = cases[0].landmarks.positions_world * [-1, -1, 1]
    wrong = replace(cases[0], landmarks=LandmarkSet.of(cases[0].landmarks.names, flipped))
    assert "RAS/LPS" in checks.outside([wrong])[0].message
    shape, affine = cases[0].header
    metres = replace(cases[0], header=(shape, np.diag([1e-3, 1e-3, 1e-3, 1]) @ affine))
    assert levels(checks.spacing([metres, *cases[1:]])) == [("error", cases[0].case.name, "")]
