import json
import logging
import math
import sys
from dataclasses import replace
from datetime import datetime

import numpy as np

from pin_lightning.inference.lines import say, say_nothing_else, volume_line
from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed, ReviewedPose


def said(capsys, **content):
    say(**content)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out, parse_constant=lambda text: 1 / 0)
    assert datetime.fromisoformat(found.pop("time")).tzinfo is not None
    return found


def test_a_line_for_each_volume_by_hand(capsys):
    arrays = (np.zeros((2, 3)), np.array([0.5, 2.0]), np.array([1.0, 4.0]), np.array([True, False]))
    one = Reviewed("a\n", "in/a.nii", *arrays, 0.12345, ("size: large",))
    expected = {
        **{"volume": "a\n", "file": "in/a.nii", "state": "predicted", "seconds": 0.123},
        **{"pose": None, "pose_score": None, "pose_lead": None, "largest_radius_mm": 4.0},
        **{"largest_spread_mm": 2.0, "outside": 1, "remarks": ["size: large"]},
    }
    assert said(capsys, **volume_line(one)) == expected
    posed = replace(one, pose=ReviewedPose(-3.5, math.inf, True), radius_mm=None)
    changed = {"pose": "uncertain", "pose_score": -3.5, "largest_radius_mm": None}
    assert said(capsys, **volume_line(posed)) == {**expected, **changed}
    failed = volume_line(Failed("b", "b.nii", "b.nii: no ß"))
    assert said(capsys, **failed) == {
        **{"volume": "b", "file": "b.nii", "state": "failed", "reason": "b.nii: no ß"}
    }


def test_messages_for_people_go_elsewhere(capsys, monkeypatch):
    # None of another test, of which the stream may be closed.
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stdout)])
    say_nothing_else()
    logging.getLogger("a").error("look here")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "look here\n")
