import frames_of_dicom as frames
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_series import write_series
from pydicom.uid import CTImageStorage
from refusals import refused
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import itk_affine
from pin_lightning.data.images import gdcm
from pin_lightning.data.images.dicom import holds_dicom
from pin_lightning.data.images.reading import read_header, read_voxels


@pytest.fixture
def image():
    """An oblique volume of 16-bit voxels."""
    voxels = np.random.default_rng(0).integers(-500, 500, (7, 9, 11)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.8, 0.9, 1.5))
    image.SetOrigin((-20.5, 33.0, 7.25))
    turn = Rotation.from_euler("xyz", [10, -20, 5], degrees=True).as_matrix()
    image.SetDirection(turn.ravel().tolist())
    return image


@pytest.fixture
def series(image, tmp_path):
    write_series(image, tmp_path / "series")
    return tmp_path / "series"


def files(series):
    return sorted(series.glob("*.dcm"))


def test_header_and_voxels_are_those_that_were_written(image, series):
    shape, affine = read_header(series)
    assert shape == image.GetSize()
    expected = itk_affine(image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    np.testing.assert_allclose(affine, expected, atol=1e-4)
    np.testing.assert_array_equal(read_voxels(series), sitk.GetArrayFromImage(image).T)


def test_names_of_files_and_other_files_do_not_matter(image, series):
    before = read_voxels(series)
    for number, path in enumerate(files(series)):
        path.rename(series / f"slice{99 - number}.dcm")
    (series / "notes.txt").write_text("not a slice")
    (series / "._slice99.dcm").write_bytes(files(series)[0].read_bytes())  # a copy of macOS
    (series / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    np.testing.assert_array_equal(read_voxels(series), before)
    assert read_header(series)[0] == image.GetSize()


def test_slices_that_are_rescaled_differently(tmp_path):
    for number, position in enumerate(frames.places()):
        dataset = frames.one_slice(number, position)
        dataset.RescaleSlope, dataset.RescaleIntercept = number + 1, -number
        frames.save(dataset, tmp_path / "series" / f"{9 - number}.dcm")
    shape, affine = read_header(tmp_path / "series")
    assert shape == frames.SHAPE
    np.testing.assert_allclose(affine, frames.AFFINE, atol=1e-9)
    expected = frames.VOXELS * np.array([1, 2, 3]) - np.array([0, 1, 2])
    np.testing.assert_array_equal(read_voxels(tmp_path / "series"), expected)


def lose_a_slice(image, series):
    files(series)[3].unlink()


def double_a_slice(image, series):
    write_series(image, series, prefix="again")
    for path in files(series)[-6:]:
        path.unlink()


def lose_all(image, series):
    for path in files(series):
        path.unlink()


def add_a_series(image, series):
    write_series(image, series, uid="1.2.3.5", prefix="b")


def cut_a_slice(image, series):
    content = files(series)[3].read_bytes()
    files(series)[3].write_bytes(content[: len(content) // 3])


def add_a_report(image, series):
    report = frames.one_slice(99, (0, 0, 0))
    del report.Rows, report.Columns, report.PixelData
    frames.save(report, series / "report.dcm")


def refer_to_another_scan(image, series):
    change(files(series)[1], FrameOfReferenceUID="1.2.3.8")
    change(files(series)[3], FrameOfReferenceUID="1.2.3.9")


def invert_a_slice(image, series):
    change(files(series)[3], PhotometricInterpretation="MONOCHROME1")


def change(path, **values):
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


BAD = {
    "a slice of another frame of reference": refer_to_another_scan,
    "a slice that is inverted": invert_a_slice,
    "a slice is missing": lose_a_slice,
    "a slice twice": double_a_slice,
    "no slices": lose_all,
    "two series": add_a_series,
    "a slice is cut short": cut_a_slice,
    "no image": add_a_report,
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
def test_refuses_in_one_line_that_names_the_folder(image, series, spoil):
    spoil(image, series)
    with refused(series, "series"):
        print(read_header(series), read_voxels(series).shape)


def test_a_folder_of_slices_is_known_by_its_files(series, tmp_path):
    assert holds_dicom(series)
    (tmp_path / "empty").mkdir()
    assert not holds_dicom(tmp_path / "empty")


def values_of(bits, signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    return np.random.default_rng(0).integers(low, high, frames.SHAPE)


def single_slices(folder, values, bits, signed=0, overlay=False):
    """Slices of 16 bits, of which `bits` are used; the others hold an overlay or no sign."""
    random = np.random.default_rng(1)
    stored = (values & (2**bits - 1)).astype(np.uint16)
    if overlay:
        stored |= random.integers(0, 2, frames.SHAPE).astype(np.uint16) << 15
    for number, place in enumerate(frames.places()):
        dataset = frames.image(stored[..., [number]].view(np.int16), CTImageStorage)
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, signed
        dataset.ImagePositionPatient = list(place)
        dataset.ImageOrientationPatient = frames.ORIENTATION
        dataset.PixelSpacing, dataset.SeriesInstanceUID = frames.SPACING, "1.2.3"
        dataset.SOPInstanceUID = f"1.2.3.{number + 1}"
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -7
        del dataset.NumberOfFrames
        frames.save(dataset, folder / f"{number}.dcm")


@pytest.mark.parametrize("overlay", [False, True])
@pytest.mark.parametrize(("bits", "signed"), [(12, 0), (12, 1), (16, 0), (16, 1), (9, 1)])
def test_bits_that_are_not_used_say_nothing(tmp_path, bits, signed, overlay):
    """SimpleITK (GDCM) reads the same."""
    values = values_of(bits, signed)
    single_slices(tmp_path, values, bits, signed, overlay and bits < 16)
    voxels = read_voxels(tmp_path)
    np.testing.assert_array_equal(voxels, values - 7)
    for number in range(frames.SHAPE[2]):
        independent = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{number}.dcm"))).T
        np.testing.assert_array_equal(voxels[..., number], independent[..., 0])


def test_compressed_slices_are_those_that_were_not(image, series, tmp_path):
    write_series(image, tmp_path / "packed", compressed=True)
    header = pydicom.dcmread(min((tmp_path / "packed").iterdir()))
    assert header.file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read_voxels(series), read_voxels(tmp_path / "packed"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "its decoder ended by SIGSEGV"),
        ("raise SystemExit(1)", "it cannot be decoded"),
        ("import time; time.sleep(60)", "not decoded after 1 s"),
    ],
)
def test_a_decoder_that_dies_is_one_line(image, tmp_path, monkeypatch, code, words):
    series = tmp_path / "packed"
    write_series(image, series, compressed=True)
    (tmp_path / "decoder.py").write_text(code)
    monkeypatch.setattr(gdcm, "DECODER", tmp_path / "decoder.py")
    monkeypatch.setattr(gdcm, "MOST_SECONDS", 1)
    with pytest.raises(ValueError, match=rf"{series}: cannot be read as an image \({words}\)"):
        read_voxels(series)
