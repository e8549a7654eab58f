"""A small volume that headers written by hand describe, and what has to be read of it."""

import numpy as np
import SimpleITK as sitk

from pin_lightning.data.images.reading import read_header, read_voxels

SHAPE = (2, 3, 4)
VOXELS = np.arange(24, dtype=np.int16).reshape(SHAPE, order="F")
RAW = VOXELS.tobytes(order="F")
# A step along the first axis is 2 mm to the left, along the second 3 mm up, the third 4 mm back.
AFFINE = np.array([[-2.0, 0, 0, -10], [0, 0, -4, -20], [0, 3, 0, 30], [0, 0, 0, 1]])


def check(path, voxels=VOXELS, affine=AFFINE):
    shape, found = read_header(path)
    assert shape == voxels.shape
    np.testing.assert_allclose(found, affine, atol=1e-12)
    np.testing.assert_array_equal(read_voxels(path), voxels)


def check_by_itk(path):
    image = sitk.ReadImage(str(path))
    lps = image.TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(AFFINE @ [1, 2, 3, 1], [-lps[0], -lps[1], lps[2], 1])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, VOXELS)
