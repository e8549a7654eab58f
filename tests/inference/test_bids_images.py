"""Which images of a BIDS data set are taken, and which names are refused."""

import json

import pytest
from bids_data import IMAGES, path_of, write_bids

from pin_lightning.inference.bids.data_set import check_data_set, refuse_other_data_set
from pin_lightning.inference.bids.derivatives import derivative
from pin_lightning.inference.bids.images import BidsImage, Wanted, find_images, participants_of


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return write_bids(tmp_path_factory.mktemp("bids") / "heads")


@pytest.fixture
def root(tmp_path):
    return write_bids(tmp_path / "heads", IMAGES[:1])


def names(root, participants=None, sessions=None, suffixes=("T1w", "T2w")):
    return list(find_images(root, Wanted(participants, sessions, suffixes)))


def test_participants_sessions_and_suffixes_are_chosen_with_or_without_prefix(shared):
    assert participants_of(shared) == ["01", "02", "03"]
    assert sorted(names(shared)) == sorted(IMAGES)
    assert names(shared, ["02", "sub-02"]) == ["sub-02_T1w", "sub-02_T2w"]
    assert names(shared, ["sub-01", "03"], ["ses-a"]) == ["sub-01_ses-a_T1w"]
    assert names(shared, sessions=["b"]) == ["sub-01_ses-b_T1w", "sub-01_ses-b_acq-fast_T1w"]
    assert names(shared, suffixes=["T2w"]) == ["sub-02_T2w"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((["1"], None, ["T1w"]), r"--participant-label 1: there is no sub-1; there are 01, 02, 03"),
        ((None, ["c"], ["T1w"]), r"--session-label c: there is no ses-c; there are a, b"),
        ((["02"], ["a"], ["T1w"]), r"--session-label a: there is no ses-a; there are none"),
        ((["03"], None, ["T2w"]), r"has no image of sub-03 anat/\*_T2w\.nii\.gz; --filter SUFFIX"),
        ((None, None, ["bold"]), r"has no image anat/\*_bold\.nii\.gz"),
    ],
)
def test_what_is_not_there_is_named(shared, wanted, message):
    with pytest.raises(ValueError, match=message):
        names(shared, *wanted)


@pytest.mark.parametrize(
    ("folder", "name", "message"),
    [
        ("sub-02/anat", "sub-03_T1w", "is not named sub-LABEL"),
        ("sub-02/ses-a/anat", "sub-02_T1w", "is not named sub-LABEL"),
        ("sub-02/anat", "sub-02_ses-a_T1w", "is not named sub-LABEL"),
        ("sub-02/anat", "sub-02_copy_T1w", "is not named sub-LABEL"),
        ("sub-02/anat", "sub-02_run-1_run-2_T1w", "is not named sub-LABEL"),
        ("sub-02/anat", "sub-02_desc-clean_T1w", "has the entity desc, as only derivatives have"),
    ],
)
def test_other_names_are_refused(root, folder, name, message):
    path = root / folder / f"{name}.nii.gz"
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(ValueError, match=message):
        names(root)


def test_an_image_that_is_there_twice_is_refused(root):
    path_of(root, IMAGES[0], ".nii").touch()
    with pytest.raises(ValueError, match=r"T1w\.nii\.gz: is there as sub-01_ses-a_T1w\.nii, too"):
        names(root)


def test_a_folder_without_participants_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no folder sub-LABEL"):
        names(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        names(tmp_path / "absent")


def test_names_of_derivatives_by_hand(tmp_path):
    path = tmp_path / "sub-01/ses-b/anat/sub-01_ses-b_acq-fast_run-2_T1w.nii.gz"
    image = BidsImage.of(path, tmp_path, "T1w")
    assert image.key == "sub-01/ses-b/anat/sub-01_ses-b_acq-fast_run-2_T1w.nii.gz"
    assert image.participant.file_name == "sub-01"
    own = "sub-01/ses-b/anat/sub-01_ses-b_acq-fast_run-2_space-T1w_desc-pin_afids.tsv"
    assert derivative(tmp_path / "out", image, ".tsv") == tmp_path / "out" / own


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"has no dataset_description\.json; give .* --skip-bids-validation"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "lacks Name and BIDSVersion"),
        ('{"Name": "a", "BIDSVersion": 1}', "lacks BIDSVersion"),
    ],
)
def test_a_data_set_that_does_not_say_what_it_is_is_refused(root, content, message):
    check_data_set(root)
    path = root / "dataset_description.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ValueError, match=message):
        check_data_set(root)


def test_a_folder_of_another_program_is_refused(root, tmp_path):
    with pytest.raises(ValueError, match=r"OUTPUT_DIR=\S+: is BIDS_DIR"):
        refuse_other_data_set(root / "sub-01" / "..", root)
    other = tmp_path / "fmriprep"
    refuse_other_data_set(other, root)
    other.mkdir()
    by = {"GeneratedBy": [{"Name": "fMRIPrep"}]}
    for content in (json.dumps(by), '{"GeneratedBy": {}}', "{}", "{", '"a"'):
        (other / "dataset_description.json").write_text(content)
        with pytest.raises(ValueError, match="holds a data set that pin-lightning did not write"):
            refuse_other_data_set(other, root)
