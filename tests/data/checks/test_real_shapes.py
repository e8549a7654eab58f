"""Shape checks on real skulls, in line with each other and as the scanner wrote them."""

import numpy as np
import pytest

from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.data.checks.shapes import shape_findings
from pin_lightning.data.inspection import annotate, choose_landmarks, inspect_cases, to_grid_mm
from pin_lightning.data.preprocessing import suggest_grid
from pin_lightning.data.sources.folder import find_cases

PAIRS = [
    "2-3",
    "4-5",
    "6-7",
    "8-9",
    "10-11",
    "12-14",
    "15-17",
    "18-20",
    "22-25",
    "24-27",
    "30-31",
    "32-33",
    "36-37",
    "38-39",
]


def read(root):
    """Shapes, also with x and y negated; case and landmark names; voxel side."""
    cases, _ = inspect_cases(find_cases(root))
    names, grid = choose_landmarks(cases), suggest_grid([one.header for one in cases])
    annotated = [annotate(one, names, grid) for one in cases]
    shapes = np.stack([one.landmarks_mm.double().numpy() for one in annotated])
    world = [flip_lps_ras(one.landmarks.positions_world) for one in annotated]
    headers = (one.header for one in cases)
    flipped = [to_grid_mm(*pair, grid) for pair in zip(headers, world, strict=True)]
    return shapes, np.stack(flipped), [one.case.name for one in cases], names, grid.spacing_mm


@pytest.fixture(scope="module", params=["aligned", "as-scanned"])
def real(ct_root, request):
    root = ct_root
    if request.param == "as-scanned":
        root = ct_root.with_name(f"{ct_root.name}_as_scanned")
        if not root.is_dir():
            pytest.skip(f"no scans in any orientation in {root}")
    return read(root)


def findings(real, change, wrong=(3, 8)):
    shapes, flipped, cases, names, spacing_mm = real
    shapes = shapes.copy()
    for index in wrong:
        shapes[index] = change(shapes[index].copy())
    found = shape_findings(shapes, flipped, cases, names, spacing_mm)
    assert [one.case for one in found] == [cases[index] for index in wrong]
    return found


def test_real_skulls_have_no_finding(real):
    assert shape_findings(*real) == []


def test_a_misplaced_landmark_is_a_warning(real):
    def moved(shape):
        shape[20] += np.array([0, 3.0, 0])
        return shape

    (finding,) = findings(real, moved, wrong=[3])
    assert (finding.level, finding.landmark) == ("warning", real[3][20])


def test_a_mirrored_case_is_an_error(real):
    for one in findings(real, lambda shape: shape * [1, -1, 1]):
        assert one.level == "error"
        assert one.message.startswith("fits the other cases only when mirrored")


def test_exchanged_names_are_an_error(real):
    first, second = real[3][11], real[3][13]
    order = [*range(11), 13, 12, 11, *range(14, 45)]
    for one in findings(real, lambda shape: shape[order]):
        assert one.level == "error"
        assert one.message.startswith(f"names {first} and {second} look swapped")


def test_left_and_right_names_exchanged_are_an_error(real):
    order = np.arange(len(real[3]))
    for pair in PAIRS:
        left, right = (real[3].index(name) for name in pair.split("-"))
        order[[left, right]] = right, left
    for one in findings(real, lambda shape: shape[order]):
        assert one.level == "error"
        assert one.message.startswith("left and right look swapped")


@pytest.mark.parametrize("factor", [0.1, 10, 1000])
def test_another_unit_is_an_error(real, factor):
    for one in findings(real, lambda shape: shape * factor):
        assert one.level == "error"
        assert "is the unit mm?" in one.message


def test_another_shape_is_a_warning(real):
    noise = np.random.default_rng(0).normal(0, 1.5, real[0][0].shape)
    shapes, flipped, cases, names, spacing_mm = real
    shapes = shapes.copy()
    shapes[3] += noise
    found = shape_findings(shapes, flipped, cases, names, spacing_mm)
    assert {(one.level, one.case) for one in found} == {("warning", cases[3])}
    assert found[0].message.startswith("the whole shape lies")


def test_a_ras_lps_mix_up_is_seen_where_skulls_are_in_line(real):
    shapes, flipped, cases, names, spacing_mm = real
    shapes, flipped = shapes.copy(), flipped.copy()
    shapes[2], flipped[2] = flipped[2].copy(), shapes[2].copy()
    found = shape_findings(shapes, flipped, cases, names, spacing_mm)
    assert all("RAS/LPS" in one.message and one.case == cases[2] for one in found)
    assert len(found) <= 1
