"""Metadata of an ONNX file: all that a program needs besides the graph, as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from pin_lightning.common.types import Tensor
from pin_lightning.data.intensity_windows import (
    BACKGROUND_FRACTION,
    DEFAULT_WINDOW,
    PERCENTILES,
    ROBUST_WINDOW,
)
from pin_lightning.data.preprocessing import PREPROCESSING_VERSION
from pin_lightning.evaluation.conformal import Calibration
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.runs.agreement import most_apart_mm

FORMAT_VERSION = 1
POSED_VERSION = 3  # of a run with a pose stage: a reader of 1 would take volumes along image axes
# Short, for readers with a viewer; `docs/deployment.md` has the details.
FRAMES = {
    "volume": "voxel index along the axes of the image, reordered and flipped to the closest RAS",
    "landmarks_mm": "mm from the centre of the volume: ijk = mm / spacing_mm + (size - 1) / 2",
    "world": "RAS+ mm: the directions of the image and its centre, which is that of the volume",
}
POSED_FRAMES = {
    "volume": "voxel index along the axes of the anatomical frame, which the files in poses find",
    "landmarks_mm": FRAMES["landmarks_mm"],
    "world": "RAS+ mm: to_world @ pose @ mm, where pose is from anatomical mm to mm from the "
    "centre of the scan along its axes closest to RAS, and to_world from there to the world",
}
ORDER = "reorder and flip the axes of the image to the closest RAS; directions stay oblique"
WINDOW_STEPS = {
    DEFAULT_WINDOW: "window: percentiles of all voxels, or of those above the minimum where more "
    "than background_fraction are at the minimum; minimum and maximum where they are equal",
    ROBUST_WINDOW: "window: the rule robust of docs/deployment.md",
}
RESAMPLING = (
    "clip((voxel - low) * 255 / (high - low), 0, 255) in float32",
    "Gaussian along axes that lose resolution: sigma = sqrt((r^2 - 1) / (8 ln 2)) voxels, "
    "r = spacing_mm / voxel side, where above 0.1; edges repeated",
)
ROUND = "round to 8 bits"
AROUND_CENTRE = "linear resampling to size and spacing_mm around the centre of the image; 0 outside"
SEARCH = "pose: search in the scan at spacings_mm of the files in poses, by their graphs"
IN_POSE = "linear resampling to size and spacing_mm in the frame of the pose; 0 outside the image"


def metadata(
    names: Sequence[str],
    localizers: Sequence[Localizer],
    calibration: Calibration | None = None,
    window: str = DEFAULT_WINDOW,
    poses: Sequence[str] = (),
    apart_mm: float | None = None,
) -> dict[str, str]:
    """Entries of the metadata, each JSON, of a file that averages localizers of one grid.

    Args:
        names: Landmarks.
        localizers: The localizers.
        calibration: Error bars.
        window: Rule of the intensity window.
        poses: Files of the pose stages, of a run that has them.
        apart_mm: How far apart starts usually end, if it is known.
    """
    grid = localizers[0].grid
    steps = (SEARCH, *RESAMPLING, IN_POSE) if poses else (*RESAMPLING, AROUND_CENTRE)
    entries: dict[str, Any] = {
        **about_program(bool(poses)),
        "landmarks": list(names),
        "grid": {"size": list(grid.size), "spacing_mm": grid.spacing_mm},
        "frames": POSED_FRAMES if poses else FRAMES,
        "frame": "anatomical" if poses else "image",
        "preprocessing": preprocessing(window, steps),
        "localizers": [_localizer(one) for one in localizers],
    }
    if poses:
        entries["poses"] = list(poses)
    if apart_mm is not None:
        entries["most_apart_mm"] = most_apart_mm(apart_mm, grid.spacing_mm)
    if calibration is not None:
        entries["error_bars"] = _error_bars(calibration)
    return as_json(entries)


def about_program(posed: bool) -> dict[str, Any]:
    """Entries that every file has."""
    return {
        "format_version": POSED_VERSION if posed else FORMAT_VERSION,
        "program": {"name": "pin_lightning", "version": _version()},
    }


def preprocessing(window: str, steps: Sequence[str]) -> dict[str, Any]:
    """Entry of the preprocessing, by the rule of the window and the steps after it."""
    percentiles = {
        "percentiles": list(PERCENTILES),
        "background_fraction": BACKGROUND_FRACTION,
    }
    return {
        "version": PREPROCESSING_VERSION,
        "window": window,
        **(percentiles if window == DEFAULT_WINDOW else {}),
        "intensity_range": [0, 255],
        "steps": [ORDER, WINDOW_STEPS[window], *steps, ROUND],
    }


def as_json(entries: Mapping[str, Any]) -> dict[str, str]:
    """Entries as JSON."""
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
