import json
import os
from pathlib import Path

import pytest

from pin_lightning.common.files import (
    output_folder,
    remove_leftovers,
    whole_file,
    write_json,
    write_text,
)


def test_a_file_appears_complete_in_a_new_folder(tmp_path):
    path = tmp_path / "new folder" / "ä.csv"
    with whole_file(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text("utf-8") == "half"
    with pytest.raises(TypeError), whole_file(path) as temporary:
        temporary.write_text(b"not text")
    assert path.read_text("utf-8") == "half"
    assert [one.name for one in path.parent.iterdir()] == ["ä.csv"]


def test_output_folder_is_made_or_named_with_its_setting(tmp_path):
    assert output_folder("output", tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"output=.*file/out: cannot be written to \(Not a dir"):
        output_folder("output", tmp_path / "file" / "out")


def test_json_is_whole_or_absent(tmp_path):
    path = tmp_path / "sub" / "m.json"
    write_json(path, {"größe": (1, None)})
    assert json.loads(path.read_text(encoding="utf-8")) == {"größe": [1, None]}
    with pytest.raises(ValueError, match=r"m\.json: JSON has no NaN"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        write_json(path, "\ud800")
    assert json.loads(path.read_text(encoding="utf-8")) == {"größe": [1, None]}
    assert [file.name for file in path.parent.iterdir()] == ["m.json"]


@pytest.mark.parametrize("durable", [False, True])
def test_two_writers_of_a_file_do_not_meet(tmp_path, durable):
    path = tmp_path / "a.txt"
    with whole_file(path, durable) as first, whole_file(path, durable) as second:
        first.write_text("first")
        second.write_text("second")
        assert not path.exists()
    assert path.read_text("utf-8") == "first"  # which was renamed last
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_once_nobody_writes_it(tmp_path):
    killed = whole_file(tmp_path / "a.txt")
    left = killed.__enter__()
    left.write_text("half")
    (tmp_path / ".hidden").touch()
    os.utime(left, (0, left.stat().st_mtime - 100))
    remove_leftovers(tmp_path, older_than_s=1000)
    assert left.exists()
    remove_leftovers(tmp_path, older_than_s=50)
    assert [one.name for one in tmp_path.iterdir()] == [".hidden"]
    remove_leftovers(tmp_path / "absent")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_an_error_of_the_system_names_the_file_that_was_to_be_written(tmp_path):
    """Writing to a full disk raises an error without any name."""
    with (
        pytest.raises(OSError, match="No space left on device") as full,
        whole_file(tmp_path / "a"),
    ):
        Path("/dev/full").write_text("a" * 100_000)
    assert full.value.filename == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_an_error_about_another_file_keeps_its_name_and_that_of_the_hidden_file_is_not_shown(
    tmp_path,
):
    with pytest.raises(FileNotFoundError) as absent, whole_file(tmp_path / "a"):
        (tmp_path / "b").read_text()
    assert absent.value.filename == str(tmp_path / "b")
    with pytest.raises(FileNotFoundError) as absent, whole_file(tmp_path / "a"):
        pass
    assert absent.value.filename == str(tmp_path / "a")


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path):
    path = tmp_path / f"{'x' * 251}.txt"
    write_text(path, "whole")
    assert path.read_text() == "whole"
