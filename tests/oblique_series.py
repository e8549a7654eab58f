"""A CT series as a scanner writes it, oblique and with spacings that differ, by pydicom alone.

Positions follow from its headers by equation C.7.6.2.1-1 of DICOM PS3.3, written out here.
"""

import frames_of_dicom as frames
import numpy as np
from scipy.spatial.transform import Rotation

TURN = Rotation.from_euler("xyz", [10, -20, 35], degrees=True).as_matrix()
ROW, COLUMN, NORMAL = TURN.T  # along a row of voxels, along a column, from slice to slice
FIRST = np.array([-20.5, 33.0, 7.25])
SPACING, STEP = [0.5, 0.75], 1.25  # between rows, between columns; between slices
FRAME = "1.2.840.99.7"


def position_lps(column, row, number):
    """LPS mm of a voxel of a slice."""
    first = FIRST + STEP * number * NORMAL
    return first + SPACING[1] * column * ROW + SPACING[0] * row * COLUMN


def to_ras(position):
    return np.asarray(position) * [-1, -1, 1]


def with_patient(dataset):
    """What scanners say of patient and study; names in Latin-1."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID = "Müller^Jörg", "P-17"
    dataset.PatientBirthDate, dataset.PatientSex = "19700102", "M"
    dataset.StudyInstanceUID, dataset.StudyID = "1.2.840.99.1", "S1"
    dataset.StudyDate, dataset.StudyTime = "20240131", "101112"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A-3", "Weiß^Ann"
    dataset.StudyDescription, dataset.PatientIdentityRemoved = "Schädel", "NO"
    dataset.FrameOfReferenceUID = FRAME
    dataset.SeriesInstanceUID, dataset.SeriesNumber = "1.2.840.99.2", 4
    return dataset


def oblique_slices(count=4):
    slices = []
    for number in range(count):
        one = with_patient(frames.one_slice(number, position_lps(0, 0, number)))
        one.PixelSpacing, one.ImageOrientationPatient = SPACING, [*ROW, *COLUMN]
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.840.99.3.{number}"
        one.InstanceNumber = number + 1
        slices.append(one)
    return slices


def write_oblique(folder, slices=None):
    """Write a series; its files are in the opposite order of its slices."""
    slices = oblique_slices() if slices is None else slices
    for number, one in enumerate(reversed(slices)):
        frames.save(one, folder / f"{number:03d}.dcm")
    return folder


def enhanced():
    """The same as one file of frames; ImageOrientationPatient and the rest are in groups."""
    places = [position_lps(0, 0, number) for number in range(frames.SHAPE[2])]
    one = with_patient(frames.enhanced(positions=places))
    shared = one.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [*ROW, *COLUMN]
    shared.PixelMeasuresSequence[0].PixelSpacing = SPACING
    return one
