"""Reports beside landmark files: when there is one, when there is none, and what that says."""

import errno
import warnings
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import oblique_series as oblique
import predicted_series as series
import pydicom
import pytest
from frames_of_dicom import save
from inference.headers import header_of

from conftest import composed
from pin_lightning.inference import dicom_reports
from pin_lightning.inference.beginning import begin
from pin_lightning.inference.dicom_reports import write_report
from pin_lightning.inference.part import Part
from pin_lightning.inference.run import infer

HEADER = header_of(names=series.NAMES, dicom=True)


def written(source, path, header=HEADER):
    return write_report(path, source, series.reviewed(source, with_radii=False), header)


@pytest.fixture
def source(tmp_path):
    return oblique.write_oblique(tmp_path / "series")


def test_it_is_written_whole_and_under_the_same_uid(source, tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "out" / "a.dcm"
    assert written(source, path)
    first = pydicom.dcmread(path)
    assert written(source, path)
    again = pydicom.dcmread(path)
    assert (
        again.SOPInstanceUID == first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    )
    other = replace(HEADER, num_starts=7)
    assert written(source, path, other)
    assert pydicom.dcmread(path).SOPInstanceUID != first.SOPInstanceUID
    assert [one.name for one in path.parent.iterdir()] == ["a.dcm"]
    assert caplog.messages == []


def test_files_that_are_named_otherwise_are_the_same_series(source, tmp_path):
    assert written(source, tmp_path / "a.dcm")
    renamed = oblique.write_oblique(tmp_path / "renamed", oblique.oblique_slices()[::-1])
    assert written(renamed, tmp_path / "b.dcm")
    uids = {pydicom.dcmread(tmp_path / name).SOPInstanceUID for name in ("a.dcm", "b.dcm")}
    assert len(uids) == 1


def lacking(attribute):
    def make(folder):
        slices = oblique.oblique_slices()
        for one in slices:
            delattr(one, attribute)
        return oblique.write_oblique(folder / "series", slices)

    return make


def frames_without_reference(folder):
    one = oblique.enhanced()
    del one.FrameOfReferenceUID
    return save(one, folder / "scan.dcm")


def other_format(folder):
    (folder / "scan.nii").write_bytes(bytes(400))
    return folder / "scan.nii"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (other_format, "it is no DICOM series"),
        (lacking("FrameOfReferenceUID"), "its series has no FrameOfReferenceUID"),
        (frames_without_reference, "its series has no FrameOfReferenceUID"),
        (lacking("StudyInstanceUID"), "has no StudyInstanceUID"),
        (lambda folder: folder / "gone", ""),
    ],
)
def test_without_a_report_one_line_says_why(make, reason, tmp_path, caplog):
    """And the report of an earlier series, which is no longer true, goes."""
    path = tmp_path / "out" / "a.dcm"
    path.parent.mkdir()
    path.touch()
    source = make(tmp_path)
    caplog.clear()
    assert not written(source, path)
    (message,) = caplog.messages
    assert message.startswith("a: no DICOM report: ")
    assert reason in message
    assert "\n" not in message
    assert not path.exists()


def test_what_no_one_thought_of_is_one_line_too(source, tmp_path, monkeypatch, caplog):
    def strange(_):
        raise KeyError("what\nnow")

    monkeypatch.setattr(dicom_reports, "read_evidence", strange)
    assert not written(source, tmp_path / "a.dcm")
    (message,) = caplog.messages
    assert message.startswith("a: no DICOM report: report: KeyError: ")


@pytest.mark.filterwarnings("ignore:.*value:UserWarning")
@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("PatientSex", "unknown"),
        ("PatientName", "ANON"),
        ("PatientID", "x" * 80),
        ("StudyInstanceUID", "1.2.03.4"),
    ],
)
def test_wrong_values_of_the_series_are_copied_without_a_word(attribute, value, tmp_path, caplog):
    one = oblique.enhanced()
    setattr(one, attribute, value)
    source = save(one, tmp_path / "scan.dcm")
    caplog.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written(source, tmp_path / "a.dcm")
    assert caplog.messages == []
    assert pydicom.dcmread(tmp_path / "a.dcm")[attribute].value == value


def test_a_full_disk_is_none_of_these(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        written(source, tmp_path / "a.dcm")


def test_it_is_among_the_files_and_settings(tmp_path):
    without = header_of()
    own = header_of(dicom=True, planes=("TV",))
    assert own.files("a") == ["a.mrk.json", "a.dcm", "a_TV.nii.gz", "a_TV.png"]
    assert without.by != header_of(dicom=True).by
    assert header_of(dicom=True).difference(without) == "dicom=False"
    part = Part.of(None)
    begin(tmp_path, without, part, {"a": "a"}, overwrite=False)
    with pytest.raises(ValueError, match="holds results of dicom=False"):
        begin(tmp_path, header_of(dicom=True), part, {"a": "a"}, overwrite=False)


def test_without_the_package_nothing_is_done(short_run, source, tmp_path, monkeypatch):
    found = util.find_spec
    absent = lambda name: None if name == "highdicom" else found(name)  # noqa: E731
    monkeypatch.setattr(dicom_reports, "find_spec", absent)
    output = tmp_path / "out"
    given = [f"run={short_run}", f"input={source}", f"output={output}", "dicom=true"]
    with pytest.raises(ValueError, match=r"pip install 'pin-lightning\[dicom\]'"):
        infer(composed(*given, config_name="infer"))
    assert not output.exists()


def test_a_wrong_setting_is_refused(short_run, source, tmp_path):
    given = [f"run={short_run}", f"input={source}", f"output={tmp_path / 'out'}", "dicom=1"]
    with pytest.raises(ValueError, match="dicom=1: give true or false"):
        infer(composed(*given, config_name="infer"))


def test_prediction_of_a_series_and_of_another_format(short_run, tmp_path, caplog):
    """The points are those of the landmark file, which is in the same coordinates, LPS."""
    from predicted_series import phantom_as_series_and_nifti

    from pin_lightning.data.landmarks.files import read_landmarks

    folder = phantom_as_series_and_nifti(tmp_path / "in")
    output = tmp_path / "out"
    given = [f"run={short_run}", f"input={folder}/*", f"output={output}", "device=cpu"]
    assert infer(composed(*given, "dicom=true", "planes=false", config_name="infer")) == 0
    assert sorted(one.name for one in output.glob("*.dcm")) == ["head.dcm"]
    assert "other: no DICOM report: it is no DICOM series" in caplog.messages
    assert (output / "other.mrk.json").is_file()
    landmarks = read_landmarks(output / "head.mrk.json")
    found = pydicom.dcmread(output / "head.dcm").ContentSequence[-1].ContentSequence
    points = [one for group in found for one in group.ContentSequence if "GraphicData" in one]
    expected = landmarks.positions_world[landmarks.defined] * [-1, -1, 1]
    assert len(points) == len(expected) > 0
    np.testing.assert_allclose([one.GraphicData for one in points], expected, atol=1e-4)
