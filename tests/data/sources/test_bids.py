import nibabel as nib
import numpy as np
import pytest
from shared_cases import shared_case

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.sources.bids import bids_cases

AFIDS = LandmarkSet.of(["1", "2"], np.array([[1.0, 2, 3], [4, 5, 6]]))


def anat(root, name):
    subject, *rest = name.split("_")
    return root.joinpath(subject, *(part for part in rest if part.startswith("ses-")), "anat")


def scan(root, name):
    path = anat(root, name) / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), path)
    return path


def fiducials(root, name, derivative="afids"):
    path = anat(root / "derivatives" / derivative, name) / f"{name}_afids.fcsv"
    write_landmarks(path, AFIDS)
    return path


def test_scans_and_fiducials_meet_by_their_entities(tmp_path):
    first, second = scan(tmp_path, "sub-01_T1w"), scan(tmp_path, "sub-02_ses-a_run-1_T1w")
    scan(tmp_path, "sub-02_ses-b_run-1_T1w")
    scan(tmp_path, "sub-01_T2w")
    fiducials(tmp_path, "sub-01_space-T1w_desc-groundtruth")
    fiducials(tmp_path, "sub-02_ses-a_desc-groundtruth")
    fiducials(tmp_path, "sub-02_ses-b")
    cases = bids_cases(tmp_path)
    assert [case.name for case in cases] == [
        "sub-01_T1w",
        "sub-02_ses-a_run-1_T1w",
        "sub-02_ses-b_run-1_T1w",
    ]
    assert [case.subject for case in cases] == ["01", "02", "02"]
    assert [case.image for case in cases][:2] == [first, second]
    landmarks = cases[0].read()
    assert landmarks.names == ("1", "2")
    np.testing.assert_allclose(landmarks.positions_world, AFIDS.positions_world)


def test_a_plain_scan_and_a_special_one_have_fiducials_each(tmp_path):
    for name in ("sub-01_T1w", "sub-01_acq-fast_T1w"):
        scan(tmp_path, name)
    plain, special = (fiducials(tmp_path, name) for name in ("sub-01", "sub-01_acq-fast"))
    found = {case.name: case.landmarks for case in bids_cases(tmp_path)}
    assert found == {"sub-01_T1w": plain, "sub-01_acq-fast_T1w": special}


def test_scans_without_fiducials_are_named_and_left_out(tmp_path, caplog):
    scan(tmp_path, "sub-01_T1w")
    scan(tmp_path, "sub-02_T1w")
    fiducials(tmp_path, "sub-02")
    assert [case.subject for case in bids_cases(tmp_path)] == ["02"]
    assert "1 scans have no afids and are left out: sub-01_T1w.nii.gz" in caplog.text


def test_settings_choose_rater_derivative_and_modality(tmp_path):
    scan(tmp_path, "sub-01_T1w")
    scan(tmp_path, "sub-01_T2w")
    fiducials(tmp_path, "sub-01_desc-rater1")
    second = fiducials(tmp_path, "sub-01_desc-rater2")
    other = fiducials(tmp_path, "sub-01_desc-rater1", derivative="auto")
    with pytest.raises(ValueError, match=r"several fiducial files.*data\.desc"):
        bids_cases(tmp_path)
    (case,) = bids_cases(tmp_path, desc="rater2")
    assert case.landmarks == second
    (case,) = bids_cases(tmp_path, derivative="auto")
    assert case.landmarks == other
    (case,) = bids_cases(tmp_path, suffix="T2w", desc="rater2")
    assert case.name == "sub-01_T2w"


BAD = {
    "no-scans": ([], ["sub-01"], r"no scans sub-\*"),
    "no-fiducials": (["sub-01_T1w"], [], r"no fiducials derivatives/\*"),
    "template-space": (["sub-01_T1w"], ["sub-01_space-MNI152"], "there are space-MNI152"),
    "no-scan-of": (["sub-01_T1w"], ["sub-01", "sub-02"], "sub-02_afids.fcsv: fits no scan"),
    "two-scans": (
        ["sub-01_run-1_T1w", "sub-01_run-2_T1w"],
        ["sub-01"],
        "fits sub-01_run-1_T1w.nii.gz, sub-01_run-2_T1w.nii.gz",
    ),
}


@pytest.mark.parametrize(("scans", "files", "message"), BAD.values(), ids=BAD)
def test_refuses(tmp_path, scans, files, message):
    for name in scans:
        scan(tmp_path, name)
    for name in files:
        fiducials(tmp_path, name)
    with pytest.raises(ValueError, match=message):
        bids_cases(tmp_path)


def test_what_systems_leave_among_the_files_is_no_data(tmp_path):
    image, path = scan(tmp_path, "sub-01_T1w"), fiducials(tmp_path, "sub-01")
    for file in (image, path):
        for hidden in (f"._{file.name}", f"@eaDir/{file.name}", f"__MACOSX/{file.name}"):
            (file.parent / hidden).parent.mkdir(exist_ok=True)
            (file.parent / hidden).write_bytes(b"")
    (copy := tmp_path / "derivatives" / "@eaDir" / path.name).parent.mkdir()
    copy.write_bytes(path.read_bytes())
    (case,) = bids_cases(tmp_path)
    assert (case.image, case.landmarks) == (image, path)


def test_a_derivative_is_a_name_and_no_pattern(tmp_path):
    scan(tmp_path, "sub-01_T1w")
    path = fiducials(tmp_path, "sub-01", "afids[old]")
    fiducials(tmp_path, "sub-01", "afidso")
    assert [case.landmarks for case in bids_cases(tmp_path, derivative="afids[old]")] == [path]


def test_copies_of_macos_beside_the_scans():
    """In the shared case a scan has a hidden copy in its folder; all four have fiducials."""
    cases = bids_cases(shared_case("bids_afids"))
    assert [case.subject for case in cases] == ["01", "02", "03", "04"]
    assert cases[0].image.name == "sub-01_ses-01_T1w.nii.gz"
