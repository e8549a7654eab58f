"""Load a run, or the folds of a cross-validation, once; predict any volume, or many in batches."""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from pin_lightning.cli.program import user_mistake
from pin_lightning.common.geometry import mm_to_world
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.settings import check_count
from pin_lightning.common.types import Bool, Float
from pin_lightning.data.images.reading import Header
from pin_lightning.data.preprocessing import OriginalImage, WorkingVolume, read_image, resample
from pin_lightning.evaluation.conformal import Calibration
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer, Trajectory
from pin_lightning.runs.folds import is_folds_folder, load_folds, read_calibration
from pin_lightning.runs.model import load_localizer
from pin_lightning.runs.read_ahead import read_ahead


@dataclass(frozen=True)
class Prediction:
    """Predicted landmarks of one volume.

    Attributes:
        names: Landmark names.
        positions_world: Positions in the scanner frame of the input file, RAS+ mm.
        spread_mm: Root-mean-square distance of the starts' final positions from their mean, with
            folds of the starts of all folds.
        mean_shape_world: The guess that uses no image, RAS+ mm.
        seconds: To read and resample its own file, if one was given, and to localise its batch
            divided by the volumes of the batch. Readers work at the same time, so that many files
            take less than the sum of their seconds.
        localise_seconds: Its part of localising the batch.
        trajectory: Path of every start, in grid millimetres; a batch of one.
        outside: Which landmarks lie outside the working volume, or nowhere: a start went astray.
        radius_mm: Radius that holds the true landmark about as often as the predictor's calibration
            asks; none without one.
    """

    names: tuple[str, ...]
    positions_world: Float[np.ndarray, "L 3"]
    spread_mm: Float[np.ndarray, " L"]
    mean_shape_world: Float[np.ndarray, "L 3"]
    seconds: float
    localise_seconds: float
    trajectory: Trajectory
    outside: Bool[np.ndarray, " L"]
    radius_mm: Float[np.ndarray, " L"] | None = None

    @property
    def landmarks(self) -> LandmarkSet:
        """The prediction as a landmark set, for writing to a file."""
        return LandmarkSet.of(self.names, self.positions_world)


@dataclass(frozen=True, eq=False)
class _Read:
    """A working volume, the seconds from its file to it, and its image, if only the header."""

    volume: WorkingVolume
    seconds: float
    header: Header | None = None
    image: OriginalImage | None = None


_Reading: TypeAlias = tuple[Path, _Read | ValueError]


@dataclass(frozen=True, eq=False)
class Localised:
    """A prediction and what it was made from, so that no file is read again to show it.

    Attributes:
        prediction: The prediction.
        volume: The working volume.
        header: Shape and affine of the image as stored.
        image: The image as stored, where it was asked for.
    """

    prediction: Prediction
    volume: WorkingVolume
    header: Header
    image: OriginalImage | None


class Predictor:
    """Predicts landmarks with a trained localizer.

    Args:
        localizer: Trained localizer, or an ensemble of them.
        names: Landmark names in its order.
        device: ``auto`` takes a GPU when there is one.
        calibration: Error bars, where the errors of other cases are known.

    Examples:
        >>> predictor = Predictor.load("outputs/run")  # doctest: +SKIP
        >>> predictor.predict("volume.nii.gz").positions_world  # doctest: +SKIP
        >>> for path, result in predictor.predict_many(paths):  # doctest: +SKIP
        ...     print(path, result if isinstance(result, ValueError) else result.positions_world)
    """

    def __init__(
        self,
        localizer: Localizer | Ensemble,
        names: tuple[str, ...],
        device: str = "auto",
        calibration: Calibration | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.localizer = localizer.eval().to(self.device)
        self.localizer.choose_dtype(self.device)
        self.names = names
        self.calibration = calibration

    @classmethod
    def load(cls, run: str | Path, device: str = "auto", trust_run: bool = False) -> "Predictor":
        """Load a run folder of `train.py`, or a folder of folds of `pin_lightning.cross_validate`.

        The predictions of folds are averaged.

        Args:
            run: The folder.
            device: ``auto`` takes a GPU when there is one.
            trust_run: Import and call classes of its maker's own that the run names.

        Raises:
            ValueError: The folder lacks a file or a fold, a file is damaged or of another version,
                the folds differ in their landmarks or grids, or the run names a class that is not
                of this program.
        """
        folder = Path(run)
        localizer: Localizer | Ensemble
        if is_folds_folder(folder):
            localizers, record = load_folds(folder, trust_run)
            localizer = Ensemble(localizers)
        else:
            localizer, record = load_localizer(folder, trust_run)
        return cls(localizer, record.names, device, read_calibration(folder, record.names))

    def predict(self, path: str | Path) -> Prediction:
        """Landmarks of an image file, in its world coordinates.

        Raises:
            ValueError: The file is not a readable 3D volume.
        """
        reading = self._read(Path(path))
        if isinstance(reading, ValueError):
            raise reading
        return self._localise([reading])[0]

    def localise(self, volume: WorkingVolume) -> Prediction:
        """Landmarks of a working volume: the cheap step, after `preprocess`.

        Args:
            volume: On the grid of the run.
        """
        return self._localise([_Read(volume, seconds=0.0)])[0]

    def predict_many(
        self, paths: Iterable[str | Path], batch_size: int = 4, readers: int = 2
    ) -> Generator[tuple[Path, Prediction | ValueError], None, None]:
        """Landmarks of many image files: volumes in batches, files read ahead in threads.

        Predictions are those of `predict` but for the rounding of float32 in other batch sizes.
        About ``2 * batch_size`` working volumes are in memory at a time, however many files there
        are. To stop early, close the iterator (`contextlib.closing`).

        Args:
            paths: Image files and folders of DICOM series; taken as they are needed.
            batch_size: Volumes that are localised at the same time.
            readers: Threads that read and resample files.

        Yields:
            For each path, in their order, its prediction, or what is wrong with the file. Such a
            file takes no place in a batch.

        Raises:
            ValueError: A number is below one.
        """
        return _predictions(self.localise_many(paths, batch_size, readers))

    def localise_many(
        self,
        paths: Iterable[str | Path],
        batch_size: int = 4,
        readers: int = 2,
        with_images: bool = False,
    ) -> Generator[tuple[Path, Localised | ValueError], None, None]:
        """`predict_many` with the volumes that predictions were made from.

        Args:
            paths: As of `predict_many`.
            batch_size: As of `predict_many`.
            readers: As of `predict_many`.
            with_images: Whether images as stored come, too. Then about ``2 * batch_size`` of them
                are in memory at a time.

        Raises:
            ValueError: A number is below one.
        """
        check_count("batch_size", batch_size)
        check_count("readers", readers)
        return self._localise_many(map(Path, paths), batch_size, readers, with_images)

    def _localise_many(
        self, paths: Iterator[Path], batch_size: int, readers: int, with_images: bool
    ) -> Generator[tuple[Path, Localised | ValueError], None, None]:
        batch: list[_Reading] = []
        read = partial(self._read, with_image=with_images)
        with read_ahead(read, paths, max(batch_size, readers), readers) as readings:
            for reading in readings:
                batch.append(reading)
                volumes = sum(isinstance(one, _Read) for _, one in batch)
                if volumes in (0, batch_size):  # 0: nothing keeps an error waiting
                    yield from self._finish(batch)
                    batch = []
            yield from self._finish(batch)

    def _finish(self, batch: list[_Reading]) -> list[tuple[Path, Localised | ValueError]]:
        """Results of all files of a batch, in their order."""
        found = [one for _, one in batch if isinstance(one, _Read)]
        predictions = iter(self._localise(found) if found else ())
        results: list[tuple[Path, Localised | ValueError]] = []
        for path, one in batch:
            if isinstance(one, ValueError):
                results.append((path, one))
                continue
            assert one.header is not None
            made_from = (one.volume, one.header, one.image)
            results.append((path, Localised(next(predictions), *made_from)))
        return results

    def _read(self, path: Path, with_image: bool = False) -> _Read | ValueError:
        """The working volume of a file, or what is wrong with the file."""
        began = time.perf_counter()
        try:
            image = read_image(path)
            volume = resample(image, self.localizer.grid)
        except (ValueError, OSError) as error:
            return ValueError(user_mistake(error))  # a new one: a traceback keeps voxels alive
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                volume = replace(volume, intensity=volume.intensity.pin_memory())
        seconds = time.perf_counter() - began
        header = (image.voxels.shape, image.affine)
        return _Read(volume, seconds, header, image if with_image else None)

    def _localise(self, readings: Sequence[_Read]) -> list[Prediction]:
        """Predictions of the volumes of one batch."""
        began = time.perf_counter()
        intensities = [reading.volume.intensity for reading in readings]
        on_device = [one.to(self.device, non_blocking=True) for one in intensities]
        trajectories = _one_by_one(self.localizer(torch.stack(on_device)))
        seconds = (time.perf_counter() - began) / len(readings)
        return [
            self._prediction(reading, trajectory, seconds)
            for reading, trajectory in zip(readings, trajectories, strict=True)
        ]

    def _prediction(
        self, reading: _Read, trajectory: Trajectory, localise_seconds: float
    ) -> Prediction:
        volume = reading.volume
        positions_mm = trajectory.prediction_mm[0].double().cpu().numpy()
        mean_mm = self.localizer.mean_shape_mm.double().cpu().numpy()
        spread_mm = trajectory.spread_mm[0].double().cpu().numpy()
        bars = self.calibration
        return Prediction(
            names=self.names,
            positions_world=mm_to_world(positions_mm, volume.affine, volume.grid),
            spread_mm=spread_mm,
            mean_shape_world=mm_to_world(mean_mm, volume.affine, volume.grid),
            seconds=reading.seconds + localise_seconds,
            localise_seconds=localise_seconds,
            trajectory=trajectory,
            # So written that NaN is outside.
            outside=~(np.abs(positions_mm) <= np.array(volume.grid.extent_mm) / 2).all(axis=1),
            radius_mm=None if bars is None else bars.radius_mm(spread_mm),
        )


def _predictions(
    results: Generator[tuple[Path, Localised | ValueError], None, None],
) -> Generator[tuple[Path, Prediction | ValueError], None, None]:
    """The predictions alone."""
    with closing(results):
        for path, found in results:
            one = found if isinstance(found, ValueError) else found.prediction
            del found  # or the volume would live on while the prediction is looked at
            yield path, one


def _one_by_one(batch: Trajectory) -> list[Trajectory]:
    """The trajectory of each volume, without the iterations that only other volumes made."""
    steps = batch.iterations.amax(dim=1).tolist()  # a graphics card is waited for here
    return [
        Trajectory(
            # Copies, so that one kept prediction does not keep the paths of a whole batch.
            landmarks_mm=batch.landmarks_mm[index : index + 1, : made + 1].clone(),
            iterations=batch.iterations[index : index + 1].clone(),
            prediction_mm=batch.prediction_mm[index : index + 1].clone(),
            spread_mm=batch.spread_mm[index : index + 1].clone(),
        )
        for index, made in enumerate(steps)
    ]


def choose_device(device: str) -> torch.device:
    """The torch device of a name; ``auto`` is a GPU when there is one, else the CPU.

    Raises:
        ValueError: torch does not know the name, or the device is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={device}: cannot be used here ({reason})") from error
