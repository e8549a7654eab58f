"""The pose stage of a run on disk: the folder ``pose`` in the run folder.

``pose.json`` holds what the data decided, ``checkpoints/last.ckpt`` weights and mean shape.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pin_lightning.common.files import write_json
from pin_lightning.data.anatomy import LEAST_SCALE, MOST_SCALE, Anatomy
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.runs import folder
from pin_lightning.runs.formats import FORMAT_VERSION, read_versioned
from pin_lightning.runs.model import read_weights
from pin_lightning.runs.model_record import AnyRecord

POSE, POSE_RECORD = "pose", "pose.json"
FINDER_PREFIX = "finder."
_MOST_SPACINGS = 4


@dataclass(frozen=True, eq=False)
class PoseRecord:
    """Record of what the training data decided about the pose stage.

    Attributes:
        anatomy: The anatomical frame.
        spacings_mm: Voxel sides of the scans that patches are cut from, finest first.
        trained_on: Cases that trained it.
        limits: When a pose is uncertain; None until it is trained.
    """

    anatomy: Anatomy
    spacings_mm: tuple[float, ...]
    trained_on: tuple[str, ...]
    limits: PoseLimits | None = None


class PoseStage(NamedTuple):
    """A trained pose stage.

    Attributes:
        finder: Finds the pose of the mean shape in a scan.
        limits: When a pose is uncertain.
        anatomy: The anatomical frame.
    """

    finder: PoseFinder
    limits: PoseLimits
    anatomy: Anatomy


def pose_folder(run_dir: Path) -> Path:
    """Folder of the pose stage of a run."""
    return run_dir / POSE


def write_pose_record(run_dir: Path, record: PoseRecord) -> None:
    """Write ``pose.json``."""
    anatomy = record.anatomy
    content = {
        "format_version": FORMAT_VERSION,
        "reference_mm": dict(zip(anatomy.names, anatomy.reference_mm.tolist(), strict=True)),
        "largest_scale": anatomy.largest_scale,
        "spacings_mm": list(record.spacings_mm),
        "trained_on": list(record.trained_on),
        "limits": None if record.limits is None else asdict(record.limits),
    }
    write_json(pose_folder(run_dir) / POSE_RECORD, content)


def read_pose_record(run_dir: Path) -> PoseRecord:
    """Read ``pose.json``.

    Raises:
        ValueError: It is absent, damaged, or of another version.
    """
    path = pose_folder(run_dir) / POSE_RECORD
    if not path.is_file():
        raise ValueError(f"run={run_dir}: has no {POSE}/{POSE_RECORD}; restore it, or train again")
    return read_versioned(path, _record, "train again")


def _record(content: Mapping[str, Any]) -> PoseRecord:
    names = tuple(content["reference_mm"])
    reference_mm = np.array([list(map(float, one)) for one in content["reference_mm"].values()])
    if reference_mm.shape != (len(names), 3) or not 3 <= len(names) <= folder.MOST_NAMES:
        raise ValueError(f"reference_mm: {reference_mm.shape}")
    if not np.isfinite(reference_mm).all() or np.abs(reference_mm).max() > folder.MOST_MM:
        raise ValueError("reference_mm: not finite, or too large")
    spacings_mm = tuple(float(one) for one in content["spacings_mm"])
    if not 1 <= len(spacings_mm) <= _MOST_SPACINGS:
        raise ValueError(f"spacings_mm: {len(spacings_mm)} of them")
    if not all(0 < one < folder.MOST_MM for one in spacings_mm):
        raise ValueError(f"spacings_mm={spacings_mm}")
    limits = content["limits"]
    if limits is not None:
        limits = PoseLimits(float(limits["score"]), float(limits["lead"]))
        if math.isnan(limits.score) or math.isnan(limits.lead):
            raise ValueError(f"limits={limits}")
    earlier = LEAST_SCALE if content.get("with_scale") else 1.0  # all that older records say
    largest_scale = float(content.get("largest_scale", earlier))
    if not 1 <= largest_scale <= MOST_SCALE:
        raise ValueError(f"largest_scale={largest_scale}")
    anatomy = Anatomy(names, reference_mm, largest_scale)
    return PoseRecord(anatomy, spacings_mm, tuple(map(str, content["trained_on"])), limits)


def build_finder(
    model: AnyRecord, record: PoseRecord, mean_mm: Sequence[Any] | np.ndarray | None = None
) -> PoseFinder:
    """Build the pose finder of a record, with fresh weights.

    Args:
        model: Record of the model, with its pose slot.
        record: Record of the pose stage.
        mean_mm: Mean shape of the training cases in the anatomical frame; None to load it.
    """
    mean = record.anatomy.reference_mm if mean_mm is None else np.asarray(mean_mm)
    finder: PoseFinder = model.build(
        "pose",
        mean_mm=torch.from_numpy(mean).float(),
        spacings_mm=record.spacings_mm,
        largest_scale=record.anatomy.largest_scale,
        precision=model.precision,
    )
    return finder


def load_weights(finder: PoseFinder, path: Path) -> PoseFinder:
    """Load weights and mean shape of a pose finder, in place, and return it.

    Raises:
        ValueError: The file is not a checkpoint of plain tensors, or does not fit the finder.
    """
    weights = read_weights(path, FINDER_PREFIX)
    try:
        finder.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path}: does not fit its {POSE_RECORD} ({reason})") from error
    most = len(finder.mean_mm_)
    if finder.chosen_.min() < 0 or finder.chosen_.max() >= most:
        raise ValueError(f"{path}: looks at landmarks beyond the {most} of its {POSE_RECORD}")
    return finder.eval()


def load_pose(run_dir: Path) -> PoseStage | None:
    """Load the trained pose stage of a run; None if its model has none.

    Raises:
        ValueError: A file is missing or damaged.
    """
    model = folder.read_model(run_dir)
    if model.pose is None:
        return None
    path = pose_folder(run_dir) / folder.LAST_CHECKPOINT
    if not path.is_file():
        raise ValueError(f"run={run_dir}: has no {POSE}/{folder.LAST_CHECKPOINT}; train it first")
    record = read_pose_record(run_dir)
    if record.limits is None:
        raise ValueError(
            f"run={run_dir}: its pose stage is not finished; go on with ckpt_path=last"
        )
    with folder.in_record(run_dir):
        finder = build_finder(model, record)
    return PoseStage(load_weights(finder, path), record.limits, record.anatomy)
