"""Load a run once, predict any volume."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pin_lightning.geometry import mm_to_world
from pin_lightning.landmarks import LandmarkSet
from pin_lightning.localizer import Localizer, Trajectory
from pin_lightning.preprocessing import WorkingVolume, preprocess
from pin_lightning.run_folder import load_localizer
from pin_lightning.types import Float


@dataclass(frozen=True)
class Prediction:
    """Predicted landmarks of one volume.

    Attributes:
        names: Landmark names.
        positions_world: Positions in the scanner frame of the input file, RAS+ mm.
        spread_mm: Root-mean-square distance of the starts' final positions from their mean.
        mean_shape_world: The guess that uses no image, RAS+ mm.
        seconds: From the file, or the working volume if that was given, to the landmarks.
        trajectory: Path of every start, in grid millimetres.
    """

    names: tuple[str, ...]
    positions_world: Float[np.ndarray, "L 3"]
    spread_mm: Float[np.ndarray, " L"]
    mean_shape_world: Float[np.ndarray, "L 3"]
    seconds: float
    trajectory: Trajectory

    @property
    def landmarks(self) -> LandmarkSet:
        """The prediction as a landmark set, for writing to a file."""
        return LandmarkSet.of(self.names, self.positions_world)


class Predictor:
    """Predicts landmarks with a trained localizer.

    >>> predictor = Predictor.load("outputs/run")  # doctest: +SKIP
    >>> predictor.predict("volume.nii.gz").positions_world  # doctest: +SKIP

    Args:
        localizer: Trained localizer.
        names: Landmark names in its order.
        device: ``auto`` takes a GPU when there is one.
    """

    def __init__(self, localizer: Localizer, names: tuple[str, ...], device: str = "auto") -> None:
        self.device = choose_device(device)
        self.localizer = localizer.eval().to(self.device)
        self.names = names

    @classmethod
    def load(cls, run: str | Path, device: str = "auto") -> "Predictor":
        """Load the run folder that `train.py` wrote.

        Raises:
            ValueError: The folder lacks a file, or a file is damaged or of another version.
        """
        localizer, record = load_localizer(Path(run))
        return cls(localizer, record.names, device)

    def predict(self, path: str | Path) -> Prediction:
        """Landmarks of an image file, in its world coordinates.

        Raises:
            ValueError: The file is not a readable 3D volume.
        """
        began = time.perf_counter()
        return self.localise(preprocess(Path(path), self.localizer.grid), began)

    def localise(self, volume: WorkingVolume, began: float | None = None) -> Prediction:
        """Landmarks of a working volume: the cheap step, after `preprocess`.

        Args:
            volume: On the grid of the run.
            began: When the work on this volume began, a `time.perf_counter` reading.
        """
        began = time.perf_counter() if began is None else began
        trajectory = self.localizer(volume.intensity[None].to(self.device))
        positions_mm = trajectory.prediction_mm[0].double().cpu().numpy()
        mean_mm = self.localizer.shape_model.mean_mm_.double().cpu().numpy()
        return Prediction(
            names=self.names,
            positions_world=mm_to_world(positions_mm, volume.affine, volume.grid),
            spread_mm=trajectory.spread_mm[0].double().cpu().numpy(),
            mean_shape_world=mm_to_world(mean_mm, volume.affine, volume.grid),
            seconds=time.perf_counter() - began,
            trajectory=trajectory,
        )


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
