"""What predicts into a folder, ``prediction.json``: all its volumes are of one run and settings."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pin_lightning.common.files import write_json
from pin_lightning.common.geometry import Grid
from pin_lightning.evaluation.conformal import Calibration
from pin_lightning.inference.plane_slices import slice_files
from pin_lightning.runs.error_bars import ErrorBars
from pin_lightning.runs.folds import calibration_json, calibration_of

HEADER = "prediction.json"
FORMAT_VERSION = 2
FilesOf: TypeAlias = Mapping[str, Sequence[str]]  # by the name of the volume


@dataclass(frozen=True, eq=False)
class PredictionHeader:
    """What predicts into a folder.

    Attributes:
        run: Name of the run.
        fingerprint: Of the run, as of `run_fingerprint`.
        version: Of this program.
        format: Ending of landmark files.
        planes: Names of the planes along which slices are written.
        num_starts: Starts that are averaged; None is the number of the training.
        review_above_mm: As of `ErrorBars`.
        names: Landmark names.
        grid: Working grid.
        with_pose: Whether the run finds the pose.
        calibration: Error bars of the run, if it has any.
        dicom: Whether reports on DICOM series are written.
    """

    run: str
    fingerprint: str
    version: str
    format: str
    planes: tuple[str, ...]
    num_starts: int | None
    review_above_mm: float | None
    names: tuple[str, ...]
    grid: Grid
    with_pose: bool
    calibration: Calibration | None
    dicom: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What results depend on, beside the run."""
        planes = list(self.planes)
        return {
            "format": self.format,
            "planes": planes,
            "dicom": self.dicom,
            "num_starts": self.num_starts,
            "review_above_mm": self.review_above_mm,
            "version": self.version,
        }

    @property
    def by(self) -> str:
        """Hash of run and settings, as in the records of volumes."""
        text = json.dumps([self.fingerprint, self.settings])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def error_bars(self) -> ErrorBars | None:
        """Error bars of predictions, if the run has any."""
        if self.calibration is None:
            return None
        return ErrorBars(self.calibration, self.review_above_mm)

    def files(self, name: str) -> list[str]:
        """Names of all files that may be written for a volume, its record apart."""
        slices = (slice_files(name, plane) for plane in self.planes)
        report = [report_file(name)] if self.dicom else []
        return [f"{name}.{self.format}", *report, *(one for pair in slices for one in pair)]

    def difference(self, other: "PredictionHeader") -> str | None:
        """In what another one differs, in a few words; None if in nothing."""
        if self.fingerprint != other.fingerprint:
            same = " (trained again, or another of the same name)" * (self.run == other.run)
            return f"run {other.run}{same}"
        theirs = other.settings
        found = [f"{key}={theirs[key]}" for key, own in self.settings.items() if own != theirs[key]]
        return ", ".join(found) or None

    def write(self, folder: Path) -> None:
        """Write ``prediction.json``."""
        calibration = self.calibration and calibration_json(self.calibration)
        content = {
            **{"format_version": FORMAT_VERSION, "run": self.run, "fingerprint": self.fingerprint},
            **{**self.settings, "names": list(self.names), "with_pose": self.with_pose},
            **{"size": list(self.grid.size), "spacing_mm": self.grid.spacing_mm},
            **{"calibration": calibration},
        }
        write_json(folder / HEADER, content)


def report_file(name: str) -> str:
    """Name of the file of a DICOM report."""
    return f"{name}.dcm"


def read_header(folder: Path) -> PredictionHeader | FilesOf | None:
    """Read ``prediction.json``; None if there is none.

    Returns:
        The header, or the files that a prediction of an earlier version wrote for each volume.

    Raises:
        ValueError: It is damaged, or of a later version.
    """
    path = folder / HEADER
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format_version"] == 1:
            return _files_of_before(content)
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"of version {str(content['format_version'])[:80]}")
        return _header(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: is damaged ({' '.join(str(error).split())}); give another output folder, or "
            f"remove it with the predictions"
        ) from error


def _header(content: Mapping[str, Any]) -> PredictionHeader:
    planes, names = (tuple(map(str, content[key])) for key in ("planes", "names"))
    for one in (content["format"], *planes):
        refuse_elsewhere(f"_{one}")
    x, y, z = map(int, content["size"])
    calibration = content["calibration"] and calibration_of(content["calibration"])
    if calibration and calibration.names != names:
        raise ValueError("error bars of other landmarks")
    return PredictionHeader(
        run=str(content["run"]),
        fingerprint=str(content["fingerprint"]),
        version=str(content["version"]),
        format=str(content["format"]),
        planes=planes,
        num_starts=content["num_starts"],
        review_above_mm=content["review_above_mm"],
        names=names,
        grid=Grid((x, y, z), float(content["spacing_mm"])),
        with_pose=bool(content["with_pose"]),
        calibration=calibration or None,
        dicom=bool(content["dicom"]),
    )


def _files_of_before(content: Mapping[str, Any]) -> FilesOf:
    volumes = {str(name): list(map(str, files)) for name, files in content["volumes"].items()}
    for one in (one for files in volumes.values() for one in files):
        refuse_elsewhere(one)
    return volumes


def refuse_elsewhere(name: str) -> None:
    """Refuse what is no name of a file in the folder itself.

    Raises:
        ValueError: It is elsewhere.
    """
    if Path(name).name != name:
        raise ValueError(f"a file elsewhere, {name[:80]}")
