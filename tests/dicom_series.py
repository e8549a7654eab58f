"""Writing an image as the files of a DICOM series."""

import numpy as np
import SimpleITK as sitk


def write_series(image, folder, uid="1.2.3.4", prefix="", compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    direction = np.reshape(image.GetDirection(), (3, 3))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetUseCompression(compressed)  # JPEG 2000, lossless
    for number in range(image.GetDepth()):
        piece = image[:, :, number]
        position = image.TransformIndexToPhysicalPoint((0, 0, number))
        for tag, value in {
            "0020|000e": uid,
            "0020|0037": "\\".join(map(str, direction[:, :2].T.ravel())),
            "0020|0032": "\\".join(map(str, position)),
            "0020|0013": str(number),
            "0008|0060": "CT",
        }.items():
            piece.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{prefix}{number:03d}.dcm"))
        writer.Execute(piece)
