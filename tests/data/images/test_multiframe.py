"""DICOM files of many frames: what a series of single files gets."""

import frames_of_dicom as frames
import numpy as np
import pytest
import SimpleITK as sitk
from frames_of_dicom import AFFINE, FIRST, NORMAL, ORIENTATION, SPACING, STEP, VOXELS
from pydicom.uid import (
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    RTDoseStorage,
    UltrasoundMultiFrameImageStorage,
)
from refusals import refused

from pin_lightning.data.images.reading import read_header, read_voxels


def check(path, voxels=VOXELS, affine=AFFINE):
    shape, found = read_header(path)
    assert shape == voxels.shape
    np.testing.assert_allclose(found, affine, atol=1e-9)
    read = read_voxels(path)
    np.testing.assert_array_equal(read, voxels)
    return read


@pytest.mark.parametrize("per_frame", [False, True], ids=["shared", "per-frame"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1)])
def test_frames_are_put_in_the_order_of_their_positions(tmp_path, order, per_frame):
    path = frames.save(frames.enhanced(order, per_frame=per_frame), tmp_path / "series" / "e.dcm")
    assert check(path).dtype == np.int16
    check(path.parent)


def test_the_same_place_as_itk_finds_where_frames_are_in_order(tmp_path):
    path = frames.save(frames.enhanced(), tmp_path / "e.dcm")
    image = sitk.ReadImage(str(path))
    lps = np.array(image.TransformIndexToPhysicalPoint((4, 3, 0)))
    np.testing.assert_allclose(AFFINE @ [4, 3, 0, 1], [*lps * [-1, -1, 1], 1], atol=1e-6)


def test_frames_without_preamble(tmp_path):
    path = frames.save(frames.enhanced((2, 0, 1)), tmp_path / "series" / "IM1")
    content = path.read_bytes()
    group = int.from_bytes(content[140:144], "little")  # bytes of the file's meta group
    path.write_bytes(content[144 + group :])
    check(path.parent)
    check(path)


def test_a_tilted_gantry_is_oblique_to_its_slices(tmp_path):
    positions = [FIRST + number * np.array([-1.25, 0.25, 0]) for number in range(3)]
    path = frames.save(frames.enhanced((1, 2, 0), positions), tmp_path / "e.dcm")
    sheared = AFFINE.copy()
    sheared[1, 2] = -0.25
    check(path, affine=sheared)


@pytest.mark.parametrize("is_shared", [True, False])
def test_rescaling_is_that_of_each_frame(tmp_path, is_shared):
    dataset = frames.enhanced((2, 1, 0))
    groups = dataset.PerFrameFunctionalGroupsSequence
    for number, group in enumerate(dataset.SharedFunctionalGroupsSequence if is_shared else groups):
        group.PixelValueTransformationSequence = frames.sequence(
            RescaleSlope=number + 1, RescaleIntercept=-10 * number - 1, RescaleType="US"
        )
    slopes, intercepts = ([1, 1, 1], [-1, -1, -1]) if is_shared else ([3, 2, 1], [-21, -11, -1])
    expected = VOXELS * np.array(slopes) + intercepts
    assert check(frames.save(dataset, tmp_path / "e.dcm"), expected).dtype.kind == "i"


def test_rescaling_by_fractions(tmp_path):
    dataset = frames.enhanced()
    for group in dataset.SharedFunctionalGroupsSequence:
        group.PixelValueTransformationSequence = frames.sequence(
            RescaleSlope=0.5, RescaleIntercept=0.25, RescaleType="US"
        )
    check(frames.save(dataset, tmp_path / "e.dcm"), VOXELS * 0.5 + 0.25)


@pytest.mark.parametrize("slopes", [(2, 2, 2), (1, 2, 3)])
def test_compressed_frames(tmp_path, slopes):
    dataset = frames.enhanced((2, 1, 0))
    for group, slope in zip(dataset.PerFrameFunctionalGroupsSequence, slopes, strict=True):
        group.PixelValueTransformationSequence = frames.sequence(
            RescaleSlope=slope, RescaleIntercept=-1, RescaleType="US"
        )
    dataset.compress("1.2.840.10008.1.2.5", encoding_plugin="pydicom")  # run lengths
    path = frames.save(dataset, tmp_path / "e.dcm")
    if len(set(slopes)) == 1:
        check(path, VOXELS * 2 - 1)
    else:
        with refused(path, "different rescale slopes; save it uncompressed"):
            read_voxels(path)


def without(name):
    def change(dataset):
        for group in dataset.SharedFunctionalGroupsSequence:
            delattr(group, name) if name in group else None
        for group in dataset.PerFrameFunctionalGroupsSequence:
            delattr(group, name) if name in group else None

    return change


def shared_geometry(**values):
    def change(dataset):
        (group,) = dataset.SharedFunctionalGroupsSequence
        for name, value in values.items():
            group[name][0][NAMES[name]].value = value

    return change


NAMES = {
    "PixelMeasuresSequence": "PixelSpacing",
    "PlaneOrientationSequence": "ImageOrientationPatient",
}


def turn_a_frame(dataset):
    dataset.PerFrameFunctionalGroupsSequence[1].PlaneOrientationSequence = frames.sequence(
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0]
    )


def lose_a_group(dataset):
    del dataset.PerFrameFunctionalGroupsSequence[1]


def lose_voxels(dataset):
    dataset.PixelData = dataset.PixelData[:-2]


def many_frames(dataset):
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.NumberOfFrames = 2**31 - 1


def colours(dataset):
    dataset.PhotometricInterpretation = "PALETTE COLOR"


BAD = {
    "no-spacing": (without("PixelMeasuresSequence"), "frame 1 without PixelSpacing"),
    "no-orientation": (without("PlaneOrientationSequence"), "without ImageOrientationPatient"),
    "no-position": (without("PlanePositionSequence"), "without ImagePositionPatient"),
    "spacing-0": (shared_geometry(PixelMeasuresSequence=[0, 1]), r"PixelSpacing \[0.0, 1.0\]"),
    "spacing-negative": (shared_geometry(PixelMeasuresSequence=[-1, 1]), "PixelSpacing"),
    "skewed": (
        shared_geometry(PlaneOrientationSequence=[1, 0, 0, 1, 0, 0]),
        r"ImageOrientationPatient \[1",
    ),
    "turned": (turn_a_frame, "direction of frame 2 is not that of frame 1"),
    "groups": (lose_a_group, "cannot be read"),
    "cut-short": (lose_voxels, "cut short"),
    "many-frames": (many_frames, "cannot be read"),
    "palette": (colours, "has 3 channels"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_missing_or_wrong_geometry_is_refused(tmp_path, change, message):
    dataset = frames.enhanced()
    change(dataset)
    path = frames.save(dataset, tmp_path / "e.dcm")
    for read in (read_header, read_voxels):
        with refused(path, message):
            read(path)


def at(*steps):
    return [FIRST + step * NORMAL for step in steps]


UNEVEN = {
    "gap": (at(0, 1, 3, 4), "2 mm between .*2.* and .*3.*, 1 mm elsewhere"),
    "uneven": (at(0, 1, 2.2, 3.2), "1.2 mm between"),
    "phases": (at(0, 1, 2, 0, 1, 2), "6 slices at 3 positions, 2 at each: several phases"),
    "one-twice": (at(0, 1, 1, 2), "4 slices at 3 positions, some twice"),
    "one-place": (at(0, 0, 0), "3 slices at 1 positions, 3 at each"),
    "shifted": ([*at(0, 1), FIRST + 2 * NORMAL + [0, 0, 0.5]], "unevenly spaced"),
}


@pytest.mark.parametrize(("positions", "message"), UNEVEN.values(), ids=UNEVEN)
@pytest.mark.parametrize("as_files", [False, True], ids=["frames", "files"])
def test_frames_and_files_are_refused_alike(tmp_path, positions, message, as_files):
    if as_files:
        path = tmp_path / "series"
        for number, position in enumerate(positions):
            frames.save(frames.one_slice(number, position), path / f"IM{number + 1}")
    else:
        path = frames.save(frames.enhanced(positions=positions), tmp_path / "e.dcm")
    with refused(path, message):
        read_header(path)


def old_style(sop_class, **values):
    dataset = frames.image(VOXELS, sop_class)
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


SECONDARY = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
PLACE = {
    "PixelSpacing": SPACING,
    "ImageOrientationPatient": ORIENTATION,
    "ImagePositionPatient": list(FIRST),
}
SLICE_VECTOR, TIME_SLOTS, FRAME_TIME, OFFSETS = 0x00540080, 0x00540070, 0x00181063, 0x3004000C


def nuclear(spacing=STEP, vector=(1, 2, 3), **values):
    detector = frames.sequence(ImagePositionPatient=FIRST, ImageOrientationPatient=ORIENTATION)
    return old_style(
        NuclearMedicineImageStorage,
        Modality="NM",
        PixelSpacing=SPACING,
        SpacingBetweenSlices=spacing,
        DetectorInformationSequence=detector,
        **{"FrameIncrementPointer": SLICE_VECTOR, "SliceVector": list(vector), **values},
    )


def test_frames_of_nuclear_medicine_lie_along_the_normal(tmp_path):
    check(frames.save(nuclear(), tmp_path / "a.dcm"))
    # A negative spacing: slices are stacked in front of the first, here the last of the volume.
    moved = AFFINE.copy()
    moved[0, 3] = -10 - 2 * STEP
    path = frames.save(nuclear(-STEP), tmp_path / "b.dcm")
    check(path, VOXELS[:, :, ::-1], moved)
    check(frames.save(nuclear(vector=(3, 2, 1)), tmp_path / "c.dcm"), VOXELS[:, :, ::-1])


def test_frames_with_a_vector_of_offsets(tmp_path):
    dose = {"Modality": "RTDOSE", "FrameIncrementPointer": OFFSETS, "DoseGridScaling": 0.5}
    offsets = [0.0, 2.5, 1.25]
    path = frames.save(
        old_style(RTDoseStorage, **dose, **PLACE, GridFrameOffsetVector=offsets), tmp_path / "a.dcm"
    )
    check(path, VOXELS[:, :, [0, 2, 1]] * 0.5)
    # Coordinates along z, of axial slices.
    axial = PLACE | {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    dose["GridFrameOffsetVector"] = [30.0, 31.25, 32.5]
    path = frames.save(old_style(RTDoseStorage, **dose, **axial), tmp_path / "b.dcm")
    affine = np.diag([-0.75, -0.5, 1.25, 1])
    affine[:3, 3] = [-10, 20, 30]
    check(path, VOXELS * 0.5, affine)
    path = frames.save(old_style(RTDoseStorage, **dose, **PLACE), tmp_path / "c.dcm")
    with refused(path, "without ImagePositionPatient"):
        read_header(path)


def test_frames_with_a_spacing_only(tmp_path):
    path = frames.save(old_style(SECONDARY, **PLACE, SpacingBetweenSlices=STEP), tmp_path / "a.dcm")
    check(path)


def two_times():
    return nuclear(FrameIncrementPointer=[TIME_SLOTS, SLICE_VECTOR], TimeSlotVector=[1, 1, 2])


OLD = {
    "nothing": old_style(SECONDARY, **PLACE),
    "ultrasound": old_style(
        UltrasoundMultiFrameImageStorage, **PLACE, Modality="US", SpacingBetweenSlices=STEP
    ),
    "frame-time": old_style(
        SECONDARY, **PLACE, SpacingBetweenSlices=STEP, FrameIncrementPointer=FRAME_TIME
    ),
    "nuclear-planar": nuclear(FrameIncrementPointer=TIME_SLOTS, TimeSlotVector=[1, 1, 1]),
    "nuclear-times": two_times(),
}


@pytest.mark.parametrize("dataset", OLD.values(), ids=OLD)
def test_frames_that_may_be_times_are_refused(tmp_path, dataset):
    path = frames.save(dataset, tmp_path / "a.dcm")
    with refused(path, r"without ImagePositionPatient.*points in time"):
        read_header(path)


def test_two_files_of_frames_in_one_folder_are_refused(tmp_path):
    for name in "ab":
        frames.save(frames.enhanced(), tmp_path / "series" / name)
    with refused(tmp_path / "series", "many frames; keep one"):
        read_header(tmp_path / "series")


def test_deflated_files_are_not_inflated(tmp_path):
    dataset = frames.enhanced()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = frames.save(dataset, tmp_path / "a.dcm")
    with refused(path, "deflated"):
        read_header(path)


def test_sequences_within_sequences_without_end_are_refused(tmp_path):
    path = tmp_path / "a.dcm"
    deeper = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(bytes(128) + b"DICM" + 5000 * deeper)
    with refused(path, "cannot be read|holds no image"):
        read_header(path)
