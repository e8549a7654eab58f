"""Files that are wrong, one kind each: how it is written, and what must be said of it."""

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
SFORM, FORM_CODES, SPACING = 280, 252, 80  # bytes of a NIfTI header


def save(path, volume=HEAD.volume):
    nib.save(nib.Nifti1Image(volume, HEAD.affine), path)


def volume_with(value):
    volume = HEAD.volume.astype(np.float32)
    volume[20, 20, 20] = value
    return volume


def patched(offset, code, *values):
    def write(path):
        save(path)
        content = bytearray(path.read_bytes())
        struct.pack_into(code, content, offset, *values)
        path.write_bytes(content)

    return write


def cut(path, keep=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def truncated(path):
    save(path)
    cut(path)


def corrupt(path):
    save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def rgb_nifti(path):
    colours = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    save(path, np.zeros(HEAD.volume.shape, colours))


def rgb_metaimage(path):
    colours = np.zeros((*HEAD.volume.T.shape, 3), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(path))


def truncated_nrrd(path):
    image = sitk.GetImageFromArray(HEAD.volume.T)
    image.SetSpacing((3.0, 3.0, 3.0))
    image.SetOrigin((HEAD.affine[:3, 3] * [-1, -1, 1]).tolist())
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))
    cut(path)


ONE_CHANNEL, WHERE = "one channel", "correct the header"
CHECK = "check the file"
# Kind: suffix, writer, what the message says of the file and what to do.
BAD_IMAGES = {
    "truncated-gzip": (".nii.gz", truncated, "cannot be read as an image", CHECK),
    "corrupt-gzip": (".nii.gz", corrupt, "cannot be read as an image", CHECK),
    "no-image": (".nii.gz", lambda path: path.write_text("no image"), "cannot be read", CHECK),
    "no-image-nrrd": (".nrrd", lambda path: path.write_text("no image"), "cannot be read", CHECK),
    "empty": (".nii", lambda path: path.touch(), "cannot be read as an image", CHECK),
    "truncated-nrrd": (".nrrd", truncated_nrrd, "cannot be read as an image", CHECK),
    "2d": (".nii", lambda path: save(path, HEAD.volume[:, :, 20]), "(54, 35)", "a 3D image"),
    "4d": (
        ".nii",
        lambda path: save(path, np.stack([HEAD.volume] * 2, axis=-1)),
        "(54, 35, 47, 2)",
        "a 3D image",
    ),
    "rgb": (".nii", rgb_nifti, "voxels of type", ONE_CHANNEL),
    "rgb-mha": (".mha", rgb_metaimage, "has 3 channels", ONE_CHANNEL),
    "nan": (".nii.gz", lambda path: save(path, volume_with(np.nan)), "NaN", "replace them"),
    "inf": (".nii.gz", lambda path: save(path, volume_with(np.inf)), "infinite", "replace them"),
    "constant": (
        ".nii.gz",
        lambda path: save(path, np.full_like(HEAD.volume, 7)),
        "all voxels are 7",
        "give an image with contrast",
    ),
    "zero-spacing": (".nii", patched(SPACING, "<f", 0.0), "voxel spacing [0.0", WHERE),
    "negative-spacing": (".nii", patched(SPACING, "<f", -3.0), "voxel spacing [-3.0", WHERE),
    "singular": (".nii", patched(SFORM, "<4f", 0, 0, 0, 0), "is singular", WHERE),
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
    "empty-landmarks": (".mrk.json", lambda path: path.touch(), "is empty", "save it again"),
    "empty-list": (
        ".mrk.json",
        markups(lambda _, points: points.clear()),
        "its point list is empty",
        "place the landmarks",
    ),
    "not-json": (".mrk.json", lambda path: path.write_text("{,"), "not valid JSON", "save it"),
    "two-coordinates": (
        ".mrk.json",
        markups(lambda _, points: points[3]["position"].pop()),
        f"landmark '{NAMES[3]}' has position [",
        "give x, y, z",
    ),
    "nan-position": (
        ".mrk.json",
        markups(lambda _, points: points[3].update(position=[1.0, np.nan, 2.0])),
        f"landmark '{NAMES[3]}' has position [",
        "give finite numbers",
    ),
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
