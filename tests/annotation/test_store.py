import json
import os
import random
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pin_lightning.annotation import on_disk
from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.annotation.plain_files import MOST_BYTES
from pin_lightning.annotation.points import Point
from pin_lightning.annotation.saved import Saving, VersionConflict
from pin_lightning.annotation.store import AnnotationStore
from pin_lightning.data.landmarks.files import read_landmarks, write_landmarks

KEY, NAMES = "0123456789abcdef", {"0123456789abcdef": "ANNA", "fedcba9876543210": "BERT"}


def store_in(folder):
    return AnnotationStore(folder, NAMES, lambda points: {"a", "b"} <= points.keys())


def saving(x, done=False, **others):
    points = {"a": Point((float(x), 2.5, -3.0)), "b": Point(missing=True), "c": Point()}
    return lambda present: Saving(points, done, **others)


def x_of(annotation):
    return annotation.points["a"].position[0]


def by_slicer(folder, x, name="ANNA", old=True):
    """What 3D Slicer saves: another spelling of the same format."""
    path = folder / f"{name}.mrk.json"
    point = {"label": "a", "position": [-x, -2.5, -3.0], "positionStatus": "defined"}
    others = [{"label": "b", "positionStatus": "missing"}, {"label": "own", "position": [1, 2, 3]}]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [point, *others]}
    path.write_text(json.dumps({"markups": [markup]}))
    if old:
        os.utime(path, (time.time() - 60,) * 2)
    return path


def test_what_is_saved_is_a_markups_file_with_a_version(tmp_path):
    store = store_in(tmp_path)
    assert store.read(KEY).version == 0
    assert not store.read(KEY).is_saved
    predicted = {"a": (1.0, 2.0, 3.0)}
    saved = store.save(KEY, 0, saving(1, seconds=2.0, predicted=predicted, by="run"))
    assert (saved.version, saved.state.done) == (1, False)
    saved = store.save(KEY, 1, saving(2, done=True, seconds=3.0, predicted={"a": (9.0, 9.0, 9.0)}))
    assert (saved.version, saved.state.done, saved.state.seconds) == (2, True, 5.0)
    assert saved.state.predicted == predicted  # of when the person began
    assert store_in(tmp_path).read(KEY) == saved
    landmarks = read_landmarks(tmp_path / "ANNA.mrk.json")
    assert landmarks.positions_world[0].tolist() == [2.0, 2.5, -3.0]
    statuses = [
        one["positionStatus"]
        for one in json.loads((tmp_path / "ANNA.mrk.json").read_text())["markups"][0][
            "controlPoints"
        ]
    ]
    assert statuses == ["defined", "missing", "undefined"]
    assert sorted(one.name for one in tmp_path.iterdir()) == [PRIVATE, "ANNA.mrk.json"]


def test_who_has_seen_another_version_overwrites_nothing(tmp_path):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(1))
    for version in (0, 2):
        with pytest.raises(VersionConflict) as error:
            store.save(KEY, version, saving(9))
        assert x_of(error.value.present) == 1
    assert x_of(store_in(tmp_path).read(KEY)) == 1


def test_a_file_that_slicer_has_saved_is_a_new_version_and_a_copy_of_it_is_kept(tmp_path):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(1, done=True))
    assert list(store.changed()) == []
    path = by_slicer(tmp_path, 7.25)
    content = path.read_bytes()
    with pytest.raises(VersionConflict):
        store.save(KEY, 1, saving(9))
    read = store.read(KEY)
    assert (read.version, x_of(read), read.state.done) == (2, 7.25, True)
    assert read.points["own"] == Point((-1.0, -2.0, 3.0))
    assert store_in(tmp_path).read(KEY) == read  # the version stays after a restart
    store.save(KEY, 2, saving(3))
    (kept,) = (tmp_path / PRIVATE / "kept").iterdir()
    assert kept.read_bytes() == content


def test_changes_of_others_are_told(tmp_path):
    store = store_in(tmp_path)
    for key in NAMES:
        store.read(key)
    by_slicer(tmp_path, 1.0, "BERT")
    ((key, found),) = store.changed()
    assert (NAMES[key], found.version, found.state.done) == ("BERT", 1, True)  # it is complete
    assert list(store.changed()) == []
    by_slicer(tmp_path, 2.0, "BERT")
    assert store.read(key).version == 2  # noticed by a request
    assert [one.version for _, one in store.changed()] == [2]
    (tmp_path / "BERT.mrk.json").unlink()
    ((_, found),) = store.changed()
    assert (found.version, found.is_saved, found.state.done) == (3, False, False)


def test_a_file_that_is_still_being_written_is_no_version(tmp_path):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(1))
    path = by_slicer(tmp_path, 5.0, old=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    assert list(store.changed()) == []
    assert x_of(store.read(KEY)) == 1
    path.write_bytes(whole)
    ((_, found),) = store.changed()
    assert (found.version, x_of(found)) == (2, 5.0)


def test_nobody_saves_over_a_file_that_is_still_being_written(tmp_path):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(1))
    path = by_slicer(tmp_path, 5.0, old=False)
    whole = path.read_bytes()
    with path.open("wb") as file:
        file.write(whole[:50])
        file.flush()
        with pytest.raises(BlockingIOError, match="another program"):
            store.save(KEY, 1, saving(9))
        file.write(whole[50:])
    with pytest.raises(VersionConflict):
        store.save(KEY, 1, saving(9))
    assert x_of(store.read(KEY)) == 5.0


def test_a_file_that_comes_in_the_middle_of_a_save_stays(tmp_path, monkeypatch):
    store, write_state = store_in(tmp_path), on_disk.write_state
    store.save(KEY, 0, saving(1))

    def write(path, state, **others):
        write_state(path, state, **others)
        by_slicer(tmp_path, 5.0)

    monkeypatch.setattr(on_disk, "write_state", write)
    with pytest.raises(BlockingIOError, match="another program"):
        store.save(KEY, 1, saving(9, done=True))
    monkeypatch.undo()
    found = store.read(KEY)
    assert (found.version, x_of(found), found.state.done) == (2, 5.0, False)
    assert store_in(tmp_path).read(KEY) == found


def test_what_was_there_before_is_a_new_version_when_it_is_put_back(tmp_path):
    store, path = store_in(tmp_path), tmp_path / "ANNA.mrk.json"
    store.save(KEY, 0, saving(1))
    first = path.read_bytes()
    store.save(KEY, 1, saving(2))
    path.write_bytes(first)
    assert (store.read(KEY).version, x_of(store.read(KEY))) == (3, 1.0)
    store.save(KEY, 3, saving(4))
    with pytest.raises(VersionConflict):  # else who has seen 2 would save over 4
        store.save(KEY, 2, saving(9))


@pytest.mark.parametrize("is_copied", [True, False], ids=["copied over", "moved there"])
def test_what_was_put_back_while_no_server_ran_repeats_no_version(tmp_path, is_copied):
    store, path = store_in(tmp_path), tmp_path / "ANNA.mrk.json"
    store.save(KEY, 0, saving(1))
    backup = Path(shutil.copy2(path, tmp_path / "backup"))
    store.save(KEY, 1, saving(2))
    if is_copied:
        shutil.copy2(backup, path)
    else:
        backup.replace(path)
    for _ in range(2):  # once it is known, it stays
        found = store_in(tmp_path).read(KEY)
        assert (found.version, x_of(found)) == (3, 1.0)
    again = store_in(tmp_path)
    assert again.save(KEY, 3, saving(4)).version == 4
    for seen in (1, 2):
        with pytest.raises(VersionConflict):
            again.save(KEY, seen, saving(9))


def test_a_first_version_that_was_removed_while_no_server_ran_is_not_repeated(tmp_path):
    store_in(tmp_path).save(KEY, 0, saving(1))
    (tmp_path / "ANNA.mrk.json").unlink()
    store = store_in(tmp_path)
    assert (store.read(KEY).version, store.read(KEY).is_saved) == (2, False)
    assert store.save(KEY, 2, saving(5)).version == 3


def test_a_first_version_that_is_removed_is_a_new_version(tmp_path):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(1))
    (tmp_path / "ANNA.mrk.json").unlink()
    assert (store.read(KEY).version, store.read(KEY).is_saved) == (2, False)
    with pytest.raises(VersionConflict):
        store.save(KEY, 0, saving(9))
    assert store_in(tmp_path).read(KEY).version == 2


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_is_too_large_is_kept_when_it_is_replaced(tmp_path, monkeypatch, links):
    store, path = store_in(tmp_path), tmp_path / "ANNA.mrk.json"
    store.save(KEY, 0, saving(1))
    path.write_bytes(b" " * (MOST_BYTES + 1))
    os.utime(path, (1, 1))
    assert "over" in store.read(KEY).problem
    if not links:  # as on some disks

        def refuse(*arguments):
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
    assert x_of(store.save(KEY, store.read(KEY).version, saving(2))) == 2
    (kept,) = (tmp_path / PRIVATE / "kept").iterdir()
    assert kept.stat().st_size == MOST_BYTES + 1


def test_a_damaged_file_is_said_to_be_and_kept_when_it_is_replaced(tmp_path):
    path = tmp_path / "ANNA.mrk.json"
    path.write_text("{")
    os.utime(path, (1, 1))
    store = store_in(tmp_path)
    found = store.read(KEY)
    assert found.problem.startswith("ANNA.mrk.json: not valid JSON")
    assert not found.is_saved
    store.save(KEY, found.version, saving(1))
    (kept,) = (tmp_path / PRIVATE / "kept").iterdir()
    assert kept.read_text() == "{"
    assert store_in(tmp_path).read(KEY).problem == ""


@pytest.mark.parametrize("text", ["{ half", '{"markups": []}', None])
def test_landmarks_from_before_another_program_damaged_their_file_are_kept(tmp_path, text):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(4))
    path = store.path(KEY)
    before = path.read_text()
    path.unlink()
    if text is not None:
        path.write_text(text)
        os.utime(path, (1, 1))
    assert not store.read(KEY).points
    assert not store.read(KEY).points
    (kept,) = (tmp_path / PRIVATE / "kept").iterdir()
    assert kept.read_text() == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format_version": 9}', "null"])
def test_a_damaged_state_loses_no_landmarks(tmp_path, damage):
    store = store_in(tmp_path)
    store.save(KEY, 0, saving(4))
    (tmp_path / PRIVATE / "state" / f"{KEY}.json").write_text(damage)
    assert x_of(store_in(tmp_path).read(KEY)) == 4


def test_a_save_that_did_not_come_to_its_end_changes_nothing(tmp_path, monkeypatch):
    store = store_in(tmp_path)
    before = store.save(KEY, 0, saving(1, done=True))

    def full(path, **others):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(on_disk, "whole_file", full)
    for other in (store, store_in(tmp_path)):
        with pytest.raises(OSError, match="No space"):
            other.save(KEY, 1, saving(9))
    monkeypatch.undo()
    found = store_in(tmp_path).read(KEY)
    assert replace(found.state, before=None) == replace(before.state, before=None)
    assert found.points == before.points
    assert store_in(tmp_path).save(KEY, 1, saving(2)).version == 2


def test_links_are_replaced_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere.mrk.json"
    write_landmarks(elsewhere, read_landmarks(by_slicer(tmp_path, 1.0, "own")))
    before = elsewhere.read_bytes()
    folder = tmp_path / "annotations"
    folder.mkdir()
    (folder / "ANNA.mrk.json").symlink_to(elsewhere)
    store = store_in(folder)
    assert not store.read(KEY).is_saved  # what it points at is not shown
    assert "link" in store.read(KEY).problem
    store.save(KEY, store.read(KEY).version, saving(3))
    assert elsewhere.read_bytes() == before
    assert not (folder / "ANNA.mrk.json").is_symlink()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "ANNA.mrk.json")
    store = store_in(tmp_path)
    assert "not a file" in store.read(KEY).problem
    assert store.save(KEY, 0, saving(3)).version == 1


def test_eight_at_once_lose_nothing(tmp_path):
    store, taken = store_in(tmp_path), []

    def work(number):
        for step in range(20):
            x = 100.0 * number + step
            while True:
                version = store.read(KEY).version
                try:
                    taken.append((store.save(KEY, version, saving(x)).version, x))
                    break
                except VersionConflict:
                    continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [version for version, _ in sorted(taken)] == list(range(1, 161))
    assert x_of(store_in(tmp_path).read(KEY)) == max(taken)[1]


def is_done(version):
    """Some: a save that survives a loss of power takes longer."""
    return version % 4 == 0


def save_until_killed(folder, told):
    store = store_in(folder)
    version = store.read(KEY).version
    while True:
        version = store.save(KEY, version, saving(version + 1, is_done(version + 1))).version
        os.write(told, f"{version}\n".encode())


def test_killed_at_any_moment_what_was_said_to_be_saved_is_saved(tmp_path):
    draw, versions = random.Random(0), []
    for _ in range(25):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                save_until_killed(tmp_path, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as said:
            told = [int(said.readline())]
            time.sleep(0.1 * draw.random())
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told += [int(one) for one in said.read().split()]
        found = store_in(tmp_path).read(KEY)
        assert told[-1] <= found.version <= told[-1] + 1
        assert x_of(found) == found.version
        assert found.state.done == is_done(found.version)
        versions.append(found.version)
    assert versions[-1] >= 25
    assert not list((tmp_path / PRIVATE / "kept").iterdir())  # all files are ours
    assert not list(tmp_path.glob(".part-*"))
