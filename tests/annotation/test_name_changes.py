import errno

import pytest
from served_scans import NAMES, session_of

from pin_lightning.annotation.name_changes import NameChange
from pin_lightning.annotation.points import Point
from pin_lightning.annotation.volumes import volume_id
from pin_lightning.data.landmarks.files import read_landmarks

KEYS = [volume_id(f"ball{number}") for number in range(3)]
PLACES = {name: Point((float(index), 2.0, 3.0)) for index, name in enumerate(NAMES)}
RENAME = NameChange("rename", "chin", "Kinn")


@pytest.fixture
def saved(session):
    """A session of a volume that is done, one that is begun, and a new one."""
    session.save(KEYS[0], 0, PLACES, done=True)
    session.save(KEYS[1], 0, {"nose": PLACES["nose"]}, done=False)
    return session


def names_in_file(session, number):
    return read_landmarks(session.store.path(KEYS[number])).names


def test_a_landmark_that_is_added_is_to_be_placed_in_what_was_done(saved, scans):
    saved.change_names(NameChange("add", "tail"))
    assert saved.names == (*NAMES, "tail")
    assert [saved.state(key) for key in KEYS] == ["in_work", "in_work", "new"]
    assert [saved.store.read(key).version for key in KEYS] == [2, 1, 0]
    for key in KEYS:
        assert saved.points(key)["tail"] == Point()
    assert {name: saved.points(KEYS[0])[name] for name in NAMES} == PLACES
    saved.save(KEYS[0], 2, {"tail": Point(missing=True)}, done=True)
    again = session_of(scans, saved.folder, names=())
    assert again.names == saved.names
    assert again.state(KEYS[0]) == "corrected"
    again.close()


def test_a_landmark_that_is_removed_stays_in_the_files_and_comes_back_as_it_was(saved):
    saved.change_names(NameChange("remove", "chin"))
    assert saved.names == ("nose", "ear")
    assert names_in_file(saved, 0) == NAMES
    assert saved.state(KEYS[0]) == "corrected"
    assert saved.points(KEYS[0])["chin"] == PLACES["chin"]
    saved.change_names(NameChange("add", "chin"))
    assert saved.state(KEYS[0]) == "corrected"  # it is placed there
    assert saved.store.read(KEYS[0]).version == 1


def test_a_landmark_that_is_renamed_is_so_in_all_files(session):
    before = {name: point.position for name, point in PLACES.items()}
    session.proposals._known[KEYS[0]] = session.proposals._known[KEYS[2]] = before
    session.save(KEYS[0], 0, {"nose": Point((9.0, 9.0, 9.0))}, done=True)
    session.save(KEYS[1], 0, {"nose": PLACES["nose"]}, done=False)
    told = []
    session.events.publish = lambda kind, content: told.append((kind, content))
    session.change_names(RENAME)
    assert session.names == ("nose", "Kinn", "ear")
    for number, state in enumerate(("corrected", "in_work")):
        assert names_in_file(session, number) == session.names
        assert session.store.read(KEYS[number]).version == 2
        assert session.state(KEYS[number]) == state
    assert session.moved(KEYS[0]) == ["nose"]  # what was predicted has the new name, too
    assert session.points(KEYS[2])["Kinn"] == PLACES["chin"]  # a proposal
    assert told[0] == (
        "session",
        {"change": {"kind": "rename", "name": "chin", "new_name": "Kinn"}},
    )
    assert {content["id"] for kind, content in told if kind == "volume"} == set(KEYS[:2])
    assert session.landmarks.unfinished is None


def test_a_change_that_was_broken_off_goes_on(saved, scans, monkeypatch):
    write = saved.store._disk.write

    def full(key, *others):
        if key == KEYS[1]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(key, *others)

    monkeypatch.setattr(saved.store._disk, "write", full)
    saved.change_names(RENAME)
    assert [saved.store.read(key).version for key in KEYS[:2]] == [2, 1]
    assert saved.landmarks.unfinished == RENAME
    with pytest.raises(ValueError, match="'chin' is still being changed"):
        saved.change_names(NameChange("add", "tail"))
    again = session_of(scans, saved.folder, names=())  # as after a kill
    assert again.landmarks.unfinished == RENAME
    again._change_files()
    assert again.landmarks.unfinished is None
    assert [names_in_file(again, number) for number in range(2)] == [again.names] * 2
    assert [again.store.read(key).version for key in KEYS[:2]] == [2, 2]
    again.close()


def test_who_saves_under_the_new_name_before_the_file_has_it_loses_nothing(saved):
    saved.landmarks.change(RENAME)  # the files follow
    mine = Point((7.0, 7.0, 7.0))
    saved.save(KEYS[0], 1, {"Kinn": mine}, done=True)
    saved.save(KEYS[1], 1, {"nose": mine}, done=False)
    saved._change_files()
    assert saved.points(KEYS[0])["Kinn"] == mine
    assert "chin" not in saved.points(KEYS[0])
    assert saved.points(KEYS[1])["nose"] == mine


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (NameChange("add", "nose"), "nose twice"),
        (NameChange("add", ""), "cannot be a name"),
        (NameChange("rename", "chin", "ear"), "ear.* is in the file of"),
        (NameChange("rename", "chin", ""), "cannot be a name"),
        (NameChange("rename", "tail", "fin"), "there is no landmark 'tail'"),
        (NameChange("remove", "tail"), "there is no landmark 'tail'"),
    ],
)
def test_what_cannot_be_changed_is_said_and_changes_nothing(saved, change, said):
    with pytest.raises(ValueError, match=said):
        saved.change_names(change)
    assert saved.names == NAMES
    assert saved.landmarks.unfinished is None
    assert saved.store.read(KEYS[0]).version == 1


def test_the_last_landmark_stays(saved):
    for name in NAMES[1:]:
        saved.change_names(NameChange("remove", name))
    with pytest.raises(ValueError, match="0 names"):
        saved.change_names(NameChange("remove", "nose"))


def test_names_of_a_run_and_of_a_training_at_work_are_fixed(saved, monkeypatch):
    monkeypatch.setattr(saved.learner, "status", lambda: {"state": "running"})
    with pytest.raises(ValueError, match="a training is running"):
        saved.change_names(RENAME)
    monkeypatch.undo()
    saved.landmarks.set_by_run(NAMES)
    with pytest.raises(ValueError, match="those of the run, which are fixed"):
        saved.change_names(RENAME)
