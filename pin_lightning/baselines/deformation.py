"""Registration of two scans by SimpleITK: affine, then symmetric demons, coarse to fine.

Atlases of a run (`registration`) and of annotation, which propose landmarks, share it.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch
from jaxtyping import Float64, Num

from pin_lightning.common.alignment import Pose

AFFINE_SAMPLED, LEAST_SAMPLED = 0.1, 5000  # share of the voxels, but at least so many
AFFINE_LEVELS = (4, 2)  # voxels of each level, where nothing is known of the affine map
AFFINE_STEPS = 150
LEVELS = ((4, 40), (2, 20), (1, 8))  # voxels of a level, iterations of demons
SMOOTHING = 1.0  # voxels, by which demons smooth their displacements
MARGIN = 0.15  # of the anatomy's extent, about its landmarks
LEAST_EXTENT = 0.25  # of the scan's longest side; landmarks may lie close together
BINS, MATCHES = 128, 12  # of the histograms that are matched


def as_image(voxels: Num[torch.Tensor, "X Y Z"], spacing_mm: float) -> sitk.Image:
    """An image about its centre, whose physical points are mm along its axes."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.numpy().T).astype(np.float32))
    image.SetSpacing([spacing_mm] * 3)
    image.SetOrigin([-(size - 1) / 2 * spacing_mm for size in voxels.shape])
    return image


def cropped(
    image: sitk.Image, low_mm: Float64[np.ndarray, " 3"], high_mm: Float64[np.ndarray, " 3"]
) -> sitk.Image:
    """Part of an image that holds a box in mm, as far as the image reaches."""
    sides = np.array(image.GetSize())
    to_index = [
        image.TransformPhysicalPointToContinuousIndex(one.tolist()) for one in (low_mm, high_mm)
    ]
    first = np.clip(np.floor(to_index[0]).astype(int), 0, sides - 1)
    last = np.clip(np.ceil(to_index[1]).astype(int), first, sides - 1)
    return sitk.RegionOfInterest(image, (last - first + 1).tolist(), first.tolist())


def extent_of(points_mm: Float64[np.ndarray, "L 3"], longest_mm: float) -> float:
    """Extent of the anatomy in a scan, mm: that of its landmarks, or a share of the longest side.

    Args:
        points_mm: Its landmarks; NaN where missing.
        longest_mm: Longest side of the scan.
    """
    size = np.nanmax(points_mm, axis=0) - np.nanmin(points_mm, axis=0)
    return float(max(size.max(), LEAST_EXTENT * longest_mm))


def box_about(
    points_mm: Float64[np.ndarray, "L 3"], extent_mm: float
) -> tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, " 3"]]:
    """Corners of the box about landmarks, with a margin of the extent of the anatomy, mm."""
    margin = MARGIN * extent_mm
    return np.nanmin(points_mm, axis=0) - margin, np.nanmax(points_mm, axis=0) + margin


def affine_of(pose: Pose, centre_mm: Float64[np.ndarray, " 3"]) -> sitk.AffineTransform:
    """A pose as an affine map, to be fitted about a centre."""
    transform = sitk.AffineTransform(3)
    transform.SetCenter(centre_mm.tolist())
    transform.SetMatrix((pose.scale * pose.rotation).ravel().tolist())
    transform.SetTranslation((pose.place(centre_mm) - centre_mm).tolist())
    return transform


def fit_affine(
    atlas: sitk.Image, scan: sitk.Image, begin: sitk.AffineTransform
) -> sitk.AffineTransform:
    """Affine map from points of an atlas to points of a scan, by the correlation of brightness.

    Args:
        atlas: The atlas.
        scan: The scan.
        begin: A rough map, which is returned where too little of the atlas lies within the scan.
    """
    transform = sitk.AffineTransform(begin)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, max(AFFINE_SAMPLED, LEAST_SAMPLED / atlas.GetNumberOfPixels()))
    method.SetMetricSamplingPercentage(share, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        2 * atlas.GetSpacing()[0], 1e-4 * atlas.GetSpacing()[0], AFFINE_STEPS
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(atlas, scan)
    except RuntimeError:  # too few voxels of the atlas lie within the scan
        return begin
    return transform


def fit_deformation(atlas: sitk.Image, scan: sitk.Image, affine: sitk.Transform) -> sitk.Transform:
    """Map from points of an atlas to points of a scan, from an affine one."""
    moved = sitk.Resample(scan, atlas, affine, sitk.sitkLinear, 0.0)
    moved = sitk.HistogramMatching(moved, atlas, BINS, MATCHES, True)
    return bent_onto(atlas, moved, affine, LEVELS, SMOOTHING)


def bent_onto(
    atlas: sitk.Image,
    moved: sitk.Image,
    affine: sitk.Transform,
    levels: Sequence[tuple[int, int]],
    smoothing: float,
) -> sitk.Transform:
    """An affine map and, before it, what lays an atlas on a scan moved by it.

    By symmetric demons, coarse to fine.

    Args:
        atlas: The atlas.
        moved: The scan, resampled on the grid of the atlas by the affine map.
        affine: From points of the atlas to points of the scan.
        levels: Voxels of each level, and iterations.
        smoothing: Width in voxels by which displacements are smoothed.
    """
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetStandardDeviations(smoothing)
    field = None
    for shrink, iterations in levels:
        fixed, moving = (shrunken(one, shrink) for one in (atlas, moved))
        demons.SetNumberOfIterations(iterations)
        start = () if field is None else (sitk.Resample(field, fixed),)
        field = demons.Execute(fixed, moving, *start)
    bend = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([affine, bend])  # the last is applied first


def shrunken(image: sitk.Image, factor: int) -> sitk.Image:
    """Smooth an image, and keep one voxel of so many along each axis."""
    if factor == 1:
        return image
    smooth = sitk.SmoothingRecursiveGaussian(image, 0.5 * factor * image.GetSpacing()[0])
    return sitk.Shrink(smooth, [factor] * 3)


def carried(
    transform: sitk.Transform, points_mm: Float64[np.ndarray, "L 3"]
) -> Float64[np.ndarray, "L 3"]:
    """Points carried over by a map; NaN where one is NaN."""
    moved = np.full_like(points_mm, np.nan)
    for place in np.flatnonzero(np.isfinite(points_mm).all(axis=1)):
        moved[place] = transform.TransformPoint(points_mm[place].tolist())
    return moved


def carried_over(
    atlas: sitk.Image, scan: sitk.Image, points_mm: Float64[np.ndarray, "L 3"]
) -> Float64[np.ndarray, "L 3"]:
    """Landmarks of an atlas in a scan that lies about alike; NaN where one is NaN.

    Of the atlas only what is about its landmarks is looked at; it has at least one.
    """
    longest_mm = atlas.GetSpacing()[0] * max(atlas.GetSize())
    low, high = box_about(points_mm, extent_of(points_mm, longest_mm))
    atlas = cropped(atlas, low, high)
    affine = affine_of(Pose(np.eye(3), np.zeros(3)), (low + high) / 2)
    for factor in AFFINE_LEVELS:
        affine = fit_affine(shrunken(atlas, factor), shrunken(scan, factor), affine)
    return carried(fit_deformation(atlas, scan, affine), points_mm)


def fuse(
    positions: Float64[np.ndarray, "A L 3"],
) -> tuple[Float64[np.ndarray, "L 3"], Float64[np.ndarray, " L"]]:
    """Median of positions, and the doubt about it.

    Args:
        positions: Of each atlas; NaN where it lacks a landmark.

    Returns:
        Positions; and the root mean square distance of atlases from each, NaN with only one.
    """
    known = np.isfinite(positions).all(axis=2)
    fused = np.full(positions.shape[1:], np.nan)
    spread = np.full(positions.shape[1], np.nan)
    for place in np.flatnonzero(known.any(axis=0)):
        own = positions[known[:, place], place]
        fused[place] = np.median(own, axis=0)
        apart = ((own - fused[place]) ** 2).sum(axis=1)
        spread[place] = np.sqrt(apart.mean()) if len(own) > 1 else np.nan
    return fused, spread
