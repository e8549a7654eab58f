import io
import os
from pathlib import Path

import pytest

from pin_lightning.inference import inputs
from pin_lightning.inference.files import LocalInput
from pin_lightning.inference.inputs import Input, named_as_before


def find_inputs(pattern):
    return {name: Path(one.file.shown) for name, one in inputs.find_inputs(pattern).items()}


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


def test_folders_beside_each_other_and_beside_patterns(tmp_path):
    touch(tmp_path, "x/a.nii", "x/notes.txt", "y/b.nii", "z/c.nii", "z/deep/d.nii")
    assert set(find_inputs([f"{tmp_path}/x", f"{tmp_path}/z", f"{tmp_path}/y/*.nii"])) == {
        *("a", "b", "c")
    }


def test_refuses_a_pattern_without_files(tmp_path):
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(ValueError, match="no file matches"):
        find_inputs(f"{tmp_path}/*.nii")


def test_sub_folders_are_named_where_there_are_some(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no file matches; give the images of its sub-folders"):
        find_inputs(str(tmp_path))
    with pytest.raises(ValueError, match="no file matches; quote the pattern, check the folder"):
        find_inputs(f"{tmp_path}/empty")


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


def test_a_list_gives_each_path_once_also_those_that_are_not_there(tmp_path, monkeypatch):
    touch(tmp_path, "a.nii", "other/b [1].nii", "@c.nii")
    series(tmp_path / "dicom")
    monkeypatch.chdir(tmp_path)
    lines = ["\ufeffa.nii", "", f"{tmp_path}/other/b [1].nii", "./a.nii", "dicom", "gone.nii.gz"]
    Path("list.txt").write_bytes("\r\n".join(lines).encode())
    expected = {"a": Path("a.nii"), "b [1]": tmp_path / "other/b [1].nii", "dicom": Path("dicom")}
    expected["gone"] = Path("gone.nii.gz")
    assert find_inputs("@list.txt") == expected
    assert find_inputs(["@list.txt", "@c.nii"]) == expected | {"@c": Path("@c.nii")}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a.nii\ndicom")))
    assert find_inputs("-") == {"a": Path("a.nii"), "dicom": Path("dicom")}


def test_names_in_a_list_may_have_any_bytes(tmp_path):
    name = os.fsdecode(b"\xff.nii")
    (tmp_path / "list.txt").write_bytes(os.fsencode(tmp_path / name))
    assert list(find_inputs(f"@{tmp_path}/list.txt").values()) == [tmp_path / name]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"input=@\S+list\.txt: cannot be read \(No such file or directory\); after @ give"),
        (b"\n \n", r"input=@\S+list\.txt: names no file; give a path in each line"),
        (
            "a\nb".encode("utf-16"),
            r"input=@\S+list\.txt: line 1 is no path; give a path in each line",
        ),
    ],
)
def test_refuses_a_list_without_paths(tmp_path, content, said):
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        find_inputs(f"@{tmp_path}/list.txt")


def series(folder: Path, count: int = 2, name: str = "IM{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / name.format(number)).write_bytes(bytes(128) + b"DICM")
    return folder


def test_what_exists_is_no_pattern(tmp_path):
    touch(tmp_path, "skull[old].nii.gz", "skullo.nii.gz", "s[1]/a.nii", "s1/b.nii", "*/c.nii")
    one = {"skull[old]": tmp_path / "skull[old].nii.gz"}
    assert find_inputs(f"{tmp_path}/skull[old].nii.gz") == one
    assert find_inputs(f"{tmp_path}/skull[old]*.gz") == {"skullo": tmp_path / "skullo.nii.gz"}
    for pattern in ("s[1]", "s[1]/*", "s[1]/*.nii"):
        assert find_inputs(f"{tmp_path}/{pattern}") == {"a": tmp_path / "s[1]" / "a.nii"}
    assert find_inputs(f"{tmp_path}/*/*.nii") == {"c": tmp_path / "*" / "c.nii"}
    (tmp_path / "skullo.nii.gz").unlink()
    assert find_inputs(f"{tmp_path}/skull[old]*.gz") == one


def test_relative_patterns(tmp_path, monkeypatch):
    touch(tmp_path, "a[1].nii", "b/c.nii")
    monkeypatch.chdir(tmp_path)
    assert find_inputs("a[1].nii") == find_inputs("a*") == {"a[1]": Path("a[1].nii")}
    assert find_inputs("**/c.nii") == find_inputs("b") == {"c": Path("b/c.nii")}


def test_what_systems_leave_among_the_files_is_no_image(tmp_path):
    names = ("._a.nii", "@eaDir/a.nii", "__MACOSX/a.nii", ".x/a.nii")
    touch(tmp_path, "a.nii", *names)
    for pattern in ("", "/*", "/**/*.nii", "/**/*"):
        assert find_inputs(f"{tmp_path}{pattern}") == {"a": tmp_path / "a.nii"}
    for name in names:
        assert list(find_inputs(str(tmp_path / name)).values()) == [tmp_path / name]
    touch(tmp_path, "@eaDir/@eaDir/b.nii")
    assert find_inputs(f"{tmp_path}/@eaDir/**/*.nii") == {"a": tmp_path / "@eaDir" / "a.nii"}


def test_series_in_nested_folders_are_found(tmp_path):
    trees = ("P1/ST1/SE1", "P1/ST1/SE2", "P2/ST1/SE1")
    folders = [series(tmp_path / "cd" / one) for one in trees]
    series(tmp_path / "cd" / "@eaDir" / "SE1")
    for pattern in ("cd", "cd/*", "cd/P?", "cd/**"):
        found = find_inputs(f"{tmp_path}/{pattern}")
        assert found == dict(zip(("P1_ST1_SE1", "P1_ST1_SE2", "P2_ST1_SE1"), folders, strict=True))
    assert find_inputs(f"{tmp_path}/cd/P2") == {"SE1": folders[2]}


def test_an_index_is_no_series(tmp_path):
    inside = series(tmp_path / "cd" / "DICOM" / "SE1")
    series(tmp_path / "cd", 1, "DICOMDIR")
    for pattern in ("cd", "cd/*", "cd/DICOMDIR"):
        assert find_inputs(f"{tmp_path}/{pattern}") == {"SE1": inside}


def test_a_folder_of_folders_says_how_to_give_their_images(tmp_path):
    touch(tmp_path, "sub/a.nii.gz")
    with pytest.raises(ValueError, match=r"as in '.*/\*\*/\*\.nii\.gz'"):
        find_inputs(str(tmp_path))
    assert set(find_inputs(f"{tmp_path}/**/*.nii.gz")) == {"a"}


def test_names_have_one_spelling_and_one_line(tmp_path):
    touch(tmp_path, "Mu\u0308ller.nii")
    path = tmp_path / "Mu\u0308ller.nii"
    assert find_inputs(str(tmp_path)) == {"M\u00fcller": path}
    assert find_inputs(f"{tmp_path}/M\u00fcl*") == {"M\u00fcller": path}
    touch(tmp_path, "a\nb.nii")
    with pytest.raises(ValueError, match=r"'a\\nb' is not one line of text"):
        find_inputs(str(tmp_path))


def test_what_is_no_file_is_not_left_out_silently(tmp_path):
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "b.nii.gz").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "c.nii.gz")
    expected = {name: tmp_path / f"{name}.nii.gz" for name in "abc"}
    assert find_inputs(str(tmp_path)) == find_inputs(f"{tmp_path}/*.nii.gz") == expected


def keys(pattern):
    return {name: one.key for name, one in inputs.find_inputs(pattern).items()}


def test_a_key_is_the_path_below_the_folder_that_is_searched(tmp_path, monkeypatch):
    """Wherever that is, so that a part is the same on all machines."""
    touch(tmp_path, "here/x/a.nii", "here/b.nii", "there/mounted/x/a.nii", "there/mounted/b.nii")
    (tmp_path / "here" / "series").mkdir()
    (tmp_path / "here" / "series" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "here" / "series" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    expected = {"a": "x/a.nii", "b": "b.nii"}
    assert keys(f"{tmp_path}/here/**/*.nii") == expected
    assert keys(f"{tmp_path}/there/mounted/**/*.nii") == expected
    assert keys(f"{tmp_path}/here") == {"b": "b.nii", "series": "series"}
    assert keys(f"{tmp_path}/here/series") == {"series": "series"}
    assert keys(f"{tmp_path}/here/series/DICOMDIR") == {"series": "series"}
    assert keys(f"{tmp_path}/here/b.nii") == {"b": "b.nii"}
    monkeypatch.chdir(tmp_path / "here")
    assert keys("**/*.nii") == expected
    (tmp_path / "list").write_text("x/a.nii\n../here/b.nii")
    assert keys(f"@{tmp_path}/list") == {"a": "x/a.nii", "b": "../here/b.nii"}
    touch(tmp_path / "M", os.fsdecode(b"M\xfc.nii"), "Mu\u0308.nii")
    assert keys(f"{tmp_path}/M") == {"M%FC": "M%FC.nii", "M\u00fc": "M\u00fc.nii"}


def test_names_stay_whatever_files_come_later(tmp_path):
    touch(tmp_path, "x/a.nii", "y/b.nii")
    pattern = f"{tmp_path}/**/*.nii"
    before = {key: name for name, key in keys(pattern).items()}
    assert before == {"x/a.nii": "a", "y/b.nii": "b"}
    touch(tmp_path, "y/a.nii")
    assert set(find_inputs(pattern)) == {"x_a", "y_a", "y_b"}
    named = named_as_before(inputs.find_inputs(pattern), before)
    assert {name: one.key for name, one in named.items()} == {
        **{"a": "x/a.nii", "y_a": "y/a.nii", "b": "y/b.nii"}
    }


def test_the_same_path_below_two_folders_has_no_name_of_before(tmp_path):
    touch(tmp_path, "x/a.nii", "y/a.nii")
    found = inputs.find_inputs([f"{tmp_path}/x/*", f"{tmp_path}/y/*"])
    assert set(named_as_before(found, {"a.nii": "a"})) == {"x_a", "y_a"}


def test_a_new_name_that_is_taken_is_refused(tmp_path):
    new = {
        "a": Input(LocalInput(tmp_path / "x/a.nii"), "x/a.nii"),
        "x_a": Input(LocalInput(tmp_path / "x_a"), "x_a.nii"),
    }
    with pytest.raises(ValueError, match=r"x/a\.nii and \S+x_a would have the same name"):
        named_as_before(new, {"x/a.nii": "x_a"})
