"""Writing DICOM files of many frames, by pydicom."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

ORIENTATION = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]  # columns run to the back, rows to the feet
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])  # to the right: (-1, 0, 0) in LPS
FIRST = np.array([10.0, -20.0, 30.0])
SPACING = [0.5, 0.75]  # between rows, between columns
STEP = 1.25
SHAPE = (5, 4, 3)  # columns, rows, slices
VOXELS = np.arange(60, dtype=np.int16).reshape(SHAPE, order="F")
# Worked out by hand, in RAS: columns are a step along a row of voxels, a column, and the slices.
AFFINE = np.array(
    [
        [0.0, 0.0, 1.25, -10.0],
        [-0.75, 0.0, 0.0, 20.0],
        [0.0, -0.5, 0.0, 30.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def places(count=SHAPE[2]):
    return [FIRST + number * STEP * NORMAL for number in range(count)]


def sequence(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, list(value) if isinstance(value, np.ndarray) else value)
    return Sequence([item])


def image(voxels=VOXELS, sop_class=EnhancedCTImageStorage):
    """An image of frames without places."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, "1.2.3.4.5"
    dataset.SeriesInstanceUID, dataset.Modality = "1.2.3.4", "CT"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows, dataset.NumberOfFrames = voxels.shape
    dataset.BitsAllocated = dataset.BitsStored = 8 * voxels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(voxels.dtype.kind == "i")
    dataset.PixelData = voxels.tobytes(order="F")
    return dataset


def enhanced(order=None, positions=None, per_frame=False):
    """An enhanced CT: frames in the order given, their geometry shared or of each."""
    positions = places() if positions is None else positions
    order = range(len(positions)) if order is None else order
    repeated = VOXELS[:, :, [number % SHAPE[2] for number in order]]
    dataset = image(repeated)
    shared, frames = Dataset(), [Dataset() for _ in order]
    for group in frames if per_frame else [shared]:
        group.PlaneOrientationSequence = sequence(ImageOrientationPatient=ORIENTATION)
        group.PixelMeasuresSequence = sequence(PixelSpacing=SPACING)
    for group, number in zip(frames, order, strict=True):
        group.PlanePositionSequence = sequence(ImagePositionPatient=positions[number])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def one_slice(number, position):
    """A file of a series."""
    dataset = image(VOXELS[:, :, [number % SHAPE[2]]], CTImageStorage)
    del dataset.NumberOfFrames
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.5.{number}"
    dataset.PixelSpacing, dataset.ImageOrientationPatient = SPACING, ORIENTATION
    dataset.ImagePositionPatient = list(position)
    return dataset


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
