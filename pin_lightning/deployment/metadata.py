"""Metadata of an ONNX file: all that a program needs besides the graph, as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from pin_lightning.common.types import Tensor
from pin_lightning.data.intensity_windows import BACKGROUND_FRACTION, PERCENTILES
from pin_lightning.data.preprocessing import PREPROCESSING_VERSION
from pin_lightning.evaluation.conformal import Calibration
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.shape_models import ShapeModel

FORMAT_VERSION = 1
# Short, for readers with a viewer; `docs/deployment.md` has the details.
FRAMES = {
    "volume": "voxel index along the axes of the image, reordered and flipped to the closest RAS",
    "landmarks_mm": "mm from the centre of the volume: ijk = mm / spacing_mm + (size - 1) / 2",
    "world": "RAS+ mm: the directions of the image and its centre, which is that of the volume",
}
STEPS = (
    "reorder and flip the axes of the image to the closest RAS; directions stay oblique",
    "window: percentiles of all voxels, or of those above the minimum where more than "
    "background_fraction are at the minimum; minimum and maximum where they are equal",
    "clip((voxel - low) * 255 / (high - low), 0, 255) in float32",
    "Gaussian along axes that lose resolution: sigma = sqrt((r^2 - 1) / (8 ln 2)) voxels, "
    "r = spacing_mm / voxel side, where above 0.1; edges repeated",
    "linear resampling to size and spacing_mm around the centre of the image; 0 outside",
    "round to 8 bits",
)


def metadata(
    names: Sequence[str], localizers: Sequence[Localizer], calibration: Calibration | None = None
) -> dict[str, str]:
    """Entries of the metadata, each JSON, of a file that averages localizers of one grid."""
    grid = localizers[0].grid
    entries: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "program": {"name": "pin_lightning", "version": _version()},
        "landmarks": list(names),
        "grid": {"size": list(grid.size), "spacing_mm": grid.spacing_mm},
        "frames": FRAMES,
        "preprocessing": {
            "version": PREPROCESSING_VERSION,
            "percentiles": list(PERCENTILES),
            "background_fraction": BACKGROUND_FRACTION,
            "intensity_range": [0, 255],
            "steps": list(STEPS),
        },
        "localizers": [_localizer(one) for one in localizers],
    }
    if calibration is not None:
        entries["error_bars"] = _error_bars(calibration)
    return {key: json.dumps(value, ensure_ascii=False) for key, value in entries.items()}


def _version() -> str:
    try:
        return version("pin-lightning")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def _localizer(localizer: Localizer) -> dict[str, Any]:
    first = localizer.first_stage
    stages = first.members if isinstance(first, Ensemble) else [first]
    return {
        "network": type(localizer.network).__name__,
        "patch_side": localizer.patch_side,
        "patch_spacings": list(localizer.patch_spacings),
        "interpolation": localizer.interpolation,
        "displacement_unit": localizer.displacement_unit,
        "displacement_unit_mm": numbers(localizer.unit_mm()),
        "update_rule": _named(localizer.update_rule),
        "tolerance_mm": localizer.tolerance_mm,
        "num_starts": localizer.num_starts,
        "starts": numbers(localizer.starts()) if first is None else None,
        "shape_model": _shape_model(localizer.shape_model),
        "prior": None if localizer.prior is None else _shape_model(localizer.prior),
        "prior_iterations": localizer.prior_iterations,
        "first_stage": [_localizer(one) for one in stages if isinstance(one, Localizer)],
    }


def _shape_model(model: ShapeModel) -> dict[str, Any]:
    tensors = {name: numbers(value) for name, value in model.state_dict().items()}
    return {"kind": type(model).__name__, "groups": model.num_groups, "tensors": tensors}


def _named(part: object) -> dict[str, Any]:
    settings = asdict(part) if is_dataclass(part) and not isinstance(part, type) else {}
    return {"kind": type(part).__name__, **settings}


def _error_bars(calibration: Calibration) -> dict[str, Any]:
    """``radius_mm = factor * max(usual_error_mm, spread_weight * spread_mm)`` by landmark."""
    return {
        "coverage": calibration.settings.coverage,
        "spread_weight": calibration.settings.spread_weight,
        "usual_error_mm": calibration.usual_error_mm.tolist(),
        "factor": calibration.factor.tolist(),
    }


def numbers(tensor: Tensor) -> Any:
    """A tensor as nested lists of nine digits, which float32 restores exactly."""
    values = tensor.detach().cpu().numpy()
    digits = [float(f"{value:.9g}") for value in values.ravel().tolist()]
    return np.array(digits).reshape(values.shape).tolist()
