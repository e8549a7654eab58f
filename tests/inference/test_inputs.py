from pathlib import Path

import pytest

from pin_lightning.inference.inputs import find_inputs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_names_are_stems_where_these_are_unique(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii", "c with space.nrrd", "ä.v2.nii.gz")
    names = find_inputs(f"{tmp_path}/*")
    assert set(names) == {"a", "b", "c with space", "ä.v2"}
    assert names["a"] == tmp_path / "a.nii.gz"


def test_same_names_in_several_folders_are_told_apart(tmp_path):
    touch(tmp_path, "sub-1/anat/T1.nii.gz", "sub-2/anat/T1.nii.gz", "sub-2/anat/T2.nii.gz")
    names = find_inputs(f"{tmp_path}/**/*.nii.gz")
    assert set(names) == {"sub-1_anat_T1", "sub-2_anat_T1", "sub-2_anat_T2"}


def test_names_that_differ_in_their_endings_and_folders(tmp_path):
    touch(tmp_path, *(f"{folder}/a{ending}" for folder in "xy" for ending in (".nii", ".nii.gz")))
    names = find_inputs(f"{tmp_path}/**/*.nii*")
    assert set(names) == {"x_a.nii", "x_a.nii.gz", "y_a.nii", "y_a.nii.gz"}
    assert len(set(names.values())) == 4
    assert set(find_inputs(f"{tmp_path}/x/*")) == {"a.nii", "a.nii.gz"}


def test_refuses_names_that_nothing_tells_apart(tmp_path):
    # Folders and names are joined by underscores.
    touch(tmp_path, "a_b/c.nii", "a/b_c.nii", "d/c.nii", "d/b_c.nii")
    with pytest.raises(ValueError, match=r"input: \S+/a/b_c\.nii and \S+/a_b/c\.nii would"):
        find_inputs(f"{tmp_path}/**/*.nii")


def test_several_patterns_and_no_duplicates(tmp_path):
    touch(tmp_path, "a.nii", "b.nii")
    assert set(find_inputs([f"{tmp_path}/a*", f"{tmp_path}/*.nii"])) == {"a", "b"}


def test_refuses_a_pattern_without_files(tmp_path):
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(ValueError, match="no file matches"):
        find_inputs(f"{tmp_path}/*.nii")


def test_a_folder_gives_its_images_and_a_series_is_one(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nrrd", "notes.txt", ".c.nii")
    for number in range(2):
        (tmp_path / "series").mkdir(exist_ok=True)
        (tmp_path / "series" / f"{number}.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "empty").mkdir()
    expected = {"a": tmp_path / "a.nii.gz", "b": tmp_path / "b.nrrd"}
    series = {"series": tmp_path / "series"}
    assert find_inputs(str(tmp_path)) == expected | series
    assert find_inputs(f"{tmp_path}/series") == series
    assert find_inputs(f"{tmp_path}/**/*.dcm").keys() == {"0", "1"}
    found = find_inputs(f"{tmp_path}/**/*")
    assert found == expected | series | {"notes.txt": tmp_path / "notes.txt"}
