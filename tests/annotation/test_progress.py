from dataclasses import replace

import numpy as np
import pytest

from pin_lightning.annotation.annotation_files import SavedState
from pin_lightning.annotation.progress import Tally


def test_by_hand():
    tally, new = Tally(), SavedState("a")
    assert vars(tally.of(3)) == {"done": 0, "total": 3, "minutes_left": None}
    tally.change(None, new)
    tally.change(new, done := replace(new, done=True, seconds=90.0))
    assert vars(tally.of(3)) == {"done": 1, "total": 3, "minutes_left": 3.0}
    tally.change(None, replace(new, done=True))  # nobody knows how long it took
    assert vars(tally.of(3)) == {"done": 2, "total": 3, "minutes_left": 1.5}
    tally.change(done, replace(done, done=False))
    assert vars(tally.of(3)) == {"done": 1, "total": 3, "minutes_left": None}


def test_as_if_all_were_counted_anew():
    rng, tally, states = np.random.default_rng(0), Tally(), dict[int, SavedState]()
    for _ in range(300):
        key, seconds = int(rng.integers(20)), float(rng.integers(3) * rng.random())
        now = SavedState("a", done=bool(rng.integers(2)), seconds=seconds)
        tally.change(states.get(key), now)
        states[key] = now
    done = [one for one in states.values() if one.done]
    timed = [one.seconds for one in done if one.seconds > 0]
    found = tally.of(20)
    assert (found.done, found.total) == (len(done), 20)
    expected = (20 - len(done)) * np.mean(timed) / 60
    assert found.minutes_left == pytest.approx(expected, abs=0.05)
