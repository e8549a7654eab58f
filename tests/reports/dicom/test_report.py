"""Reports read back: by highdicom, by pydicom alone, and by dciodvfy where it is installed."""

import shutil
import subprocess
from dataclasses import replace

import highdicom as hd
import numpy as np
import oblique_series as oblique
import predicted_series as series
import pydicom
import pytest
from frames_of_dicom import save
from pydicom.sr.codedict import codes
from pydicom.uid import Comprehensive3DSRStorage

from pin_lightning.data.images.dicom_evidence import read_evidence
from pin_lightning.reports.dicom import codes as own
from pin_lightning.reports.dicom.report import PredictedBy, landmark_report, uid_of


def predicted_by(by="0" * 16, bars=True):
    return PredictedBy("one", "0.1.0", by, series.NAMES, series.error_bars() if bars else None)


def report_on(source, path, by="0" * 16, bars=True, **other):
    one = series.reviewed(source, with_radii=bars, **other)
    landmark_report(one, read_evidence(source), predicted_by(by, bars)).save_as(path)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return oblique.write_oblique(tmp_path_factory.mktemp("scan") / "series")


@pytest.fixture(scope="module")
def path(source, tmp_path_factory):
    return report_on(source, tmp_path_factory.mktemp("report") / "a.dcm")


def items(dataset, *names):
    """Content items below one, by the meanings of their concept names; no template is known."""
    found = [dataset]
    for name in names:
        children = [item for one in found for item in one.get("ContentSequence", [])]
        found = [one for one in children if one.ConceptNameCodeSequence[0].CodeMeaning == name]
    return found


def groups(dataset):
    return items(dataset, "Imaging Measurements", "Measurement Group")


def number(group, name):
    (item,) = items(group, name)
    value = item.MeasuredValueSequence[0]
    unit = value.MeasurementUnitsCodeSequence[0]
    assert unit.CodingSchemeDesignator == "UCUM"
    return float(value.NumericValue), unit.CodeValue


def answers(group, name):
    return [one.ConceptCodeSequence[0].CodeValue for one in items(group, name)]


def test_points_by_highdicom(path):
    report = hd.sr.srread(path)
    assert isinstance(report, hd.sr.Comprehensive3DSR)
    found = report.content.get_planar_roi_measurement_groups(
        graphic_type=hd.sr.GraphicTypeValues3D.POINT
    )
    assert [one.tracking_identifier for one in found] == list(series.NAMES[:2])
    for one, voxel in zip(found, series.VOXELS, strict=False):
        assert one.finding_type == own.LANDMARK
        assert one.roi.frame_of_reference_uid == oblique.FRAME
        expected = oblique.position_lps(*voxel)[None]
        np.testing.assert_allclose(one.roi.value, expected, rtol=0, atol=1e-5)  # float32
        (radius,) = one.get_measurements(name=own.ERROR_RADIUS)
        assert radius.unit == codes.UCUM.Millimeter
    (gone,) = report.content.get_image_measurement_groups()
    assert gone.tracking_identifier == "gone"
    said = gone.get_qualitative_evaluations(name=own.REMARK)
    assert [one.value for one in said] == [own.OUTSIDE]
    assert gone.get_measurements() == []
    (observer,) = report.content.get_observer_contexts(observer_type=codes.DCM.Device)
    assert observer.observer_identifying_attributes.name == "PIN-Lightning 0.1.0"


def test_points_by_pydicom_alone(path):
    dataset = pydicom.dcmread(path)
    assert dataset.SOPClassUID == Comprehensive3DSRStorage
    assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    radii = series.error_bars().calibration.radius_mm(series.SPREAD)
    for index, group in enumerate(groups(dataset)[:2]):
        (name,) = items(group, "Tracking Identifier")
        assert name.TextValue == series.NAMES[index]
        (point,) = items(group, "Image Region")
        assert (point.ValueType, point.GraphicType) == ("SCOORD3D", "POINT")
        assert point.ReferencedFrameOfReferenceUID == oblique.FRAME
        expected = oblique.position_lps(*series.VOXELS[index])
        np.testing.assert_allclose(point.GraphicData, expected, rtol=0, atol=1e-5)
        assert number(group, own.ERROR_RADIUS.meaning) == (round(radii[index], 4), "mm")
        assert number(group, own.START_SPREAD.meaning) == (series.SPREAD[index], "mm")
        assert number(group, own.COVERAGE.meaning) == (90.0, "%")
    assert len(groups(dataset)) == 3
    assert not items(groups(dataset)[2], "Image Region")


def test_what_is_to_be_looked_at_and_why(path, source, tmp_path):
    first, second, gone = groups(pydicom.dcmread(path))
    yes, no = codes.SCT.Yes.value, codes.SCT.No.value
    assert [answers(one, own.FOR_REVIEW.meaning) for one in (first, second, gone)] == [
        *([no], [yes], [yes])
    ]
    assert answers(first, own.REMARK.meaning) == []
    assert answers(second, own.REMARK.meaning) == ["NEAR_BORDER"]
    other = report_on(source, tmp_path / "b.dcm", uncertain=True, remarks=("texture: rougher",))
    first = groups(pydicom.dcmread(other))[0]
    assert answers(first, own.FOR_REVIEW.meaning) == [yes]
    assert answers(first, own.REMARK.meaning) == ["POSE_UNCERTAIN", "UNLIKE_TRAINING"]


def test_a_large_radius_alone_is_for_review_without_a_remark(source, tmp_path):
    one = replace(series.reviewed(source), near_border=None)
    landmark_report(one, read_evidence(source), predicted_by()).save_as(tmp_path / "b.dcm")
    first, second, _ = groups(pydicom.dcmread(tmp_path / "b.dcm"))
    assert number(second, own.ERROR_RADIUS.meaning) == (1.25, "mm")
    assert answers(first, own.FOR_REVIEW.meaning) == [codes.SCT.No.value]
    assert answers(second, own.FOR_REVIEW.meaning) == [codes.SCT.Yes.value]
    assert answers(second, own.REMARK.meaning) == []


def test_without_error_bars_there_is_no_radius(source, tmp_path):
    first, *_ = groups(pydicom.dcmread(report_on(source, tmp_path / "b.dcm", bars=False)))
    assert not items(first, own.ERROR_RADIUS.meaning)
    assert not items(first, own.COVERAGE.meaning)
    assert number(first, own.START_SPREAD.meaning) == (0.125, "mm")


def test_patient_study_and_objects_are_those_of_the_series(path):
    dataset = pydicom.dcmread(path)
    original = oblique.oblique_slices()[0]
    for name in ("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
        assert dataset[name].value == original[name].value
    assert dataset.PatientName == "Müller^Jörg"
    assert dataset.ReferringPhysicianName == "Weiß^Ann"
    assert (dataset.StudyDescription, dataset.PatientIdentityRemoved) == ("Schädel", "NO")
    assert (dataset.Modality, dataset.CompletionFlag) == ("SR", "COMPLETE")
    assert (dataset.VerificationFlag, dataset.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert dataset.SeriesInstanceUID != original.SeriesInstanceUID
    assert (dataset.Manufacturer, dataset.SoftwareVersions) == ("PIN-Lightning", "0.1.0")
    (study,) = dataset.CurrentRequestedProcedureEvidenceSequence
    (evidence,) = study.ReferencedSeriesSequence
    assert evidence.SeriesInstanceUID == original.SeriesInstanceUID
    uids = {f"1.2.840.99.3.{index}" for index in range(4)}
    assert {one.ReferencedSOPInstanceUID for one in evidence.ReferencedSOPSequence} == uids
    library = items(dataset, "Image Library", "Image Library Group", "Source")
    assert {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in library} == uids
    schemes = [one.CodingSchemeDesignator for one in dataset.CodingSchemeIdentificationSequence]
    assert schemes == [own.SCHEME]


def test_the_same_run_and_series_give_the_same_report(path, source, tmp_path):
    again = pydicom.dcmread(report_on(source, tmp_path / "b.dcm"))
    other = pydicom.dcmread(report_on(source, tmp_path / "c.dcm", by="1" * 16))
    first = pydicom.dcmread(path)
    for name in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert again[name] == first[name] != other[name]
    times = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime")
    for one in (first, again):
        for name in times:
            assert one.pop(name).value
        del one.ContributingEquipmentSequence[0].ContributionDateTime
    assert again == first
    uids = [
        [items(group, "Tracking Unique Identifier")[0].UID for group in groups(one)]
        for one in (first, other)
    ]
    assert first.ContributingEquipmentSequence[0].ManufacturerModelName == "highdicom"
    assert uids[0] == uids[1]  # landmarks are followed from run to run
    assert len(set(uids[0])) == 3


def test_a_file_of_frames(tmp_path):
    source = save(oblique.enhanced(), tmp_path / "a.dcm")
    dataset = pydicom.dcmread(report_on(source, tmp_path / "b.dcm"))
    (point,) = items(groups(dataset)[0], "Image Region")
    expected = oblique.position_lps(*series.VOXELS[0])
    np.testing.assert_allclose(point.GraphicData, expected, rtol=0, atol=1e-5)
    study = dataset.CurrentRequestedProcedureEvidenceSequence[0]
    (one,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert one.ReferencedSOPInstanceUID == "1.2.3.4.5"


def test_uids_are_valid_and_long_enough_to_differ():
    uids = {uid_of("landmark", str(index)) for index in range(100)}
    assert len(uids) == 100
    assert all(pydicom.uid.UID(one).is_valid for one in uids)


def test_codes_fit_their_fields():
    mine = [
        one for one in vars(own).values() if getattr(one, "scheme_designator", "") == own.SCHEME
    ]
    assert len({one.value for one in mine}) == len(mine) == 10
    assert all(len(one.value) <= 16 and len(one.meaning) <= 64 for one in mine)
    assert len(own.SCHEME) <= 16
    assert own.procedure("CT").value == "25045-6"
    assert own.procedure("US") == own.procedure("") == codes.cid100.ImagingProcedure
    assert (own.modality_code("MR").value, own.modality_code("XX")) == ("MR", None)


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="no dciodvfy; apt-get install dicom3tools"
)
def test_it_is_valid_to_dciodvfy(path):
    done = subprocess.run(["dciodvfy", path], capture_output=True, encoding="utf-8", check=False)
    said = f"{done.stdout}{done.stderr}".splitlines()
    assert [line for line in said if line.startswith("Error")] == []
    assert any("Comprehensive3DSR" in line for line in said)
