"""The pose of the anatomy in a scan by `pose.onnx`, for `onnx_landmarks.py`.

The graph moves poses by one step and scores them; here are the starts, the rounds of the search and
what is kept. Poses are pairs: rotations times scales [S, 3, 3], and shifts in mm [S, 3].
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from nibabel import orientations

FORMAT_VERSION = "3"
PATCHES = 2048  # of landmarks that are cut at once
Poses = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Found:
    """Where the anatomy lies.

    Attributes:
        matrix: Anatomical mm to mm from the centre of the scan [4, 4].
        scale: Size in the scan as a multiple of that in the anatomical frame.
        score: Minus the log odds that the pose is right.
        lead: Score of the second best pose minus that of the best.
        uncertain: Whether the pose may be wrong.
    """

    matrix: np.ndarray
    scale: float
    score: float
    lead: float
    uncertain: bool


class PoseStep:
    """One `pose.onnx`.

    Args:
        path: The file.

    Raises:
        ValueError: It is absent, or not one that this script reads.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ValueError(f"{path}: is missing; it finds the frame that the localizer needs")
        try:
            self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has many kinds
            raise ValueError(f"{path}: cannot be read as an ONNX file") from error
        entries = self.session.get_modelmeta().custom_metadata_map
        if entries.get("format_version") != FORMAT_VERSION or "search" not in entries:
            raise ValueError(f"{path}: is no pose.onnx of format_version {FORMAT_VERSION}")
        self.about: dict[str, Any] = json.loads(entries["search"])

    def iterate(
        self,
        levels: Sequence[np.ndarray],
        poses: Poses,
        landmarks: int,
        steps: int,
        rescored: bool = True,
    ) -> tuple[Poses, np.ndarray]:
        """Move poses by some steps; returns them and their scores, of where they ended if asked."""
        scans = {f"scan{number}": level for number, level in enumerate(levels)}
        looked_at = {"landmarks": np.arange(landmarks), **scans}
        many = max(1, PATCHES // landmarks)
        ended = []
        for begin in range(0, len(poses[0]), many):
            linear, shift_mm = (one[begin : begin + many] for one in poses)
            for step in range(steps + rescored):
                asked = {"linear": linear, "shift_mm": shift_mm, **looked_at}
                moved_linear, moved_shift_mm, *scores = self.session.run(None, asked)
                if step < steps:
                    linear, shift_mm = moved_linear, moved_shift_mm
            # On the way by the log expected error, in the end by the odds that the pose is right.
            ended.append((linear, shift_mm, scores[1] if rescored else scores[0]))
        all_linear, all_shifts, scores = (np.concatenate(one) for one in zip(*ended, strict=True))
        return (all_linear, all_shifts), scores

    def search(self, levels: Sequence[np.ndarray]) -> tuple[Poses, np.ndarray]:
        """Distinct poses with their scores, the best first."""
        about = self.about
        poses, most = starts(levels[-1], about), len(about["shape_mm"])
        scores = np.zeros(len(poses[0]))
        for one in about["rounds"]:
            if one["landmarks"] < most and len(scores) <= one["kept"]:
                continue
            if one["turned_over"]:
                poses = with_half_turns(poses, about, one["turned_over"])
            look = (min(one["landmarks"], most), one["steps"], one["rescored"])
            poses, scores = self.iterate(levels, poses, *look)
            order = np.argsort(scores, kind="stable")
            kept = distinct(poses, order, about["same"], one["kept"])
            poses, scores = (poses[0][kept], poses[1][kept]), scores[kept]
        return poses, scores


def find(steps: Sequence[PoseStep], levels: Sequence[np.ndarray]) -> Found:
    """Find the pose: the first stage searches, those of other folds refine, the mean is taken."""
    about = steps[0].about
    poses, scores = steps[0].search(levels)
    if len(steps) > 1:
        refined = about["refined"]
        few = (poses[0][: refined["poses"]], poses[1][: refined["poses"]])
        most = len(about["shape_mm"])
        others = [one.iterate(levels, few, most, refined["steps"]) for one in steps[1:]]
        poses, scores = mean([(few, scores[: refined["poses"]]), *others])
    order = np.argsort(scores, kind="stable")
    score, matrix = float(scores[order[0]]), np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (one[order[0]] for one in poses)
    lead = float(scores[order[1]]) - score if len(order) > 1 else math.inf
    sure = score <= about["limits"]["score"] and lead >= about["limits"]["lead"]
    return Found(matrix, float(np.linalg.norm(matrix[:3, 0])), score, lead, not sure)


def mean(each: Sequence[tuple[Poses, np.ndarray]]) -> tuple[Poses, np.ndarray]:
    """Mean poses and scores of several stages."""
    linear = np.stack([poses[0] for poses, _ in each]).astype(float)
    scales = np.linalg.norm(linear[..., 0], axis=-1)[..., None, None]
    left, _, right = np.linalg.svd((linear / scales).mean(axis=0))
    left[..., -1] *= np.linalg.det(left @ right)[:, None]  # a rotation, not a mirror image
    means = (left @ right) * np.exp(np.log(scales).mean(axis=0))
    shift_mm = np.mean([poses[1] for poses, _ in each], axis=0)
    return (means, shift_mm), np.mean([scores for _, scores in each], axis=0)


def scan_levels(
    voxels: np.ndarray,
    affine: np.ndarray,
    window: tuple[float, float],
    spacings_mm: Sequence[float],
) -> list[np.ndarray]:
    """The whole scan at each spacing, along its axes in the order closest to RAS, as uint8."""
    axes = orientations.io_orientation(affine)
    sides_mm = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(axes[:, 0])]
    ordered = orientations.apply_orientation(voxels, axes).astype(np.float32)
    low, high = window
    scaled = (ordered - np.float32(low)) * np.float32(255 / (high - low))
    finest = shrunk(np.clip(scaled, 0, 255), sides_mm, spacings_mm[0])
    rest = [shrunk(finest, np.full(3, spacings_mm[0]), one) for one in spacings_mm[1:]]
    return [np.clip(np.rint(one), 0, 255).astype(np.uint8) for one in (finest, *rest)]


def shrunk(voxels: np.ndarray, sides_mm: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Resample about the centre: each voxel a mean weighted by a triangle."""
    for axis in (2, 1, 0):
        size, ratio = voxels.shape[axis], spacing_mm / float(sides_mm[axis])
        count = max(1, math.ceil(size / ratio - 1e-3))
        centres = (np.arange(count) - (count - 1) / 2) * ratio + (size - 1) / 2
        apart = np.abs(np.arange(size) - np.clip(centres, 0, size - 1)[:, None])
        weights = np.maximum(1 - apart / max(1.0, ratio), 0)
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        voxels = np.moveaxis(np.tensordot(weights, voxels, (1, axis)), 0, axis)
    return voxels


def starts(coarse: np.ndarray, about: Mapping[str, Any]) -> Poses:
    """Every rotation at every place: the centre of mass, and a grid without what is background."""
    spacing_mm, half = about["spacings_mm"][-1], (np.array(coarse.shape) - 1) / 2
    places = np.concatenate([centre_of_mass(coarse)[None], grid(coarse.shape, about)])
    bright = surroundings(coarse, max(1, round(0.5 * about["extent_mm"] / spacing_mm)))
    at = np.clip(np.rint(places + half), 0, 2 * half).astype(int)
    kept = bright[tuple(at.T)] >= about["faint"] * bright.max()
    kept[0] = True  # the centre is always tried
    shift_mm = (places[kept] * spacing_mm).astype(np.float32)
    rotations = np.array(about["rotations"], dtype=np.float32)
    linear = np.tile(rotations, (len(shift_mm), 1, 1))
    return linear, np.repeat(shift_mm, len(rotations), axis=0)


def centre_of_mass(volume: np.ndarray) -> np.ndarray:
    """Centre of the intensity, in voxels from the centre of the scan."""
    total = max(1.0, float(volume.sum(dtype=float)))
    centre = []
    for axis, size in enumerate(volume.shape):
        others = tuple({0, 1, 2} - {axis})
        centre.append(volume.sum(others, dtype=float) @ (np.arange(size) - (size - 1) / 2) / total)
    return np.array(centre)


def surroundings(volume: np.ndarray, reach: int) -> np.ndarray:
    """Mean intensity of the cube around each voxel, 0 outside the scan."""
    mean_of = volume.astype(float)
    for axis, size in enumerate(volume.shape):
        line = np.arange(size)
        total = np.moveaxis(np.cumsum(mean_of, axis), axis, 0)
        total = np.concatenate([np.zeros_like(total[:1]), total])
        cut = total[np.minimum(line + reach + 1, size)] - total[np.maximum(line - reach, 0)]
        mean_of = np.moveaxis(cut / (2 * reach + 1), 0, axis)
    return mean_of


def grid(shape: Sequence[int], about: Mapping[str, Any]) -> np.ndarray:
    """Places that the anatomy's centre can have, in voxels from the centre of the scan."""
    spacing_mm = about["spacings_mm"][-1]
    free_mm = np.maximum(np.array(shape) * spacing_mm - about["breadth_mm"], 0)
    step_mm = about["place_step"] * about["extent_mm"]
    while True:
        counts = 2 * np.floor(free_mm / 2 / step_mm + 0.5).astype(int) + 1
        if counts.prod() <= about["most_places"]:
            break
        step_mm *= 1.1
    lines = [(np.arange(one) - one // 2) * (step_mm / spacing_mm) for one in counts]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)


def with_half_turns(poses: Poses, about: Mapping[str, Any], count: int) -> Poses:
    """Add half turns of the first poses: a nearly symmetric anatomy may be turned over."""
    linear, shift_mm = poses
    turns = np.array(about["half_turns"], dtype=np.float32)
    centre = np.array(about["turned_about_mm"], dtype=np.float32)
    few = linear[:count, None]
    moved_mm = few @ (centre - turns @ centre)[..., None]
    turned_mm = (shift_mm[:count, None] + moved_mm[..., 0]).reshape(-1, 3)
    turned = (few @ turns).reshape(-1, 3, 3)
    return np.concatenate([linear, turned]), np.concatenate([shift_mm, turned_mm])


def distinct(poses: Poses, order: np.ndarray, same: Mapping[str, float], most: int) -> list[int]:
    """The first poses in an order that differ from all earlier ones that were chosen."""
    linear, shift_mm = poses
    rotations = linear / np.linalg.norm(linear[..., 0], axis=-1)[:, None, None]
    rest, chosen = order, list[int]()
    while len(rest) and len(chosen) < most:
        best = int(rest[0])
        chosen.append(best)
        chord = np.linalg.norm(rotations[rest] - rotations[best], axis=(1, 2)) / math.sqrt(8)
        turned = 2 * np.arcsin(np.minimum(chord, 1)) > math.radians(same["degrees"])
        apart_mm = np.linalg.norm(shift_mm[rest] - shift_mm[best], axis=1)
        rest = rest[turned | (apart_mm > same["mm"])]
    return chosen
