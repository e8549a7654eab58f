from served_scans import write_ball

from pin_lightning.annotation.volume_names import FILE, keep_names, names_before
from pin_lightning.annotation.volumes import Scans


def found(place):
    """Names of volumes by their folders, as of a server that starts."""
    scans = Scans.find(f"{place}/scans/*/*.nii.gz", before=names_before(place / "own"))
    keep_names(place / "own", {one.name: one.input for one in scans.values()})
    return {one.file.path.parent.name: one.name for one in scans.values()}


def test_a_volume_keeps_its_name_when_one_of_the_same_name_comes(tmp_path):
    write_ball(tmp_path / "scans" / "b" / "scan.nii.gz")
    assert found(tmp_path) == {"b": "scan"}
    write_ball(tmp_path / "scans" / "a" / "scan.nii.gz")
    assert found(tmp_path) == {"a": "a_scan", "b": "scan"}
    (tmp_path / "scans" / "b" / "scan.nii.gz").unlink()
    assert found(tmp_path) == {"a": "a_scan"}
    write_ball(tmp_path / "scans" / "b" / "scan.nii.gz")
    assert found(tmp_path) == {"a": "a_scan", "b": "scan"}


def test_a_name_that_another_volume_has_is_given_up(tmp_path):
    write_ball(tmp_path / "scans" / "b" / "scan.nii.gz")
    assert found(tmp_path) == {"b": "scan"}
    (tmp_path / "scans" / "b").rename(tmp_path / "scans" / "c")  # its annotations go with it
    assert found(tmp_path) == {"c": "scan"}
    write_ball(tmp_path / "scans" / "b" / "scan.nii.gz")
    assert found(tmp_path) == {"b": "b_scan", "c": "scan"}


def test_damaged_names_are_none(tmp_path):
    path = tmp_path / FILE
    path.parent.mkdir()
    for text in ("", "[]", '{"names": 3}', "null"):
        path.write_text(text)
        assert names_before(tmp_path) == {}
