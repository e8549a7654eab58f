import numpy as np
import oblique_series as oblique
import pytest
from frames_of_dicom import save

from pin_lightning.data.images.dicom_evidence import COPIED, REQUIRED, read_evidence
from pin_lightning.data.images.reading import read_header


def test_the_patient_and_the_objects_of_a_series(tmp_path):
    folder = oblique.write_oblique(tmp_path / "series")
    (folder / "notes.txt").write_text("of another kind")
    evidence = read_evidence(folder)
    assert evidence.modality == "CT"
    assert evidence.frame_of_reference == oblique.FRAME
    assert evidence.uids == [f"1.2.840.99.3.{number}" for number in range(4)]
    assert {one.SeriesInstanceUID for one in evidence.instances} == {"1.2.840.99.2"}
    assert evidence.patient.PatientName == "Müller^Jörg"
    assert evidence.patient.StudyDescription == "Schädel"
    assert {element.keyword for element in evidence.patient} <= {*REQUIRED, *COPIED}


def test_what_an_anonymous_file_lacks_is_empty(tmp_path):
    one = oblique.enhanced()
    for name in ("PatientName", "PatientID", "StudyDescription", "ReferringPhysicianName"):
        delattr(one, name)
    patient = read_evidence(save(one, tmp_path / "a.dcm")).patient
    assert [str(patient.get(name)) for name in REQUIRED[:2]] == ["", ""]
    assert "StudyDescription" not in patient


def test_the_series_is_where_the_equation_of_the_standard_says(tmp_path):
    for path in (
        oblique.write_oblique(tmp_path / "series"),
        save(oblique.enhanced(), tmp_path / "a.dcm"),
    ):
        _, affine = read_header(path)
        place = (affine @ [2.5, 1.25, 1.75, 1])[:3]
        np.testing.assert_allclose(oblique.to_ras(place), oblique.position_lps(2.5, 1.25, 1.75))


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("FrameOfReferenceUID", "its series has no FrameOfReferenceUID"),
        ("StudyInstanceUID", r"\.dcm has no StudyInstanceUID"),
        ("SOPInstanceUID", r"\.dcm has no SOPInstanceUID"),
    ],
)
def test_what_a_report_cannot_do_without(tmp_path, attribute, message):
    slices = oblique.oblique_slices()
    for one in slices:
        setattr(one, attribute, "")
    with pytest.raises(ValueError, match=message):
        read_evidence(oblique.write_oblique(tmp_path / "series", slices))


def test_a_frame_of_reference_that_one_file_lacks_is_that_of_the_others(tmp_path):
    slices = oblique.oblique_slices()
    del slices[-1].FrameOfReferenceUID
    folder = oblique.write_oblique(tmp_path / "series", slices)
    assert read_evidence(folder).frame_of_reference == oblique.FRAME


def test_another_format_is_no_series(tmp_path):
    (tmp_path / "a.nii").write_bytes(bytes(400))
    with pytest.raises(ValueError, match="it is no DICOM series"):
        read_evidence(tmp_path / "a.nii")
