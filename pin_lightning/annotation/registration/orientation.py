"""Where an atlas lies in a scan of any orientation: rotation search, then rigid refinement.

A ball about the landmarks of the atlas is turned by some hundred rotations spread over all of them,
and each is correlated with the scan by FFT. The ball is the same in every orientation, so that the
brightness of the scan under it, by which the correlation is normalised, is found once.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from jaxtyping import Float64
from scipy import ndimage
from scipy.fft import next_fast_len
from scipy.spatial.transform import Rotation

from pin_lightning.common.alignment import Pose, rotation_degrees

ROTATIONS = 576
PEAKS = 3  # places that are kept of each rotation
REFINED = 6  # distinct poses
SAME_DEGREES, SAME_SHARE = 30.0, 0.2  # of the radius
LEAST_CONTRAST = 0.2  # of the scan under the ball, as a share of the atlas's
SAMPLED = 0.3  # of the voxels by which a pose is refined
UNSURE_LEAD = 0.1  # correlation by which the best pose should exceed the second distinct one
UNSURE_CORRELATION = 0.5
_PHI, _PSI = 2**0.5, 1.533751168755204288118041


@dataclass(frozen=True, eq=False)
class Placed:
    """A pose of an atlas in a scan.

    Attributes:
        pose: Maps scan mm of the atlas to scan mm of the scan.
        correlation: Of their brightness, -1 to 1.
        lead: By which it exceeds that of the second best distinct pose.
    """

    pose: Pose
    correlation: float
    lead: float

    @property
    def uncertain(self) -> bool:
        """Whether another pose fits nearly as well, or none fits well."""
        return self.lead < UNSURE_LEAD or self.correlation < UNSURE_CORRELATION


def even_rotations(count: int) -> Float64[np.ndarray, "count 3 3"]:
    """Rotations spread evenly: super-Fibonacci spirals (Alexa, CVPR 2022)."""
    s = np.arange(count) + 0.5
    small, large = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / _PHI, 2 * np.pi * s / _PSI
    sines = (small * np.sin(alpha), small * np.cos(alpha))
    quaternions = np.stack([*sines, large * np.sin(beta), large * np.cos(beta)], axis=1)
    return np.asarray(Rotation.from_quat(quaternions).as_matrix())


def find_place(
    atlas: sitk.Image, scan: sitk.Image, centre_mm: Float64[np.ndarray, " 3"], radius_mm: float
) -> Placed:
    """Find where an atlas lies in a scan.

    Args:
        atlas: Coarse image of the atlas.
        scan: Coarse image of the scan, at the same spacing.
        centre_mm: Centre of the ball of the atlas that is looked for.
        radius_mm: Its radius.
    """
    mask = _ball(atlas, centre_mm, radius_mm)
    refined = []
    for pose in _best(atlas, scan, centre_mm, radius_mm):
        refined.append(_refined(atlas, scan, mask, pose, centre_mm))
    refined.sort(key=lambda one: -one[1])
    (best, correlation), *others = refined
    lead = min(
        (correlation - one for pose, one in others if not _same(pose, best, centre_mm, radius_mm)),
        default=2.0,
    )
    return Placed(best, correlation, lead)


def _best(
    atlas: sitk.Image, scan: sitk.Image, centre_mm: Float64[np.ndarray, " 3"], radius_mm: float
) -> list[Pose]:
    """The best distinct poses by correlation at all places, after each of many rotations."""
    spacing = scan.GetSpacing()[0]
    voxels = torch.from_numpy(_array(scan))
    side = 2 * int(np.ceil(radius_mm / spacing)) + 1
    axis = (np.arange(side) - side // 2) * spacing
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    inside = np.linalg.norm(grid, axis=-1) <= radius_mm
    shape = [next_fast_len(n + side, real=True) for n in voxels.shape]
    spectrum = torch.fft.rfftn(voxels, s=shape)
    kept = _conjugate(inside.astype(np.float32), shape)
    count = float(inside.sum())
    mean = torch.fft.irfftn(spectrum * kept, s=shape) / count
    square = torch.fft.irfftn(torch.fft.rfftn(voxels**2, s=shape) * kept, s=shape) / count
    contrast = (square - mean**2).clamp_min(0).sqrt()
    source, found = _array(atlas), []
    points = grid[inside]
    origin = np.array(atlas.GetOrigin())
    for rotation in even_rotations(ROTATIONS):
        ijk = (points @ rotation + centre_mm - origin) / spacing  # R^T of each position
        values = ndimage.map_coordinates(source, ijk.T, order=1, cval=0.0)
        values -= values.mean()
        own = max(float(values.std()), 1e-6)
        turned = np.zeros_like(inside, dtype=np.float32)
        turned[inside] = values / own
        product = torch.fft.irfftn(spectrum * _conjugate(turned, shape), s=shape) / count
        scores = product / contrast.clamp_min(LEAST_CONTRAST * own)
        for place, score in _peaks(scores, int(np.ceil(SAME_SHARE * radius_mm / spacing))):
            middle = place + side // 2
            middle -= np.where(middle >= voxels.shape, shape, 0)
            middle_mm = np.array(scan.GetOrigin()) + middle * spacing
            found.append((score, Pose(rotation, middle_mm - rotation @ centre_mm)))
    chosen: list[Pose] = []
    for _, pose in sorted(found, key=lambda one: -one[0]):
        if not any(_same(pose, one, centre_mm, radius_mm) for one in chosen):
            chosen.append(pose)
        if len(chosen) == REFINED:
            break
    return chosen


def _peaks(scores: torch.Tensor, apart: int) -> list[tuple[np.ndarray, float]]:
    """Places of the largest scores, apart from each other: anatomy may repeat itself."""
    found = []
    for _ in range(PEAKS):
        place = np.array(np.unravel_index(int(scores.argmax()), scores.shape))
        found.append((place, float(scores[tuple(place)])))
        low = np.maximum(place - apart, 0)
        box = tuple(slice(a, b + apart + 1) for a, b in zip(low, place, strict=True))
        scores[box] = -np.inf
    return found


def _conjugate(values: np.ndarray, shape: list[int]) -> torch.Tensor:
    return torch.fft.rfftn(torch.from_numpy(values), s=shape).conj()


def _array(image: sitk.Image) -> np.ndarray:
    return np.ascontiguousarray(sitk.GetArrayFromImage(image).T)


def _ball(image: sitk.Image, centre_mm: np.ndarray, radius_mm: float) -> sitk.Image:
    """Mask of a ball."""
    axes = [
        start + spacing * np.arange(size)
        for start, spacing, size in zip(
            image.GetOrigin(), image.GetSpacing(), image.GetSize(), strict=True
        )
    ]
    apart = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - centre_mm
    inside = np.linalg.norm(apart, axis=-1) <= radius_mm
    mask = sitk.GetImageFromArray(np.ascontiguousarray(inside.T).astype(np.uint8))
    mask.CopyInformation(image)
    return mask


def _same(one: Pose, other: Pose, centre_mm: np.ndarray, radius_mm: float) -> bool:
    apart = float(np.linalg.norm(one.place(centre_mm) - other.place(centre_mm)))
    degrees = rotation_degrees(one.rotation, other.rotation)
    return degrees < SAME_DEGREES and apart < SAME_SHARE * radius_mm


def _refined(
    atlas: sitk.Image, scan: sitk.Image, mask: sitk.Image, pose: Pose, centre_mm: np.ndarray
) -> tuple[Pose, float]:
    """Refine a pose by the correlation of brightness; with the correlation."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre_mm.tolist())
    transform.SetMatrix(pose.rotation.ravel().tolist(), 1e-6)
    transform.SetTranslation((pose.place(centre_mm) - centre_mm).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLED, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2 * scan.GetSpacing()[0], 1e-3, 60)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    moved = sitk.Resample(scan, atlas, transform, sitk.sitkLinear, 0.0)
    try:
        method.Execute(atlas, scan)
    except RuntimeError:  # too few voxels of the atlas lie within the scan
        return pose, correlation_of(atlas, moved, mask)
    moved = sitk.Resample(scan, atlas, transform, sitk.sitkLinear, 0.0)
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    shift = centre_mm + np.array(transform.GetTranslation()) - rotation @ centre_mm
    return Pose(rotation, shift), correlation_of(atlas, moved, mask)


def correlation_of(one: sitk.Image, other: sitk.Image, mask: sitk.Image | None = None) -> float:
    """Correlation of the brightness of two images on one grid, within a mask."""
    values = [sitk.GetArrayViewFromImage(image) for image in (one, other)]
    if mask is not None:
        inside = sitk.GetArrayViewFromImage(mask).astype(bool)
        values = [array[inside] for array in values]
    first, second = (array.ravel() - array.mean() for array in values)
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / max(norm, 1e-6)
