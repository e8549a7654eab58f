"""PIN-Lightning: anatomical landmarks in 3D medical volumes by a patch-based iterative network.

>>> from pin_lightning import Predictor
>>> Predictor.load("outputs/run").predict("scan.nii.gz").positions_world  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pin_lightning.common.landmark_set import LandmarkSet
    from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks
    from pin_lightning.runs.predictor import Predictor
    from pin_lightning.training.run import train

__all__ = ["LandmarkSet", "Predictor", "read_landmarks", "train", "write_landmarks"]

# Imported on first use: the package itself loads in milliseconds, without torch.
_MODULES = {
    "LandmarkSet": "pin_lightning.common.landmark_set",
    "Predictor": "pin_lightning.runs.predictor",
    "read_landmarks": "pin_lightning.data.landmarks.files",
    "train": "pin_lightning.training.run",
    "write_landmarks": "pin_lightning.data.landmarks.files",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Public names, for completion."""
    return sorted({*globals(), *__all__})
