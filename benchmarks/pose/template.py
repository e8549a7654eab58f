"""Another way to find a pose: rotation search on the mean of the training volumes.

The mean volume in the anatomical frame is turned by 576 rotations, each is correlated with the scan
by FFT, and the best five distinct poses are refined by their correlation coefficient.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage, optimize
from scipy.fft import next_fast_len
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import Pose, rotation_degrees
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.method.pose.finder import SAME_DEGREES, SAME_SHARE, FoundPose

SIDE, REACH = 48, 1.5  # voxels of the template, which is so many times as wide as the anatomy
ROTATIONS, REFINED = 576, 5
SAMPLED = 4000  # voxels of the template by which a pose is refined
STEP_DEGREES, STEP_SHARE = 8.0, 0.02  # first steps of the refinement
_PHI, _PSI = 2**0.5, 1.533751168755204288118041


def even_rotations(count: int) -> np.ndarray:
    """Rotations [count, 3, 3] spread evenly: super-Fibonacci spirals (Alexa, CVPR 2022)."""
    s = np.arange(count) + 0.5
    small, large = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / _PHI, 2 * np.pi * s / _PSI
    sines = (small * np.sin(alpha), small * np.cos(alpha))
    quaternions = np.stack([*sines, large * np.sin(beta), large * np.cos(beta)], axis=1)
    return Rotation.from_quat(quaternions).as_matrix()


def sampled(volume: np.ndarray, spacing_mm: float, points_mm: np.ndarray) -> np.ndarray:
    """Values of a volume at points [*n, 3] in mm from its centre; 0 outside."""
    ijk = points_mm / spacing_mm + (np.array(volume.shape) - 1) / 2
    return ndimage.map_coordinates(volume, np.moveaxis(ijk, -1, 0), order=1, cval=0.0)


def centred_grid(shape: Sequence[int], spacing_mm: float) -> np.ndarray:
    """Voxel centres [*shape, 3] in mm from the centre."""
    axes = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def coarser(volume: np.ndarray, spacing_mm: float, wanted_mm: float) -> np.ndarray:
    """A volume at a coarser spacing, smoothed before."""
    ratio = max(wanted_mm / spacing_mm, 1.0)
    smooth = ndimage.gaussian_filter(volume.astype(np.float32), 0.5 * (ratio**2 - 1) ** 0.5)
    shape = [max(1, int(np.ceil(n * spacing_mm / wanted_mm))) for n in volume.shape]
    return sampled(smooth, spacing_mm, centred_grid(shape, wanted_mm)).astype(np.float32)


class TemplateSearch:
    """Rotation search on a mean template.

    Args:
        volumes: Working volumes of the training cases, in the anatomical frame.
        extent_mm: Largest extent of the mean shape.
        level_mm: Spacing of the scans that are searched.
    """

    def __init__(self, volumes: Sequence[Path], extent_mm: float, level_mm: float) -> None:
        self.extent_mm, self.level_mm = extent_mm, level_mm
        self.spacing_mm = REACH * extent_mm / SIDE
        read = [load_volume(path) for path in volumes]
        mean = np.mean([one.intensity.numpy() for one in read], axis=0, dtype=np.float32)
        own_mm = read[0].grid.spacing_mm
        smooth = ndimage.gaussian_filter(mean, 0.5 * self.spacing_mm / own_mm)
        grid_mm = centred_grid((SIDE,) * 3, self.spacing_mm)
        within = np.abs(grid_mm) <= np.array(mean.shape) * own_mm / 2
        mask = within.all(axis=-1)
        template = np.where(mask, sampled(smooth, own_mm, grid_mm), 0)
        self.template = np.where(mask, template - template[mask].mean(), 0).astype(np.float32)
        chosen = np.random.default_rng(0).permutation(np.flatnonzero(mask))[:SAMPLED]
        self.points_mm = grid_mm.reshape(-1, 3)[chosen]
        self.values = self.template.reshape(-1)[chosen]
        self.rotations = even_rotations(ROTATIONS)
        self.turned = [
            sampled(self.template, self.spacing_mm, grid_mm @ rotation)  # R^T of each position
            for rotation in self.rotations
        ]

    def __call__(self, levels: Sequence[torch.Tensor]) -> list[FoundPose]:
        """Find the pose in a scan, given at its spacings, the finest first."""
        scan = coarser(levels[0].numpy(), self.level_mm, self.spacing_mm)
        refined = [self._refined(scan, pose) for pose in self._best(scan)]
        refined.sort(key=lambda one: one[1])
        best, score = refined[0]
        others = [loss for pose, loss in refined if not self._same(pose, best)]
        return [FoundPose(best, score, min(others, default=float("inf")))]

    def _best(self, scan: np.ndarray) -> list[Pose]:
        """The best distinct poses by FFT correlation."""
        shape = [next_fast_len(max(n, SIDE), real=True) for n in scan.shape]
        spectrum = torch.fft.rfftn(torch.from_numpy(scan - scan.mean()), s=shape)
        scores, poses = [], []
        for rotation, turned in zip(self.rotations, self.turned, strict=True):
            other = torch.fft.rfftn(torch.from_numpy(turned), s=shape)
            product = torch.fft.irfftn(spectrum * other.conj(), s=shape)
            best = np.unravel_index(int(product.argmax()), shape)
            # The middle of the template; beyond the scan it has come round.
            middle = np.array(best) + (SIDE - 1) / 2
            middle -= np.where(middle >= scan.shape, shape, 0)
            centre = middle - (np.array(scan.shape) - 1) / 2
            scores.append(float(product.max()))
            poses.append(Pose(rotation, centre * self.spacing_mm))
        chosen: list[Pose] = []
        for index in np.argsort(scores)[::-1].tolist():
            if not any(self._same(poses[index], one) for one in chosen):
                chosen.append(poses[index])
            if len(chosen) == REFINED:
                break
        return chosen

    def _same(self, one: Pose, other: Pose) -> bool:
        apart = float(np.linalg.norm(one.shift_mm - other.shift_mm))
        degrees = rotation_degrees(one.rotation, other.rotation)
        return degrees < SAME_DEGREES and apart < SAME_SHARE * self.extent_mm

    def _refined(self, scan: np.ndarray, start: Pose) -> tuple[Pose, float]:
        """Refine a pose; with minus its correlation coefficient."""
        step_mm = STEP_SHARE * self.extent_mm

        def pose_of(change: np.ndarray) -> Pose:
            turn = Rotation.from_rotvec(np.radians(STEP_DEGREES) * change[:3]).as_matrix()
            return Pose(start.rotation @ turn, start.shift_mm + step_mm * change[3:])

        def loss(change: np.ndarray) -> float:
            values = sampled(scan, self.spacing_mm, pose_of(change).place(self.points_mm))
            values = values - values.mean()
            norm = np.linalg.norm(values) * np.linalg.norm(self.values)
            return -float(values @ self.values) / max(float(norm), 1e-6)

        done = optimize.minimize(loss, np.zeros(6), method="Powell", options={"xtol": 0.02})
        return pose_of(done.x), float(done.fun)
