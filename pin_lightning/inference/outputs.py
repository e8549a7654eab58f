"""Output of each volume (landmarks, slices, warnings), and the table of all, ``landmarks.csv``."""

import csv
import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pin_lightning.common.errors import failure
from pin_lightning.common.files import whole_file
from pin_lightning.common.geometry import Grid, times_as_long, world_to_mm
from pin_lightning.common.spelling import readable
from pin_lightning.common.tables import as_text
from pin_lightning.data.images.reading import Header
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.inference.parts import Failed, slices_path
from pin_lightning.inference.plane_slices import cut_slices, slice_files, write_slices
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.doubts import Reviewed, ReviewedPose
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.predictor import Localised

CSV_COLUMNS = ("volume", "file", "landmark", "frame", "x", "y", "z", "spread_mm", "seconds")
ERROR_BAR_COLUMNS = ("coverage", "radius_mm", "review")  # added for a run with a calibration
POSE_COLUMNS = ("pose", "pose_score", "pose_lead")  # added for a run that finds the pose
REMARKS = "remarks"  # the last column: why to look at a landmark or its volume
FORMATS = ("mrk.json", "fcsv")
# A folder that takes no more files ends the program.
NO_MORE_FILES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
OTHER_SIZE = 2.0  # point out images this many times longer or shorter than the working grid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VolumeOutputs:
    """Write the output files of each volume.

    Attributes:
        folder: Folder of all outputs.
        format: Ending of landmark files, one of `FORMATS`.
        planes: Standard planes along which slices are written.
        error_bars: Error bars of the run, if it has any.
        grid: Working grid of the run.
        slices: Whether slices are kept for the review page.
    """

    folder: Path
    format: str
    planes: tuple[PlaneGroup, ...]
    error_bars: ErrorBars | None
    grid: Grid
    slices: bool

    def files(self, name: str) -> list[str]:
        """Names of all files that may be written for a volume."""
        slices = (slice_files(name, plane.name) for plane in self.planes)
        return [f"{name}.{self.format}", *(one for pair in slices for one in pair)]

    def write(self, name: str, path: Path, result: Localised | ValueError) -> Reviewed | Failed:
        """Write the files of a volume and return its numbers; log an error instead if it failed.

        Raises:
            OSError: The folder can no longer be written to.
        """
        shown = Path(readable(str(path)))
        try:
            if isinstance(result, ValueError):
                raise result
            return self._write(name, shown, result)
        except Exception as error:
            for file in self.files(name):
                with suppress(OSError):  # such as a name that is too long
                    (self.folder / file).unlink()
            if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
                raise
            reason = readable(failure(name, error))
            log.error("%s: %s", name, reason)
            return Failed(name, shown, reason)

    def _write(self, name: str, path: Path, result: Localised) -> Reviewed:
        prediction, slices = result.prediction, {}
        if self.planes:
            assert result.image is not None
            slices = cut_slices(name, result.image, prediction.landmarks, self.planes)
        # Of a found pose the field of view may have any size.
        sized = [] if prediction.pose is not None else _remarks_on_size(result.header, self.grid)
        remarks = (*sized, *prediction.remarks)
        if remarks:
            log.warning("%s: unlike the training: %s", name, "; ".join(remarks))
        reviewed = Reviewed.of(name, path, prediction, remarks)
        if reviewed.uncertain:
            log.warning("%s: pose uncertain (%s)", name, reviewed.pose)
        if prediction.outside.any():
            outside = np.array(prediction.names)[prediction.outside]
            log.warning("%s: outside the scan: %s", name, ", ".join(outside))
        texts = _descriptions(reviewed, self.error_bars)
        landmarks = self.folder / f"{name}.{self.format}"
        write_landmarks(landmarks, prediction.landmarks, texts, absent="missing")
        write_slices(self.folder, name, slices)
        if self.slices:
            self._keep_slices(name, result)
        return reviewed

    def _keep_slices(self, name: str, result: Localised) -> None:
        volume = result.volume
        points_mm = world_to_mm(result.prediction.positions_world, volume.affine, volume.grid)
        slices = MiddleSlices.of(volume.intensity.numpy(), volume.grid.mm_to_ijk(points_mm))
        slices.save(slices_path(self.folder, name))


def _remarks_on_size(header: Header, grid: Grid) -> list[str]:
    shape, affine = header
    ratio = times_as_long(affine, shape, grid)
    if 1 / OTHER_SIZE <= ratio <= OTHER_SIZE:
        return []
    return [f"size: {ratio:.2g} times as long as volumes in training; is it of their kind?"]


def _descriptions(one: Reviewed, error_bars: ErrorBars | None) -> list[str]:
    bars: list[list[str]] = [[] for _ in one.spread_mm]
    if error_bars is not None:
        bars = [[text] for text in error_bars.texts(one.spread_mm, one.marked)]
    spreads = [f"spread over starts {spread:.2f} mm" for spread in one.spread_mm]
    parts = zip(bars, one.reasons, spreads, strict=True)
    return [", ".join([*bar, *reasons, *unlike(one), spread]) for bar, reasons, spread in parts]


def unlike(one: Reviewed) -> list[str]:
    """In which respects a volume is unlike the training, in a few words."""
    respects = [remark.split(":")[0] for remark in one.remarks]
    return [f"unlike the training ({', '.join(respects)})"] if respects else []


@contextmanager
def landmark_table(
    path: Path, names: tuple[str, ...], error_bars: ErrorBars | None, with_pose: bool = False
) -> Iterator[Callable[[Reviewed], None]]:
    """Write predictions as they come to a CSV that appears when the block ends without an error.

    One row per volume and landmark, world RAS+ mm, without coordinates outside the scan.

    Args:
        path: The table.
        names: Landmark names.
        error_bars: Error bars of the run, if it has any: columns of their own.
        with_pose: Whether the run finds the pose: columns of how sure it is.
    """
    bar_columns = () if error_bars is None else ERROR_BAR_COLUMNS
    pose_columns = POSE_COLUMNS if with_pose else ()
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*CSV_COLUMNS, *bar_columns, *pose_columns, REMARKS))

        def add_rows(one: Reviewed) -> None:
            bars: list[list[str]] = [[] for _ in names]
            if error_bars is not None:
                bars = error_bars.cells(one.spread_mm, one.marked)
            pose, seconds = _pose_cells(one.pose) if with_pose else [], f"{one.seconds:.3f}"
            columns = (names, one.positions_world, one.outside, one.spread_mm, bars, one.reasons)
            for name, position, outside, spread, bar, reasons in zip(*columns, strict=True):
                xyz = [""] * 3 if outside else [f"{value:.4f}" for value in position]
                named = [as_text(text) for text in (one.name, str(one.path), name)]
                cells = [*named, "RAS", *xyz, f"{spread:.4f}", seconds]
                writer.writerow([*cells, *bar, *pose, "; ".join((*reasons, *unlike(one)))])

        yield add_rows


def _pose_cells(pose: ReviewedPose | None) -> list[str]:
    if pose is None:
        return [""] * len(POSE_COLUMNS)
    lead = f"{pose.lead:.4f}" if np.isfinite(pose.lead) else ""
    return ["uncertain" if pose.uncertain else "sure", f"{pose.score:.4f}", lead]
