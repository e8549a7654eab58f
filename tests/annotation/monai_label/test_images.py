"""Images that clients get lie, in 3D Slicer, where they lie here."""

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from dicom_series import write_series
from served_scans import oblique_affine
from slicer_storage import images_in_slicer

from pin_lightning.annotation.monai_label.images import checksum, open_image, sent_name
from pin_lightning.annotation.volumes import Scans
from pin_lightning.data.images.reading import read_header, read_voxels

SIZE, BRIGHTEST = (7, 6, 5), (5, 1, 3)


def write(folder):
    """Scans of many formats, all oblique and mirrored; names say how they are sent."""
    folder.mkdir()
    voxels, affine = np.zeros(SIZE, np.int16), oblique_affine()
    voxels[BRIGHTEST] = 900
    nib.save(image := nib.Nifti1Image(voxels, affine), folder / "same.nii.gz")
    image.set_qform(affine, "scanner")
    nib.save(image, folder / "same_both.nii")
    image.set_sform(None, 0)
    nib.save(image, folder / "same_qform.nii.gz")
    near = affine.copy()
    near[:3, 3] += 0.5  # of a voxel: it is read with a warning
    image.set_sform(near, "aligned")
    nib.save(image, folder / "other_sform.nii.gz")
    image.set_qform(None, 0)
    image.header["pixdim"][1:4] = 2
    nib.save(image, folder / "other_sizes.nii.gz")
    nib.save(nib.MGHImage(voxels, affine), folder / "other_format.mgz")
    whole = sitk.ReadImage(folder / "same.nii.gz")
    for name in ("same.nrrd", "same.mha", "other.nhdr", "other.mhd"):
        sitk.WriteImage(whole, folder / name)
    write_series(whole, folder / "other_series")


def test_images_lie_where_they_lie_here(tmp_path):
    write(tmp_path / "scans")
    scans, expected, sent = Scans.find(str(tmp_path / "scans" / "*")), [], []
    for scan in (one for one in scans.values() if not one.name.endswith(".raw")):
        with scan.local() as path:
            place = np.argwhere(read_voxels(path) == 900)[0]
            expected.append((read_header(path)[1] @ [*place, 1])[:3])
        image = open_image(scan)
        assert image.name == sent_name(scan)
        assert (checksum(scan) is not None) == scan.name.startswith("same")
        sent.append(tmp_path / f"{len(sent)}{image.name}")
        sent[-1].write_bytes(b"".join(image.chunks()))
    assert len(sent) == 11
    np.testing.assert_allclose(images_in_slicer(*sent), expected, atol=1e-3)
