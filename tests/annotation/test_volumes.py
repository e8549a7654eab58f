import nibabel as nib
import numpy as np
import pytest
from served_scans import write_ball

from pin_lightning.annotation.volumes import Scans, volume_id
from pin_lightning.inference.inputs import find_inputs


@pytest.fixture
def places(tmp_path):
    """A folder of scans, and a file and a series apart from it."""
    write_ball(tmp_path / "scans" / "own.nii.gz")
    write_ball(tmp_path / "secret" / "other.nii.gz")
    (tmp_path / "scans" / "link.nii.gz").symlink_to(tmp_path / "secret" / "other.nii.gz")
    (tmp_path / "scans" / "near.nii.gz").symlink_to(tmp_path / "scans" / "own.nii.gz")
    return tmp_path


def by_name(scans):
    return {one.name: one for one in scans.values()}


def test_ids_are_of_names_and_headers_of_files(places):
    scans = Scans.find(str(places / "scans"))
    assert [one.name for one in scans.values()] == ["link", "near", "own"]
    assert all(key == one.id == volume_id(one.name) for key, one in scans.items())
    assert find_inputs(str(places / "scans")).keys() == by_name(scans).keys()
    own = by_name(scans)["own"]
    shape, affine = scans.header(own)
    stored = nib.load(places / "scans" / "own.nii.gz")
    assert shape == stored.shape
    np.testing.assert_allclose(affine, stored.affine)


def test_links_that_leave_the_folder_are_not_followed_unless_asked_for(places):
    scans = Scans.find(str(places / "scans"))
    known = by_name(scans)
    assert "link to a file outside" in known["link"].fault
    assert known["near"].fault == known["own"].fault == ""
    with pytest.raises(ValueError, match="links=true"):
        scans.header(known["link"])
    followed = Scans.find(str(places / "scans"), links=True)
    assert followed.header(by_name(followed)["link"])[0] == (50, 44, 37)


def test_a_file_that_becomes_a_link_later_is_not_followed(places):
    scans = Scans.find(str(places / "scans"))
    own = by_name(scans)["own"]
    own.file.path.unlink()
    own.file.path.symlink_to(places / "secret" / "other.nii.gz")
    with pytest.raises(ValueError, match="links=true"):
        scans.header(own)


def test_a_list_names_files_wherever_they_are(places):
    listed = places / "scans.txt"
    listed.write_text(f"{places / 'scans' / 'link.nii.gz'}\n")
    scans = Scans.find(f"@{listed}")
    assert scans.header(next(iter(scans.values())))[0] == (50, 44, 37)


@pytest.mark.parametrize("pattern", [".", "scans", "scans/*.nii.gz", "**/*.nii.gz"])
def test_the_folder_is_the_one_that_was_searched(places, monkeypatch, pattern):
    monkeypatch.chdir(places / "scans" if pattern == "." else places)
    faults = {name: bool(one.fault) for name, one in by_name(Scans.find(pattern)).items()}
    assert faults["link"] == (pattern != "**/*.nii.gz")
    assert not faults["own"]


def test_messages_name_files_without_their_folders(places, monkeypatch):
    monkeypatch.chdir(places)
    for pattern in ("scans", str(places / "scans")):
        own = by_name(Scans.find(pattern))["own"]
        text = f"{own.file.shown}: damaged, {places / 'scans' / 'own.nii.gz'}"
        assert own.without_path(text) == "own.nii.gz: damaged, own.nii.gz"


def test_a_file_that_cannot_be_read_is_known_until_it_changes(places):
    (places / "scans" / "bad.nii.gz").write_bytes(b"nothing")
    scans, told = Scans.find(str(places / "scans")), []
    scans.told = told.append
    bad = by_name(scans)["bad"]
    assert scans.fault(bad) == ""  # nobody has looked
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            scans.header(bad)
    assert "bad.nii.gz" in scans.fault(bad)
    assert str(places) not in scans.fault(bad)
    write_ball(places / "scans" / "bad.nii.gz")
    assert scans.fault(bad) == ""
    scans.note(bad, "its voxels cannot be read")
    assert scans.fault(bad) == "its voxels cannot be read"
    scans.note(bad, "")
    assert scans.fault(bad) == ""
    assert told == [bad.id] * 3
