"""From a rough pose to the map between two scans: affine, then symmetric demons, coarse to fine."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float64

from pin_lightning.common.alignment import Pose

AFFINE_SAMPLED = 0.1  # of the voxels
AFFINE_STEPS = 150
LEVELS = ((4, 40), (2, 20), (1, 8))  # voxels of a level, iterations of demons
SMOOTHING = 1.0  # voxels, by which demons smooth their displacements
BINS, MATCHES = 128, 12  # of the histograms that are matched


def fit_affine(
    atlas: sitk.Image, scan: sitk.Image, pose: Pose, centre_mm: Float64[np.ndarray, " 3"]
) -> sitk.AffineTransform:
    """Affine map from points of an atlas to points of a scan, from a rough pose."""
    transform = sitk.AffineTransform(3)
    transform.SetCenter(centre_mm.tolist())
    transform.SetMatrix((pose.scale * pose.rotation).ravel().tolist())
    transform.SetTranslation((pose.place(centre_mm) - centre_mm).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(AFFINE_SAMPLED, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        2 * atlas.GetSpacing()[0], 1e-4 * atlas.GetSpacing()[0], AFFINE_STEPS
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    before = sitk.AffineTransform(transform)
    try:
        method.Execute(atlas, scan)
    except RuntimeError:  # too few voxels of the atlas lie within the scan
        return before
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
        fixed, moving = (_shrunken(one, shrink) for one in (atlas, moved))
        demons.SetNumberOfIterations(iterations)
        start = () if field is None else (sitk.Resample(field, fixed),)
        field = demons.Execute(fixed, moving, *start)
    bend = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([affine, bend])  # the last is applied first


def _shrunken(image: sitk.Image, factor: int) -> sitk.Image:
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
