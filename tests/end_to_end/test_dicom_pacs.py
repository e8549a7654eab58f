"""A series is predicted, and stored with its report in a PACS, which gives both back."""

from io import BytesIO

import highdicom as hd
import numpy as np
import orthanc
import pydicom
import pytest
from predicted_series import phantom_as_series_and_nifti
from programs import run
from pydicom.uid import Comprehensive3DSRStorage

from pin_lightning.data.landmarks.files import read_landmarks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predicted(short_run, tmp_path_factory):
    """Folders of a series, and of its prediction by the program."""
    folder = tmp_path_factory.mktemp("predicted")
    phantom_as_series_and_nifti(folder / "in")
    given = [f"run={short_run}", f"input={folder / 'in' / 'head'}", f"output={folder / 'out'}"]
    done = run("infer.py", *given, "dicom=true", "planes=false", "device=cpu")
    assert done.returncode == 0, done.stderr
    assert "no DICOM report" not in done.stderr + done.stdout
    return folder / "in" / "head", folder / "out"


def test_a_report_goes_to_a_pacs_and_comes_back(predicted, tmp_path):
    if orthanc.PROGRAM is None or not orthanc.PLUGIN.is_file():
        pytest.skip("no Orthanc with DICOMweb; apt-get install orthanc orthanc-dicomweb")
    series, output = predicted
    path = output / "head.dcm"
    own = pydicom.dcmread(path)
    with orthanc.pacs(tmp_path) as web:
        slices = sorted(series.iterdir())
        stored = orthanc.store(web, *slices, path)
        assert not stored.get("00081198", {}).get("Value")  # FailedSOPSequence
        assert len(stored["00081199"]["Value"]) == len(slices) + 1
        # One study of one patient, to which the report belongs.
        (study,) = orthanc.query(web, "studies?includefield=all")
        assert study["0020000D"]["Value"] == [own.StudyInstanceUID]
        assert sorted(study["00080061"]["Value"]) == ["CT", "SR"]
        place = f"studies/{own.StudyInstanceUID}/series"
        (found,) = orthanc.query(web, f"{place}?Modality=SR")
        assert found["0020000E"]["Value"] == [own.SeriesInstanceUID]
        (instance,) = orthanc.query(web, f"{place}/{own.SeriesInstanceUID}/instances")
        assert instance["00080016"]["Value"] == [Comprehensive3DSRStorage]
        one = f"{place}/{own.SeriesInstanceUID}/instances/{own.SOPInstanceUID}"
        content = orthanc.retrieve(web, one)
        # A second report of the same run and series is the same object to the PACS.
        orthanc.store(web, path)
        assert len(orthanc.query(web, f"{place}?Modality=SR")) == 1
        images = orthanc.query(
            web, f"{place}/{pydicom.dcmread(slices[0]).SeriesInstanceUID}/instances"
        )
    assert pydicom.dcmread(BytesIO(content)) == own
    report = hd.sr.srread(BytesIO(content))
    (evidence,) = own.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    known = {item["00080018"]["Value"][0] for item in images}
    assert {item.ReferencedSOPInstanceUID for item in evidence.ReferencedSOPSequence} == known
    landmarks = read_landmarks(output / "head.mrk.json")
    points = {
        group.tracking_identifier: group.roi.value[0]
        for group in report.content.get_planar_roi_measurement_groups()
    }
    assert set(points) == {
        name for name, seen in zip(landmarks.names, landmarks.defined, strict=True) if seen
    }
    for name, point in points.items():
        place_ras = landmarks.positions_world[landmarks.names.index(name)]
        np.testing.assert_allclose(point * [-1, -1, 1], place_ras, atol=1e-4)
