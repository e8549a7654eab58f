import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from served_scans import NAMES, session_of

from pin_lightning.annotation import described
from pin_lightning.annotation.points import Point
from pin_lightning.annotation.predicting_run import PredictingRun
from pin_lightning.annotation.volumes import volume_id
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed, ReviewedPose

KEYS = [volume_id(f"ball{number}") for number in range(3)]
POSE = [[0.0, -2.0, 0.0, 5.0], [2.0, 0.0, 0.0, 6.0], [0.0, 0.0, 2.0, 7.0], [0.0, 0.0, 0.0, 1.0]]


def predict(session, number=0, spread=1.0, uncertain=False):
    """Let a run have predicted a volume: the last landmark outside of it."""
    shape, affine = session.scans.header(session.scans[KEYS[number]])
    centre = (affine @ [*np.array(shape) / 2, 1])[:3]
    places = centre + np.array([[0.0, 0, 0], [1, 0, 0], [900, 0, 0]])
    name, outside = f"ball{number}", np.array([False, False, True])
    one = Reviewed(name, f"{name}.nii", places, np.full(3, spread), None, outside)
    pose = ReviewedPose(1.0, 1.0, uncertain, POSE)
    session.predictions.run = session.predictions.run or PredictingRun(session.folder, NAMES, {})
    session.predictions._note(name, replace(one, pose=pose))
    return places


def test_a_volume_is_accepted_when_nothing_was_changed(session):
    places = predict(session)
    assert session.state(KEYS[0]) == "predicted"
    points = session.points(KEYS[0])
    assert points["ear"] == Point(missing=True)  # outside
    session.save(KEYS[0], 0, {}, done=True)
    assert session.state(KEYS[0]) == "accepted"
    assert session.predicted(KEYS[0]) == {
        name: tuple(place) for name, place in zip(NAMES[:2], places.tolist(), strict=False)
    }


def test_pages_are_told_of_a_prediction_that_is_made_anew(session, monkeypatch):
    told = []
    monkeypatch.setattr(session.events, "publish", lambda kind, content: told.append(content))
    for _ in range(2):
        predict(session)
    numbers = [one["prediction"] for one in told if "prediction" in one]
    assert len(set(numbers)) == 2
    assert described.volume(session, KEYS[0]).prediction == numbers[-1]
    assert described.summary(session, KEYS[0]).prediction == numbers[-1]


@pytest.mark.parametrize(
    "point", [Point(missing=True), Point((1.0, 2.0, 3.0)), Point()], ids=["missing", "moved", "no"]
)
def test_a_volume_is_corrected_when_something_was(session, point):
    predict(session)
    session.save(KEYS[0], 0, {"nose": point}, done=False)
    assert session.state(KEYS[0]) == "in_work"
    session.save(KEYS[0], 1, {}, done=True)
    assert session.state(KEYS[0]) == "corrected"
    assert session.moved(KEYS[0]) == ["nose"]
    (done,) = session.done_volumes()
    assert (done.name, done.is_corrected, done.by) == ("ball0", True, session.folder.name)
    assert done.landmarks.names == NAMES
    assert done.predicted.keys() == {"nose", "chin"}


def test_a_new_prediction_does_not_change_what_was_corrected(session):
    predict(session)
    session.save(KEYS[0], 0, {}, done=True)
    predict(session, spread=5.0)
    session.predictions._known["ball0"].positions_world[:] += 3
    assert session.state(KEYS[0]) == "accepted"


def test_the_anatomical_frame_is_that_of_the_pose_in_mm_of_the_scan(session):
    assert list(session.frames(KEYS[0])) == ["scanner"]
    predict(session)
    frame = session.frames(KEYS[0])["anatomical"]
    expected = np.array(POSE)
    expected[:3, :3] /= 2  # where sizes are found, too
    np.testing.assert_allclose(frame.to_world, expected)
    shape, affine = session.scans.header(session.scans[KEYS[0]])
    centre = np.linalg.inv(frame.to_world) @ affine @ [*(np.array(shape) - 1) / 2, 1]
    low, extent = np.array(frame.low_mm), np.array(frame.extent_mm)
    np.testing.assert_allclose(low + extent / 2, centre[:3], atol=1e-9)


def test_the_most_doubtful_is_next_that_nobody_looks_at(session):
    for number, spread in enumerate((1.0, 3.0, 2.0)):
        predict(session, number, spread)
    assert session.next("doubt") == KEYS[1]
    predict(session, 0, uncertain=True)
    assert session.next("doubt") == KEYS[0]
    session.look(KEYS[0], "tab")
    assert session.next("doubt") == session.next("diverse") == KEYS[1]
    for key in KEYS:
        session.look(key, f"tab of {key}")
    assert session.next("doubt") == KEYS[0]  # rather than nothing
    for key in KEYS:
        session.save(key, 0, {}, done=True)
    assert session.next("random") is None
    with pytest.raises(ValueError, match="strategy=best"):
        session.next("best")


def test_a_volume_that_failed_can_be_annotated(session):
    predict(session)
    session.predictions._note("ball0", Failed("ball0", "ball0.nii", "no anatomy"))
    assert session.state(KEYS[0]) == "failed"
    session.save(KEYS[0], 0, {"nose": Point((1.0, 2.0, 3.0))}, done=True)
    assert session.state(KEYS[0]) == "corrected"


class Proposing:
    """Proposes the same for all, by what is done."""

    def __init__(self):
        self.asked, self.may_end = [], threading.Event()

    def propose(self, path, done):
        self.may_end.wait(10)
        self.asked.append((path.name, [one.name for one in done]))
        return {"nose": (1.0, 2.0, 3.0), "tail": (0.0, 0.0, 0.0)}

    def close(self):
        pass


def test_without_a_run_volumes_that_are_opened_get_proposals(session, scans):
    session.proposer = proposer = Proposing()
    session.save(KEYS[1], 0, {name: Point((1.0, 1.0, 1.0)) for name in NAMES}, done=True)
    session.look_at(KEYS[0])
    assert [session.is_coming(key) for key in KEYS[:2]] == [True, False]
    proposer.may_end.set()
    for _ in range(1000):
        if not session.is_coming(KEYS[0]):
            break
        session.proposals._thread.join(0.01)
    assert proposer.asked == [("ball0.nii.gz", ["ball1"])]
    assert session.state(KEYS[0]) == "predicted"
    assert session.points(KEYS[0])["nose"] == Point((1.0, 2.0, 3.0))
    assert "tail" not in session.points(KEYS[0])
    again = session_of(scans, session.folder)
    assert again.predicted(KEYS[0]) == {"nose": (1.0, 2.0, 3.0)}  # kept
    again.close()


class FindingNothing(Proposing):
    """Proposes nothing: where the anatomy lies is uncertain."""

    def propose(self, path, done):
        self.asked.append(path.name)


def test_what_cannot_be_proposed_is_not_tried_again_until_more_is_done(session):
    session.proposer = proposer = FindingNothing()
    all_points = {name: Point((1.0, 1.0, 1.0)) for name in NAMES}
    for tried, (other, version) in enumerate([(KEYS[1], 0), (KEYS[1], 1)], 1):
        session.save(other, version, all_points, done=True)
        for _ in range(20):  # as a page does that is told of each change
            session.look_at(KEYS[0])
            while session.is_coming(KEYS[0]):
                session.proposals._thread.join(0.01)
        assert proposer.asked == ["ball0.nii.gz"] * tried


def test_what_another_program_has_done_makes_proposals_due_again(session):
    session.proposer = FindingNothing()
    session.save(KEYS[1], 0, {name: Point((1.0, 1.0, 1.0)) for name in NAMES}, done=True)
    session.start()
    session.look_at(KEYS[0])
    while session.is_coming(KEYS[0]):
        session.proposals._thread.join(0.01)
    assert not session.proposals.is_due(KEYS[0])
    shutil.copy(session.store.path(KEYS[1]), session.store.path(KEYS[2]))
    for _ in range(1000):
        if session.proposals.is_due(KEYS[0]):
            break
        time.sleep(0.01)
    assert session.state(KEYS[2]) == "corrected"
    assert session.proposals.is_due(KEYS[0])


@pytest.fixture
def damaged(scans, tmp_path):
    """A session of a scan, one whose file is none, and one whose voxels are cut off."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    content = (scans / "ball0.nii.gz").read_bytes()
    (folder / "good.nii.gz").write_bytes(content)
    (folder / "none.nii.gz").write_bytes(b"nothing")
    (folder / "cut.nii.gz").write_bytes(content[: len(content) // 2])
    made = session_of(folder, tmp_path / "annotations")
    yield made
    made.close()


def test_scans_that_cannot_be_read_have_failed_and_are_never_next(damaged):
    good, none, cut = (volume_id(name) for name in ("good", "none", "cut"))
    told = []
    damaged.events.publish = lambda kind, content: told.append((kind, content.get("id")))
    damaged.start()
    deadline = time.monotonic() + 10
    while ("volume", none) not in told:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert damaged.state(none) == "failed"
    assert damaged.state(cut) == "new"  # its header is fine
    assert described.volume(damaged, cut).reason  # as who opens it finds
    assert damaged.state(cut) == "failed"
    listed = {one.id: one for one in described.summaries(damaged)}
    assert [listed[key].readable for key in (good, none, cut)] == [True, False, False]
    assert [one.kind for one in listed[none].doubts] == ["failed"]
    assert "none.nii.gz" in listed[none].doubts[0].text
    for strategy in ("doubt", "random", "diverse"):
        assert damaged.next(strategy) == good
    damaged.save(good, 0, {"nose": Point((1.0, 2.0, 3.0))}, done=True)
    assert damaged.next("doubt") is None
    damaged.proposer = Proposing()
    with pytest.raises(ValueError, match=r"none\.nii\.gz"):
        damaged.ask(none)
    shutil.copy(damaged.scans[good].file.path, damaged.scans[none].file.path)
    assert damaged.state(none) == "new"
    assert damaged.next("doubt") == none


def test_a_scan_that_cannot_be_read_is_looked_at_again_when_it_is_asked_for(damaged):
    good = volume_id("good")
    damaged.proposer = FindingNothing()
    damaged.scans.note(damaged.scans[good], "no permission")
    assert damaged.state(good) == "failed"
    damaged.ask(good)
    assert damaged.state(good) == "new"
