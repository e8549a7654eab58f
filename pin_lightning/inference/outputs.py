"""Output files of each volume: landmarks, slices and a DICOM report, and warnings."""

import errno
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pin_lightning.common.errors import FULL, failure
from pin_lightning.common.geometry import Grid, times_as_long, world_to_mm
from pin_lightning.common.spelling import readable
from pin_lightning.data.images.reading import Header
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.evaluation.planes.groups import PlaneGroup
from pin_lightning.inference.dicom_reports import write_report
from pin_lightning.inference.header import PredictionHeader, report_file
from pin_lightning.inference.plane_slices import cut_slices, write_slices
from pin_lightning.inference.records import Failed, Records
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.predictor import Localised

FORMATS = ("mrk.json", "fcsv")
# A folder that takes no more files ends the program.
NO_MORE_FILES = (*FULL, errno.EROFS, errno.EACCES)
OTHER_SIZE = 2.0  # point out images this many times longer or shorter than the working grid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VolumeOutputs:
    """Write the output files of each volume.

    Attributes:
        folder: Folder of all outputs.
        header: What predicts.
        planes: Standard planes along which slices are written.
        slices: Whether slices are kept for the review page.
    """

    folder: Path
    header: PredictionHeader
    planes: tuple[PlaneGroup, ...]
    slices: bool

    def write(self, name: str, file: str, result: Localised | ValueError) -> Reviewed | Failed:
        """Write the files of a volume and return its numbers; log an error instead if it failed.

        Raises:
            OSError: The folder can no longer be written to.
        """
        shown = readable(file)
        try:
            if isinstance(result, ValueError):
                raise result
            return self._write(name, file, shown, result)
        except Exception as error:
            for one in self.header.files(name):
                with suppress(OSError):  # such as a name that is too long
                    (self.folder / one).unlink()
            if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
                raise
            reason = readable(failure(name, error))
            log.error("%s: %s", name, reason)
            return Failed(name, shown, reason)

    def _write(self, name: str, file: str, shown: str, result: Localised) -> Reviewed:
        prediction, slices = result.prediction, {}
        if self.planes:
            assert result.image is not None
            slices = cut_slices(name, result.image, prediction.landmarks, self.planes)
        # Of a found pose the field of view may have any size.
        sized = (
            [] if prediction.pose is not None else _remarks_on_size(result.header, self.header.grid)
        )
        remarks = (*sized, *prediction.remarks)
        if remarks:
            log.warning("%s: unlike the training: %s", name, "; ".join(remarks))
        reviewed = Reviewed.of(name, shown, prediction, remarks)
        if reviewed.uncertain:
            log.warning("%s: pose uncertain (%s)", name, reviewed.pose)
        if prediction.outside.any():
            outside = np.array(prediction.names)[prediction.outside]
            log.warning("%s: outside the scan: %s", name, ", ".join(outside))
        texts = descriptions(reviewed, self.header.error_bars)
        landmarks = self.folder / f"{name}.{self.header.format}"
        write_landmarks(landmarks, prediction.landmarks, texts, absent="missing")
        if self.header.dicom:
            write_report(self.folder / report_file(name), Path(file), reviewed, self.header)
        write_slices(self.folder, name, slices)
        if self.slices:
            self._keep_slices(name, result)
        return reviewed

    def _keep_slices(self, name: str, result: Localised) -> None:
        volume = result.volume
        points_mm = world_to_mm(result.prediction.positions_world, volume.affine, volume.grid)
        slices = MiddleSlices.of(volume.intensity.numpy(), volume.grid.mm_to_ijk(points_mm))
        Records(self.folder).keep_slices(name, slices)


def _remarks_on_size(header: Header, grid: Grid) -> list[str]:
    shape, affine = header
    ratio = times_as_long(affine, shape, grid)
    if 1 / OTHER_SIZE <= ratio <= OTHER_SIZE:
        return []
    return [f"size: {ratio:.2g} times as long as volumes in training; is it of their kind?"]


def descriptions(one: Reviewed, error_bars: ErrorBars | None) -> list[str]:
    """What landmark files say of each landmark: radius, why to look at it, spread."""
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
