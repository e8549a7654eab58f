import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from pin_lightning.data.checks.cases import Finding
from pin_lightning.reports.figures import contact_sheet as sheets
from pin_lightning.reports.figures import plots
from pin_lightning.reports.figures.contact_sheet import contact_sheet, tiles

SIZE = (40, 50, 60)
SPACING_MM = 2.0
MIDDLE = sheets.TILE_PX // 2
RED, ORANGE = (sheets._rgb(sheets.COLOURS[level]) for level in ("error", "warning"))


def ramp():
    """Brightness that tells the axes apart: x + 2 y in the lower half, 200 above."""
    x, y, z = np.indices(SIZE)
    return np.where(z < 30, x + 2 * y, 200).astype(np.uint8)


def load(case, count=3):
    landmarks = np.tile([20.0, 25.0, 15.0], (count, 1)) + np.arange(count)[:, None]
    if case == "lacks":
        landmarks[1] = np.nan
    return torch.from_numpy(ramp()), landmarks


def picture(figure):
    return figure.axes[0].images[0].get_array()


def cell(figure, row, column):
    top, left = row * sheets.PITCH_PX[0], column * sheets.PITCH_PX[1]
    height, width = (side + 2 * sheets.FRAME_PX for side in sheets.CELL_PX)
    return picture(figure)[top : top + height, left : left + width]


def texts(figure):
    return {text.get_text(): to_rgb(text.get_color()) for text in figure.axes[0].texts}


def test_tiles_are_slices_through_the_landmark():
    """One voxel per pixel, so that each tile is a slice of the volume, its second axis up."""
    volume, centre = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8), (30, 24, 28)
    volume = np.pad(volume, 30)
    x, y, z = (np.arange(middle - MIDDLE, middle + MIDDLE + 1) for middle in centre)
    sagittal, coronal, axial = tiles(volume, np.array([centre], float), sheets.TILE_PX - 1.0)[0]
    np.testing.assert_array_equal(sagittal, volume[30][np.ix_(y, z)].T[::-1])
    np.testing.assert_array_equal(coronal, volume[:, 24][np.ix_(x, z)].T[::-1])
    np.testing.assert_array_equal(axial, volume[:, :, 28][np.ix_(x, y)].T[::-1])


def test_tiles_lie_between_voxels_and_are_black_outside():
    square = tiles(ramp(), np.array([[20.5, 25.0, 15.0]]), 8.0)[0, 2]
    assert square[MIDDLE, MIDDLE] == 70  # by hand: 20.5 + 2 * 25 rounds to the even neighbour
    corner = tiles(ramp() + np.uint8(1), np.zeros((1, 3)), 20.0)[0]
    assert (corner[:, MIDDLE + 1 :] == 0).all()  # below the first row
    assert (corner[:, :, :MIDDLE] == 0).all()  # left of the first column
    assert (corner[:, : MIDDLE + 1, MIDDLE:] > 0).all()
    assert (tiles(ramp(), np.full((1, 3), np.nan), 20.0) == 0).all()


def test_a_cell_holds_three_tiles_with_a_free_centre():
    volume, landmarks = load("a")
    expected = tiles(volume.numpy(), landmarks, sheets.SHARE_OF_EXTENT * 50)  # the mean side
    drawn = cell(contact_sheet(["a"], list("pqr"), load, SPACING_MM), 1, 0)
    for index, square in enumerate(expected[1]):
        left = sheets.FRAME_PX + index * (sheets.TILE_PX + sheets.GAP_PX)
        tile = drawn[sheets.FRAME_PX :, left:][: sheets.TILE_PX, : sheets.TILE_PX]
        grey = (tile == square[..., None]).all(axis=2)
        nearest, farthest = sheets.CROSS_HAIR_PX
        assert grey[MIDDLE - nearest + 1 : MIDDLE + nearest, :][:, MIDDLE - 6 : MIDDLE + 7].all()
        assert (~grey).sum() == 4 * (farthest - nearest + 1)


def test_frames_tell_errors_from_warnings():
    findings = [
        Finding("warning", "b", "q", "far"),
        Finding("warning", "b", "p", "far"),
        Finding("error", "b", "p", "wrong"),
        Finding("warning", "c", "", "odd"),
        Finding("error", "", "r", "nowhere"),
        Finding("error", "not among them", "", "unreadable"),
    ]
    figure = contact_sheet(list("abc"), list("pqr"), load, SPACING_MM, findings)
    (title, _), *others = [item for item in texts(figure).items() if item[0] not in "abcpqr"]
    assert title == "3 cases, 3 landmarks"
    assert len(others) == 1
    assert [text for text in texts(figure) if text in "abc"] == ["b", "c", "a"]  # the worst first
    first, second, *rest = (cell(figure, *np.divmod(i, 3)[::-1])[0, 0].tolist() for i in range(9))
    assert (first, second) == (RED.tolist(), ORANGE.tolist())
    assert rest == 7 * [[255, 255, 255]]
    red, orange, black = (to_rgb(sheets.COLOURS[level]) for level in ("error", "warning", ""))
    expected = {"a": black, "b": red, "c": orange, "p": black, "q": black, "r": red}
    assert {name: texts(figure)[name] for name in "abcpqr"} == expected


def test_a_missing_landmark_is_an_empty_cell_with_a_dash():
    findings = [Finding("error", "lacks", "q", "is missing")]
    figure = contact_sheet(["lacks", "b"], list("pqr"), load, SPACING_MM, findings)
    (dash,) = [text for text in figure.axes[0].texts if text.get_text() == "\u2013"]
    left, _, _, top = figure.axes[0].images[0].get_extent()
    assert 0 < dash.get_position()[0] - left < sheets.PITCH_PX[1]
    assert sheets.PITCH_PX[0] < dash.get_position()[1] - top < 2 * sheets.PITCH_PX[0]
    empty = cell(figure, 1, 0)
    inner = empty[sheets.FRAME_PX : -sheets.FRAME_PX, sheets.FRAME_PX : -sheets.FRAME_PX]
    assert (inner == sheets._rgb(sheets.EMPTY)).all()
    assert (empty[0] == RED).all()


def test_at_most_so_many_cases_and_landmarks_each_loaded_once(monkeypatch):
    monkeypatch.setattr(sheets, "MOST_CASES", 4)
    cases, names = [f"c{i:03d}" for i in range(310)], [f"p{i}" for i in range(70)]
    loaded = []

    def load_many(case):
        loaded.append(case)
        return load(case, 70)

    findings = [Finding("warning", "c200", "p69", "far"), Finding("error", "c100", "", "wrong")]
    figure = contact_sheet(cases, names, load_many, SPACING_MM, findings)
    assert loaded == ["c100", "c200", "c000", "c309"]
    assert "4 of 310 cases, 64 of 70 landmarks" in texts(figure)
    shown = [text for text in texts(figure) if text.startswith("p")]
    assert len(shown) == 64
    assert shown == [name for name in names if name in shown]  # in their own order
    assert "p69" in shown


LONG = ["an anatomical point with a name of $many letters, " + end for end in ("left", "right")]


@pytest.mark.parametrize("cases", [["a"], ["a", "b", LONG[0]]], ids=["short", "long"])
@pytest.mark.parametrize("names", [["p"], LONG], ids=["short-names", "long-names"])
def test_no_text_overlaps_or_leaves_the_sheet(cases, names):
    figure = contact_sheet(cases, names, lambda case: load(case, len(names)), SPACING_MM)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    sheet = figure.bbox.padded(-2)
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    corners = figure.axes[0].transData.transform([(left, bottom), (right, top)])
    for box in boxes:
        assert sheet.x0 < box.x0 < box.x1 < sheet.x1
        assert sheet.y0 < box.y0 < box.y1 < sheet.y1
        assert box.x1 <= corners[0, 0] or box.y0 >= corners[1, 1] - 1  # left of it or above
    titles = boxes[:2]
    assert not any(box.overlaps(other) for box in boxes[2:] for other in titles)
    assert not titles[0].overlaps(titles[1])
    long = [text for text in texts(figure) if text.startswith("an anatomical")]
    assert len(long) == len({*cases, *names} & set(LONG))  # their ends can still be told apart
    assert all(len(text) == sheets.MOST_LETTERS and "\u2026" in text for text in long)


def test_a_pixel_of_a_tile_is_a_pixel_of_the_file(tmp_path):
    figure = contact_sheet(["a", "b"], list("pqr"), load, SPACING_MM)
    plots.save(figure, tmp_path / "sheet.png")
    written = (255 * imread(tmp_path / "sheet.png")[..., :3]).round().astype(int)
    left, right, bottom, top = map(int, figure.axes[0].images[0].get_extent())
    np.testing.assert_array_equal(written[top:bottom, left:right], picture(figure))


def test_nothing_to_show_is_refused():
    for cases, names in (([], ["p"]), (["a"], [])):
        with pytest.raises(ValueError, match="contact sheet: "):
            contact_sheet(cases, names, load, SPACING_MM)
