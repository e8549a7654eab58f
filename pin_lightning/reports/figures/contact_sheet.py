"""Contact sheet: three planes through every landmark of many cases on one picture."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from scipy import ndimage

from pin_lightning.data.checks.cases import Finding

PLANES = ((1, 2), (0, 2), (0, 1))  # sagittal, coronal, axial: the axes across and up
PLANE_NAMES = "y-z (sagittal), x-z (coronal), x-y (axial) of the volume"
SHARE_OF_EXTENT = 0.2  # side of a tile relative to the mean side of the volume
MOST_CASES, MOST_ROWS, MOST_LETTERS = 24, 64, 34
DPI = 150  # as in `plots.save`: a pixel of a tile is a pixel of the file
TILE_PX, GAP_PX, FRAME_PX, EDGE_PX = 49, 2, 4, 24  # an odd tile has a pixel at its centre
CELL_PX = (TILE_PX, 3 * TILE_PX + 2 * GAP_PX)
PITCH_PX = (CELL_PX[0] + 2 * FRAME_PX, CELL_PX[1] + 2 * FRAME_PX + 6)
NAME_GAP_PX, LINE_PX, TITLE_PX = 8, 28, 110  # from a name, of a title line, above the names
CROSS_HAIR_PX = (7, 11)  # smallest and largest distance from the centre
POINTS, TITLE_POINTS, SLANT_DEGREES = 8, 10, 30
COLOURS = {"error": "#D00000", "warning": "#E88000", "": "black"}
CROSS_HAIR, EMPTY = "#00C8FF", "#E8E8E8"

Picture: TypeAlias = UInt8[np.ndarray, "H W 3"]
Levels: TypeAlias = Mapping[tuple[str, str], str]
Label: TypeAlias = tuple[str, str]  # a name at the edge, and "error", "warning" or empty
# Gives the working volume of a case [X, Y, Z], 0 to 255, and its landmarks [L, 3] in voxels, NaN
# where missing.
Load: TypeAlias = Callable[[str], tuple[Any, Any]]


def contact_sheet(
    cases: Sequence[str],
    names: Sequence[str],
    load: Load,
    spacing_mm: float,
    findings: Sequence[Finding] = (),
    planes: str = PLANE_NAMES,
) -> Figure:
    """Sagittal, coronal and axial tiles around every landmark; landmarks down, cases across.

    At most `MOST_CASES` cases and `MOST_ROWS` landmarks are shown: those with findings first,
    errors before warnings, then others evenly spaced over the list. A cell with a finding has a
    frame, red for an error and orange for a warning, as have the names at the sheet's edges.

    Args:
        cases: Case names.
        names: Landmark names.
        load: Gives the volume and the landmarks of a case; called once for each case shown, so
            that one volume is in memory at a time.
        spacing_mm: Voxel side of the working volumes.
        findings: Errors and warnings of the data check.
        planes: What the three tiles show, for the title.

    Raises:
        ValueError: There is no case or no landmark.
    """
    if not cases or not names:
        raise ValueError(f"contact sheet: {len(cases)} cases, {len(names)} landmarks; give some")
    levels = _levels(findings)
    columns = chosen(cases, [case for case, _ in levels], MOST_CASES)
    named = set(chosen(names, [name for _, name in levels], MOST_ROWS))
    rows = [index for index, name in enumerate(names) if name in named]
    picture = np.full((len(rows) * PITCH_PX[0], len(columns) * PITCH_PX[1], 3), 255, np.uint8)
    missing = np.zeros((len(rows), len(columns)), dtype=bool)
    tile_mm = 0.0
    for column, case in enumerate(columns):
        volume, landmarks_ijk = (np.asarray(part) for part in load(case))
        tile = SHARE_OF_EXTENT * float(np.mean(volume.shape))
        tile_mm = tile * spacing_mm  # the same for all, on one grid
        squares = tiles(volume, landmarks_ijk[rows], tile)
        missing[:, column] = ~np.isfinite(landmarks_ijk[rows]).all(axis=1)
        for row, index in enumerate(rows):
            cell = None if missing[row, column] else squares[row]
            _put(picture, row, column, cell, levels.get((case, names[index]), ""))
    title = (
        f"{_count(len(columns), len(cases), 'case')}, {_count(len(rows), len(names), 'landmark')}",
        f"tiles of {tile_mm:.3g} mm: {planes}; red: error, orange: warning",
    )
    row_labels = [(_short(names[i]), levels.get(("", names[i]), "")) for i in rows]
    column_labels = [(_short(case), _worst(levels, case)) for case in columns]
    return _figure(picture, missing, row_labels, column_labels, title)


def tiles(
    volume: UInt8[np.ndarray, "X Y Z"], landmarks_ijk: Float[np.ndarray, "L 3"], side: float
) -> UInt8[np.ndarray, "L 3 P P"]:
    """Cut sagittal, coronal and axial squares with the landmark at the centre, row 0 on top.

    Args:
        volume: Working volume; outside it is black.
        landmarks_ijk: Voxel indices of the centres; a landmark with NaN gives black.
        side: Voxels from the centre of a square's first pixel to that of its last.
    """
    steps = np.linspace(-side / 2, side / 2, TILE_PX)
    offsets = np.zeros((3, TILE_PX, TILE_PX, 3))
    for plane, (across, up) in enumerate(PLANES):
        offsets[plane, ..., across] = steps
        offsets[plane, ..., up] = -steps[:, None]
    centres = np.nan_to_num(landmarks_ijk, nan=-1e6)[:, None, None, None]
    places = np.moveaxis(centres + offsets, -1, 0)
    grey = ndimage.map_coordinates(volume, places, np.float32, order=1, mode="constant", cval=0)
    return grey.round().astype(np.uint8)


def chosen(every: Sequence[str], first: Sequence[str], most: int) -> list[str]:
    """Choose at most ``most`` names: those in ``first``, then others evenly spaced over the list.

    >>> chosen(["a", "b", "c", "d", "e"], ["d"], 3)
    ['d', 'a', 'e']
    """
    ahead = [name for name in dict.fromkeys(first) if name in set(every)][:most]
    others = [name for name in every if name not in set(ahead)]
    count = min(most - len(ahead), len(others))
    places = np.linspace(0, len(others) - 1, count).round().astype(int)
    return ahead + [others[place] for place in places]


def _short(name: str) -> str:
    """Cut a long name in the middle, since names often differ at the end."""
    half = MOST_LETTERS // 2
    return f"{name[: half - 1]}\u2026{name[-half:]}" if len(name) > MOST_LETTERS else name


def _levels(findings: Sequence[Finding]) -> dict[tuple[str, str], str]:
    """Worst level by case and landmark, errors first."""
    levels: dict[tuple[str, str], str] = {}
    for finding in sorted(findings, key=lambda finding: finding.level != "error"):
        levels.setdefault((finding.case, finding.landmark), finding.level)
    return levels


def _worst(levels: Levels, case: str) -> str:
    return next((level for (of, _), level in levels.items() if of == case), "")


def _count(shown: int, total: int, noun: str) -> str:
    plural = noun if total == 1 else f"{noun}s"
    return f"{total} {plural}" if shown == total else f"{shown} of {total} {plural}"


def _rgb(colour: str) -> UInt8[np.ndarray, "3"]:
    return (255 * np.array(to_rgb(colour))).round().astype(np.uint8)


def _put(
    picture: Picture, row: int, column: int, squares: UInt8[np.ndarray, "3 P P"] | None, level: str
) -> None:
    """Draw one cell into the picture, an empty one for a missing landmark."""
    top, left = row * PITCH_PX[0], column * PITCH_PX[1]
    height, width = CELL_PX[0] + 2 * FRAME_PX, CELL_PX[1] + 2 * FRAME_PX
    if level:
        picture[top : top + height, left : left + width] = _rgb(COLOURS[level])
    inner = picture[top + FRAME_PX :, left + FRAME_PX :][: CELL_PX[0], : CELL_PX[1]]
    inner[:] = _rgb(EMPTY) if squares is None else 255
    for index, square in enumerate(() if squares is None else squares):
        tile = inner[:, index * (TILE_PX + GAP_PX) :][:, :TILE_PX]
        tile[:] = square[..., None]
        tile[_cross_hair()] = _rgb(CROSS_HAIR)


def _cross_hair() -> Bool[np.ndarray, "P P"]:
    """Four ticks towards the centre, which stays free."""
    from_centre = np.abs(np.arange(TILE_PX) - TILE_PX // 2)
    on_tick = (from_centre >= CROSS_HAIR_PX[0]) & (from_centre <= CROSS_HAIR_PX[1])
    return np.outer(from_centre == 0, on_tick) | np.outer(on_tick, from_centre == 0)


def _width_px(text: str, points: float) -> float:
    size = FontProperties(size=points, weight="bold")  # as names with a finding
    return TextToPath().get_text_width_height_descent(text, size, ismath=False)[0] * DPI / 72


def _figure(
    picture: Picture,
    missing: Bool[np.ndarray, "R C"],
    rows: Sequence[Label],
    columns: Sequence[Label],
    title: Sequence[str],
) -> Figure:
    """Draw the picture with names at its edges, on axes in pixels of the file."""
    row_px, column_px = ([_width_px(text, POINTS) for text, _ in one] for one in (rows, columns))
    slant = SLANT_DEGREES if max(column_px) > CELL_PX[1] else 0
    along, up = np.cos(np.deg2rad(slant)), np.sin(np.deg2rad(slant))
    left = int(EDGE_PX + max(row_px) + 2 * NAME_GAP_PX)
    top = int(TITLE_PX + max(column_px) * up)
    reach = max(i * PITCH_PX[1] + width * along for i, width in enumerate(column_px))
    widest = max(_width_px(text, TITLE_POINTS - line) for line, text in enumerate(title))
    width = int(max(left + max(picture.shape[1], reach + NAME_GAP_PX), widest + EDGE_PX)) + EDGE_PX
    height = top + picture.shape[0] + EDGE_PX
    figure = FigureCanvasAgg(Figure((width / DPI, height / DPI), dpi=DPI)).figure
    axes = figure.add_axes((0, 0, 1, 1))
    edges = (left, left + picture.shape[1], top + picture.shape[0], top)
    axes.imshow(picture, interpolation="nearest", extent=edges)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    axes.axis("off")
    for line, text in enumerate(title):
        _write(axes, EDGE_PX, EDGE_PX + line * LINE_PX, text, size=TITLE_POINTS - line, va="top")
    _write_names(axes, left, top, rows, columns, slant)
    for row, column in np.argwhere(missing):
        x, y = column * PITCH_PX[1] + CELL_PX[1] / 2, row * PITCH_PX[0] + CELL_PX[0] / 2
        place = (left + FRAME_PX + x, top + FRAME_PX + y)
        _write(axes, *place, "\u2013", ha="center", va="center")
    return figure


def _write_names(
    axes: Axes, left: int, top: int, rows: Sequence[Label], columns: Sequence[Label], slant: int
) -> None:
    for row, (text, level) in enumerate(rows):
        middle = top + row * PITCH_PX[0] + FRAME_PX + CELL_PX[0] / 2
        _write(axes, left - NAME_GAP_PX, middle, text, level, ha="right", va="center")
    for column, (text, level) in enumerate(columns):
        start = left + column * PITCH_PX[1] + FRAME_PX + (NAME_GAP_PX if slant else 0)
        turned = {"rotation": slant, "rotation_mode": "anchor", "va": "baseline"}
        _write(axes, start, top - NAME_GAP_PX, text, level, **turned)


def _write(axes: Axes, x: float, y: float, text: str, level: str = "", **look: Any) -> None:
    look = {"size": POINTS, "color": COLOURS[level], "parse_math": False, **look}
    axes.text(x, y, text, weight="bold" if level else "normal", **look)
