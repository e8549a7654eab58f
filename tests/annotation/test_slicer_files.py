"""Files of annotations that 3D Slicer opens and saves into the same folder."""

import numpy as np
from served_scans import session_of, write_balls
from slicer_storage import read_by_slicer, resaved_by_slicer

from pin_lightning.annotation.points import Point

POINTS = {"nose": Point((12.1, -31.2, 7.3)), "chin": Point(missing=True), "ear": Point()}


def test_slicer_shows_what_is_saved_and_what_it_saves_is_picked_up(tmp_path):
    session = session_of(write_balls(tmp_path / "scans", 1), tmp_path / "annotations")
    key = next(iter(session.scans))
    session.save(key, 0, POINTS, done=False)
    path = session.store.path(key)
    (shown,) = read_by_slicer(path)
    assert [point["status"] for point in shown] == ["defined", "missing", "undefined"]
    np.testing.assert_allclose(shown[0]["position"], POINTS["nose"].position, rtol=1e-15)
    resaved_by_slicer(path, path)
    ((changed, saved),) = session.store.changed()
    assert (changed, saved.version, saved.problem) == (key, 2, "")
    assert {name: one.missing for name, one in saved.points.items()} == {
        name: one.missing for name, one in POINTS.items()
    }
    np.testing.assert_allclose(saved.points["nose"].position, POINTS["nose"].position, rtol=1e-15)
    assert saved.points["ear"] == Point()
