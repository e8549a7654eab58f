"""Prediction of any volume, or of many in batches, by a run or the folds of a cross-validation."""

import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from nibabel.affines import apply_affine

from pin_lightning.common.errors import failure
from pin_lightning.common.geometry import mm_to_world
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.settings import check_count
from pin_lightning.common.types import Bool, Float
from pin_lightning.data.images.reading import Header
from pin_lightning.data.intensity_windows import DEFAULT_WINDOW
from pin_lightning.data.preprocessing import OriginalImage, WorkingVolume, read_image, resample
from pin_lightning.data.usual_images import Traits, UsualImages, unlike_training
from pin_lightning.evaluation.conformal import Calibration
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.trajectory import LandmarkLocalizer, Trajectory
from pin_lightning.runs.agreement import disagreement
from pin_lightning.runs.folds import is_folds_folder, load_folds, read_calibration, read_folds
from pin_lightning.runs.found import found_run
from pin_lightning.runs.locator import Located, Locator
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.pose_stage import PoseStage, load_pose
from pin_lightning.runs.read_ahead import read_ahead
from pin_lightning.runs.volume_file import LocalFile, NotNow, VolumeFile

# Nearer to the border of the scan, a landmark's surroundings are cut away: in voxels, and as a
# share of the scan's side, since a tight crop has all landmarks near its border.
BORDER_VOXELS, BORDER_SHARE = 3, 0.02

_PASSING = (OSError, MemoryError, torch.OutOfMemoryError)  # errors that are not about a volume

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """Predicted landmarks of one volume.

    Attributes:
        names: Landmark names.
        positions_world: Positions in the scanner frame of the input file, RAS+ mm.
        spread_mm: Root-mean-square distance of the starts' final positions from their mean; with
            folds, of the starts of all folds.
        mean_shape_world: Mean shape in the working volume, RAS+ mm: a guess without the image.
        seconds: Time to read and resample its own file, if one was given, plus
            `localise_seconds`. Readers work in parallel, so that many files take less than the
            sum of their seconds.
        localise_seconds: Time to localise its batch, divided by the volumes of the batch.
        trajectory: Path of every start, in grid millimetres; a batch of one.
        outside: Landmarks outside the scan, or with positions that are not finite.
        near_border: Landmarks within the scan, less than three voxels, or 2 % of its side, from
            its border.
        pose: Pose of the anatomy in the scan, where the run has a pose stage.
        radius_mm: Radius that holds the true landmark about as often as the predictor's calibration
            asks; None without a calibration.
        remarks: In which respects the volume, or what was found in it, is unlike the training.
    """

    names: tuple[str, ...]
    positions_world: Float[np.ndarray, "L 3"]
    spread_mm: Float[np.ndarray, " L"]
    mean_shape_world: Float[np.ndarray, "L 3"]
    seconds: float
    localise_seconds: float
    trajectory: Trajectory
    outside: Bool[np.ndarray, " L"]
    near_border: Bool[np.ndarray, " L"]
    pose: Located | None = None
    radius_mm: Float[np.ndarray, " L"] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def landmarks(self) -> LandmarkSet:
        """The prediction for a file: landmarks outside the scan are undefined, not guessed."""
        seen = np.where(self.outside[:, None], np.nan, self.positions_world)
        return LandmarkSet.of(self.names, seen)


@dataclass(frozen=True, eq=False)
class _Read:
    """A working volume, the seconds it took, and the header and, where asked for, the image."""

    volume: WorkingVolume
    seconds: float
    header: Header
    image: OriginalImage | None
    pose: Located | None = None
    remarks: tuple[str, ...] = ()


_Reading: TypeAlias = tuple[VolumeFile, _Read | ValueError]


@dataclass(frozen=True, eq=False)
class Localised:
    """A prediction with its working volume and, as stored, its image and the header.

    So no file is read again to show a prediction. The image is None unless it was asked for.
    """

    prediction: Prediction
    volume: WorkingVolume
    header: Header
    image: OriginalImage | None


class Predictor:
    """Predict landmarks with a trained localizer.

    Args:
        localizer: Trained localizer, or an ensemble of them.
        names: Landmark names in its order.
        device: ``auto`` takes a GPU when there is one.
        calibration: Error bars, where the errors of other cases are known.
        poses: Trained pose stages, of a run that finds the pose first.
        window: Rule of the intensity window, a name in `WINDOWS`.
        usual: What the training volumes look like, if it is known.
        apart_mm: How far apart starts end in training volumes, as of `usual_apart_mm`, if it is
            known: where they end much farther apart, the pose is uncertain, and a remark says so.

    Examples:
        >>> predictor = Predictor.load("outputs/run")  # doctest: +SKIP
        >>> predictor.predict("volume.nii.gz").positions_world  # doctest: +SKIP
        >>> for path, result in predictor.predict_many(paths):  # doctest: +SKIP
        ...     print(path, result if isinstance(result, ValueError) else result.positions_world)
    """

    def __init__(
        self,
        localizer: LandmarkLocalizer,
        names: tuple[str, ...],
        device: str = "auto",
        calibration: Calibration | None = None,
        poses: Sequence[PoseStage] = (),
        window: str = DEFAULT_WINDOW,
        usual: UsualImages | None = None,
        apart_mm: float | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.localizer = localizer.eval().to(self.device)
        self.localizer.choose_dtype(self.device)
        self.names = names
        self.calibration, self.window, self.usual = calibration, window, usual
        self.apart_mm = apart_mm
        self.locator = None
        if poses:
            self.locator = Locator(poses, localizer.grid, self.device)

    @classmethod
    def load(cls, run: str | Path, device: str = "auto", trust_run: bool = False) -> "Predictor":
        """Load a run folder of `train.py`, or a folder of folds of `pin_lightning.cross_validate`.

        The predictions of folds are averaged.

        Args:
            run: The folder, a file of `pin_lightning.pack`, or the name of a ready model.
            device: ``auto`` takes a GPU when there is one.
            trust_run: Import and call classes of its maker's own that the run names.

        Raises:
            ValueError: There is none, the folder lacks a file or a fold, a file is damaged or of
                another version, the folds differ in their landmarks or grids, or the run names
                a class that is not of this program.
        """
        folder = found_run(run)
        localizer: LandmarkLocalizer
        if is_folds_folder(folder):
            localizers, record = load_folds(folder, trust_run)
            localizer, runs = Ensemble(localizers), read_folds(folder)
        else:
            localizer, record = load_localizer(folder, trust_run)
            runs = [folder]
        poses = [pose for one in runs if (pose := load_pose(one)) is not None]
        calibration = read_calibration(folder, record.names)
        ways = (record.window, record.training_images, record.apart_mm)
        return cls(localizer, record.names, device, calibration, poses, *ways)

    def predict(self, path: str | Path) -> Prediction:
        """Predict the landmarks of an image file, in its world coordinates.

        Raises:
            ValueError: The file is not a readable 3D volume.
        """
        reading = self._read(LocalFile(Path(path)))
        if isinstance(reading, ValueError):
            raise reading
        return self._localise([reading])[0]

    def localise(self, volume: WorkingVolume) -> Prediction:
        """Predict the landmarks of a working volume on the grid of the run, from `preprocess`."""
        return self._localise([_Read(volume, 0.0, (volume.grid.size, volume.affine), None)])[0]

    def place(self, image: OriginalImage) -> tuple[WorkingVolume, Located | None]:
        """Make the working volume of an image, where the pose stage finds it if there is one."""
        if self.locator is None:
            return resample(image, self.localizer.grid), None
        located = self.locator.locate(image)
        return resample(image, self.localizer.grid, located.affine), located

    def predict_many(
        self, paths: Iterable[str | Path], batch_size: int = 4, readers: int = 2
    ) -> Generator[tuple[Path, Prediction | ValueError], None, None]:
        """Predict many image files: volumes in batches, files read ahead in threads.

        Predictions equal those of `predict` up to the rounding of float32 in other batch sizes.
        About ``2 * batch_size`` working volumes are in memory at a time, however many files there
        are. To stop early, close the iterator (`contextlib.closing`).

        Args:
            paths: Image files and folders of DICOM series; taken as they are needed.
            batch_size: Volumes that are localised at the same time.
            readers: Threads that read and resample files.

        Yields:
            Each path, in their order, with its prediction, or with the error of its file. Such a
            file takes no place in a batch.

        Raises:
            ValueError: A number is below one.
        """
        files = (LocalFile(Path(path)) for path in paths)
        return _predictions(self.localise_many(files, batch_size, readers))

    def localise_many(
        self,
        files: Iterable[VolumeFile],
        batch_size: int = 4,
        readers: int = 2,
        with_images: bool = False,
    ) -> Generator[tuple[VolumeFile, Localised | ValueError], None, None]:
        """Predict like `predict_many`, and give the volumes that predictions were made from.

        `with_images` adds images as stored, of which about ``2 * batch_size`` are then in memory.
        """
        check_count("batch_size", batch_size)
        check_count("readers", readers)
        return self._localise_many(iter(files), batch_size, readers, with_images)

    def _localise_many(
        self, files: Iterator[VolumeFile], batch_size: int, readers: int, with_images: bool
    ) -> Generator[tuple[VolumeFile, Localised | ValueError], None, None]:
        batch: list[_Reading] = []
        read = partial(self._read, with_image=with_images)
        with closing(read_ahead(read, files, max(batch_size, readers), readers)) as readings:
            for reading in readings:
                batch.append(reading)
                volumes = sum(isinstance(one, _Read) for _, one in batch)
                if volumes in (0, batch_size):  # 0: errors alone need not wait
                    yield from self._finish(batch)
                    batch = []
            yield from self._finish(batch)

    def _finish(self, batch: list[_Reading]) -> list[tuple[VolumeFile, Localised | ValueError]]:
        made = iter(self._localised([(file, one) for file, one in batch if isinstance(one, _Read)]))
        return [(file, one if isinstance(one, ValueError) else next(made)) for file, one in batch]

    def _localised(self, read: Sequence[tuple[VolumeFile, _Read]]) -> list[Localised | ValueError]:
        """Localise together, or one by one where that fails: one must not end the others."""
        try:
            made = self._localise([one for _, one in read])
        except Exception as error:
            log.debug("%d volumes", len(read), exc_info=True)
            if len(read) == 1:
                kind = NotNow if isinstance(error, _PASSING) else ValueError
                return [kind(failure(read[0][0].shown, error))]
            return [found for pair in read for found in self._localised([pair])]
        pairs = zip(made, read, strict=True)
        return [Localised(found, one.volume, one.header, one.image) for found, (_, one) in pairs]

    def _read(self, file: VolumeFile, with_image: bool = False) -> _Read | ValueError:
        began, path = time.perf_counter(), None
        try:
            with file.local() as path:
                image = read_image(path, self.window)
                volume, pose = self.place(image)
            if self.device.type == "cuda":
                with torch.cuda.device(self.device):
                    volume = replace(volume, intensity=volume.intensity.pin_memory())
            remarks = [] if self.usual is None else unlike_training(Traits.of(volume), self.usual)
        except Exception as error:
            log.debug("%s", file.shown, exc_info=True)
            said = failure(file.shown, error)
            kind = NotNow if path is None or isinstance(error, _PASSING) else ValueError
            # A new one: a traceback keeps voxels alive.
            return kind(said if path is None else said.replace(str(path), file.shown))
        seconds = time.perf_counter() - began
        header = (image.voxels.shape, image.affine)
        kept = image if with_image else None
        return _Read(volume, seconds, header, kept, pose, tuple(remarks))

    def _localise(self, readings: Sequence[_Read]) -> list[Prediction]:
        if not readings:
            return []
        began = time.perf_counter()
        volumes = [one.volume.intensity.to(self.device, non_blocking=True) for one in readings]
        trajectories = _one_by_one(self.localizer(torch.stack(volumes)))
        seconds = (time.perf_counter() - began) / len(readings)
        pairs = zip(readings, trajectories, strict=True)
        return [self._prediction(reading, trajectory, seconds) for reading, trajectory in pairs]

    def _prediction(self, reading: _Read, trajectory: Trajectory, seconds: float) -> Prediction:
        volume, bars = reading.volume, self.calibration
        positions_mm = trajectory.prediction_mm[0].double().cpu().numpy()
        mean_mm = self.localizer.mean_shape_mm.double().cpu().numpy()
        # Where sizes are found, a millimetre of the anatomical frame is another one in the scan.
        size = 1.0 if reading.pose is None else reading.pose.found.pose.scale
        spread_mm = size * trajectory.spread_mm[0].double().cpu().numpy()
        positions_world = mm_to_world(positions_mm, volume.affine, volume.grid)
        outside, near_border = _seen(positions_world, reading.header)
        apart_mm, pose, remarks = float(trajectory.apart_mm[0]), reading.pose, reading.remarks
        said = disagreement(apart_mm, self.apart_mm, volume.grid.spacing_mm)
        if said is not None:
            pose, remarks = pose and replace(pose, uncertain=True), (*remarks, said)
        return Prediction(
            names=self.names,
            positions_world=positions_world,
            spread_mm=spread_mm,
            mean_shape_world=mm_to_world(mean_mm, volume.affine, volume.grid),
            seconds=reading.seconds + seconds,
            localise_seconds=seconds,
            trajectory=trajectory,
            outside=outside,
            near_border=near_border,
            pose=pose,
            radius_mm=None if bars is None else bars.radius_mm(spread_mm),
            remarks=remarks,
        )


def _seen(
    positions_world: Float[np.ndarray, "L 3"], header: Header
) -> tuple[Bool[np.ndarray, " L"], Bool[np.ndarray, " L"]]:
    """Tell which positions lie outside a scan, and which within it but near its border."""
    shape, affine = header
    ijk = apply_affine(np.linalg.inv(affine), positions_world)
    depth = np.minimum(ijk + 0.5, np.array(shape) - 0.5 - ijk)
    inside = (depth >= 0).all(axis=1)  # NaN is not
    near = (depth < np.minimum(BORDER_VOXELS, BORDER_SHARE * np.array(shape))).any(axis=1)
    return ~inside, inside & near


def _predictions(
    results: Generator[tuple[VolumeFile, Localised | ValueError], None, None],
) -> Generator[tuple[Path, Prediction | ValueError], None, None]:
    with closing(results):
        for file, found in results:
            one = found if isinstance(found, ValueError) else found.prediction
            del found  # or the volume would live on while the prediction is looked at
            yield Path(file.shown), one


def _one_by_one(batch: Trajectory) -> list[Trajectory]:
    """Split a batch into volumes, without iterations that only other volumes made."""
    steps = batch.iterations.amax(dim=1).tolist()  # waits for the GPU
    return [
        Trajectory(
            # Copies, so that one kept prediction does not keep the paths of a whole batch.
            landmarks_mm=batch.landmarks_mm[index : index + 1, : made + 1].clone(),
            iterations=batch.iterations[index : index + 1].clone(),
            prediction_mm=batch.prediction_mm[index : index + 1].clone(),
            spread_mm=batch.spread_mm[index : index + 1].clone(),
            within_mm=batch.within_mm[index : index + 1].clone(),
        )
        for index, made in enumerate(steps)
    ]


def choose_device(device: str) -> torch.device:
    """Find the torch device of a name; ``auto`` is a GPU when there is one, else the CPU.

    Raises:
        ValueError: torch does not know the name, or the device is absent.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={device}: cannot be used here ({reason})") from error
