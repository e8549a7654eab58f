"""Decode compressed DICOM files with SimpleITK (GDCM); a program of its own, see `gdcm`.

Standard input is JSON with ``paths`` and ``of_one_scale``, standard output the voxels as ``.npy``.
"""

import json
import sys

import numpy as np


def main() -> None:
    """Decode what standard input names."""
    import SimpleITK as sitk  # only here: the package never imports it

    asked = json.load(sys.stdin)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if len(asked["paths"]) == 1:
        image = sitk.ReadImage(asked["paths"][0])
    else:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(asked["paths"])
        if not asked["of_one_scale"]:
            reader.SetOutputPixelType(sitk.sitkFloat64)
        image = reader.Execute()
    np.save(sys.stdout.buffer, sitk.GetArrayFromImage(image).T)


if __name__ == "__main__":
    main()
