import hashlib

import pytest

from pin_lightning.inference.part import Part, Participant, part_named

KEYS = [f"sub-{number}/T1.nii.gz" for number in range(1000)]


def test_parts_share_out_all_volumes_about_evenly():
    parts = [Part.of(f"{number}/7") for number in range(1, 8)]
    shares = [[key for key in KEYS if part.holds(key)] for part in parts]
    assert sorted(key for share in shares for key in share) == sorted(KEYS)
    assert all(100 < len(share) < 190 for share in shares)


def test_the_share_is_the_hash_of_the_path_by_hand():
    number = int(hashlib.sha256(b"sub-1/T1.nii.gz").hexdigest()[:16], 16) % 40 + 1
    assert Part(number, 40).holds("sub-1/T1.nii.gz")
    assert not Part(number % 40 + 1, 40).holds("sub-1/T1.nii.gz")


def test_the_whole_holds_all():
    assert Part.of(None) == Part.of("1/1") == Part()
    assert Part().is_whole
    assert all(map(Part().holds, KEYS))
    assert (str(Part(3, 40)), Part(3, 40).file_name) == ("3/40", "3-of-40")


@pytest.mark.parametrize("given", ["0/4", "5/4", "3", "3/0", "a/b", "1/4/2", "-1/4", 3, "", "1/ 4"])
def test_what_is_no_part_is_refused(given):
    with pytest.raises(ValueError, match=f"part={given}: give its number and how many"):
        Part.of(given)


def test_a_participant_holds_what_lies_in_its_folder():
    one = part_named("sub-01")
    assert one == Participant("01")
    assert (str(one), one.file_name, one.is_whole) == ("sub-01", "sub-01", False)
    assert one.holds("sub-01/anat/sub-01_T1w.nii.gz")
    assert not one.holds("sub-011/anat/sub-011_T1w.nii.gz")
    assert part_named("3/40") == Part(3, 40)


@pytest.mark.parametrize("name", ["sub-", "sub-../a", "sub-a_b", "01", "sub-a\n"])
def test_a_label_that_could_be_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match="give"):
        part_named(name)
