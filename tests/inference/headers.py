"""Headers of predictions for tests."""

from typing import Any

from pin_lightning.common.geometry import Grid
from pin_lightning.inference.header import PredictionHeader


def header_of(**other: Any) -> PredictionHeader:
    """A header with some values otherwise."""
    usual: dict[str, Any] = {
        **{"run": "one", "fingerprint": "f" * 32, "version": "0.1.0", "format": "mrk.json"},
        **{"planes": (), "num_starts": None, "review_above_mm": None, "names": ("tip", "base")},
        **{"grid": Grid((2, 2, 2), 1.0), "with_pose": False, "calibration": None},
    }
    return PredictionHeader(**{**usual, **other})
