"""Bad files, one of each kind: how it is written, and what must be said of it.

Tests of the readers know more kinds; here are those that take a way of their own through a program.
"""

import json
import struct

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.sources.phantom import make_phantom

HEAD = make_phantom(5, (54, 35, 47), (3.0, 3.0, 3.0))
NAMES = ("Höhle (CSP)", *HEAD.names[1:])
LANDMARKS = LandmarkSet.of(NAMES, HEAD.landmarks_world)
SFORM, FORM_CODES = 280, 252  # bytes of a NIfTI header


def save(path, volume=HEAD.volume):
    nib.save(nib.Nifti1Image(volume, HEAD.affine), path)


def with_nan(path):
    volume = HEAD.volume.astype(np.float32)
    volume[20, 20, 20] = np.nan
    save(path, volume)


def patched(offset, code, *values):
    def write(path):
        save(path)
        content = bytearray(path.read_bytes())
        struct.pack_into(code, content, offset, *values)
        path.write_bytes(content)

    return write


def corrupt(path):
    save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def rgb_metaimage(path):
    colours = np.zeros((*HEAD.volume.T.shape, 3), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(path))


def truncated_nrrd(path):
    image = sitk.GetImageFromArray(HEAD.volume.T)
    image.SetSpacing((3.0, 3.0, 3.0))
    image.SetOrigin((HEAD.affine[:3, 3] * [-1, -1, 1]).tolist())
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes()[:5000])


# Kind: suffix, writer, what the message says of the file and what to do.
BAD_IMAGES = {
    "corrupt-gzip": (".nii.gz", corrupt, "cannot be read as an image", "check the file"),
    "empty": (".nii", lambda path: path.touch(), "cannot be read as an image", "check the file"),
    "truncated-nrrd": (".nrrd", truncated_nrrd, "cannot be read as an image", "check the file"),
    "2d": (".nii", lambda path: save(path, HEAD.volume[:, :, 20]), "(54, 35)", "a 3D image"),
    "rgb-mha": (".mha", rgb_metaimage, "has 3 channels", "one channel"),
    "nan": (".nii.gz", with_nan, "NaN", "replace them"),
    "flat": (".nii.gz", lambda path: save(path, 0 * HEAD.volume), "all voxels are 0", "contrast"),
    "singular": (".nii", patched(SFORM, "<4f", 0, 0, 0, 0), "is singular", "correct the header"),
    "no-forms": (".nii", patched(FORM_CODES, "<hh", 0, 0), "neither sform nor qform", "save it"),
}


def markups(edit):
    def write(path):
        write_landmarks(path, LANDMARKS)
        content = json.loads(path.read_text("utf-8"))
        edit(content["markups"][0], content["markups"][0]["controlPoints"])
        path.write_text(json.dumps(content), "utf-8")

    return write


# Kind: suffix, writer, what the message says of the file and what to do.
BAD_LANDMARKS = {
    "not-json": (".mrk.json", lambda path: path.write_text("{,"), "not valid JSON", "save it"),
    "same-name": (
        ".mrk.json",
        markups(lambda _, points: points[1].update(label=NAMES[0])),
        f"labels occur twice: {NAMES[0]}",
        "make each unique",
    ),
    "no-frame": (
        ".mrk.json",
        markups(lambda markup, _: markup.pop("coordinateSystem")),
        "does not say whether its x, y, z are RAS, LPS",
        "give data.frame=",
    ),
    "no-number": (
        ".csv",
        lambda path: path.write_text("landmark,x_ras,y_ras,z_ras\nnose,1,two,3\n"),
        "'two' is not a finite number",
        "correct it",
    ),
    "not-utf8": (".fcsv", lambda path: path.write_bytes(b"\xff\xfe0"), "not UTF-8", "save it as"),
}
