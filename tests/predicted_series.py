"""A prediction on the oblique series of `oblique_series`, and what predicted it."""

import nibabel as nib
import numpy as np
import oblique_series as oblique
import pydicom
import SimpleITK as sitk
from dicom_series import write_series

from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.runs.doubts import Reviewed, ReviewedPose
from pin_lightning.runs.error_bars import ErrorBars

NAMES = ("Spina nasalis", "Böcke", "gone")
VOXELS = ((1.0, 2.0, 3.0), (2.5, 0.25, 1.5), (900.0, 0.0, 0.0))
SPREAD = np.array([0.125, 0.5, 9.0])


def error_bars():
    """Radii of 1, 1.25 and 9 mm; above 1.05 mm they are for review."""
    ones, usual = np.ones(3), np.array([1, 1.25, 1])
    return ErrorBars(Calibration(ConformalSettings(0.9), NAMES, 99, usual, ones, ones), 1.05)


def reviewed(path, uncertain=False, remarks=(), with_radii=True):
    """The last landmark lies outside, the second near the border."""
    places = np.array([oblique.to_ras(oblique.position_lps(*voxel)) for voxel in VOXELS])
    radii = error_bars().calibration.radius_mm(SPREAD) if with_radii else None
    return Reviewed(
        name="a",
        file=str(path),
        positions_world=places,
        spread_mm=SPREAD,
        radius_mm=radii,
        outside=np.array([False, False, True]),
        remarks=remarks,
        near_border=np.array([False, True, False]),
        pose=ReviewedPose(0.5, 1.0, uncertain),
    )


def phantom_as_series_and_nifti(folder):
    """A phantom as the DICOM series ``head``, with patient and study, and ``other.nii``."""
    head = make_phantom(5, (54, 35, 47), (3.0, 3.0, 3.0))
    folder.mkdir(parents=True)
    image = nib.Nifti1Image(head.volume, head.affine)
    nib.save(image, folder / "other.nii")
    write_series(sitk.ReadImage(folder / "other.nii", sitk.sitkInt16), folder / "head")
    for path in sorted((folder / "head").iterdir()):
        dataset = pydicom.dcmread(path)
        oblique.with_patient(dataset).save_as(path)
    return folder
