"""Files of slices along standard planes: ``NAME_PLANE.nii.gz`` and ``NAME_PLANE.png``."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from pin_lightning.common.files import whole_file
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.preprocessing import OriginalImage
from pin_lightning.evaluation.planes.groups import PlaneGroup, groups_within, plane_groups
from pin_lightning.evaluation.planes.plane import fit_plane
from pin_lightning.evaluation.planes.slices import PlaneSlice, cut_slice
from pin_lightning.runs.folds import config_of

log = logging.getLogger(__name__)


def groups_of_run(run_dir: Path, names: Sequence[str]) -> tuple[PlaneGroup, ...]:
    """Planes named by a run or a cross-validation, all of whose landmarks are among `names`."""
    return groups_within(plane_groups(config_of(run_dir).data.planes), names)


def cut_slices(
    name: str, image: OriginalImage, landmarks: LandmarkSet, groups: Sequence[PlaneGroup]
) -> dict[str, PlaneSlice]:
    """Cut slices by the name of their plane through landmarks of an image.

    A plane that cannot be cut is logged, with the name of the image, and left out.
    """
    slices = {}
    for group in groups:
        plane = fit_plane(group, landmarks.names, landmarks.positions_world)
        found = None if plane is None else cut_slice(image, plane)
        if found is None:
            reason = "its landmarks give none" if plane is None else "it lies outside the image"
            log.warning("%s: no slice of plane %s: %s", name, group.name, reason)
        else:
            slices[group.name] = found
    return slices


def write_slices(folder: Path, name: str, slices: Mapping[str, PlaneSlice]) -> None:
    """Write slices as NIfTI, in the intensities of the image and 0 outside it, and as PNG."""
    for plane, one in slices.items():
        volume_path, picture_path = (folder / file for file in slice_files(name, plane))
        volume = nib.Nifti1Image(np.nan_to_num(one.pixels, nan=0.0)[..., None], one.affine)
        volume.header.set_xyzt_units("mm")
        volume.set_sform(one.affine, code="scanner")
        volume.set_qform(one.affine, code="scanner")
        with whole_file(volume_path) as temporary:
            nib.save(volume, temporary)
        with whole_file(picture_path) as temporary:
            Image.fromarray(one.picture).save(temporary)


def slice_files(name: str, plane: str) -> tuple[str, str]:
    """Names of the files of a slice: volume and picture."""
    return f"{name}_{plane}.nii.gz", f"{name}_{plane}.png"
