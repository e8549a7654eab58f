import json
from dataclasses import replace

import numpy as np
import pytest
from predicted_series import NAMES, error_bars, reviewed

from pin_lightning.annotation.doubtful import NO_DOUBT, doubtful, usual
from pin_lightning.inference.records import Failed


def doubt_of(one, bars=None):
    return doubtful(one, NAMES, usual([reviewed("a")]), bars)


def test_poses_come_first_then_failures_then_radii_then_remarks():
    wide = reviewed("a")
    lost, failed = reviewed("a", uncertain=True), Failed("b", "b.nii", "cannot be read")
    remarked = reviewed("a", remarks=("size: 3 times as long",))
    numbers = [doubt_of(one, error_bars()).number for one in (lost, failed, remarked, wide, None)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 5
    json.dumps(numbers, allow_nan=False)


def test_reasons_are_said_of_landmarks_and_of_the_volume():
    found = doubt_of(reviewed("a", remarks=("noise: more",)), error_bars())
    assert found.reasons[1] == "near the border of the scan"
    assert found.reasons[2] == "outside the scan"
    kinds = [kind for kind, _ in found.texts]
    assert kinds == ["radius", "flag"]
    assert "Böcke" in found.texts[0][1]
    assert found.named == ("Böcke", "gone")
    assert doubt_of(reviewed("a", uncertain=True)).texts[0][0] == "pose"
    assert doubt_of(Failed("b", "b.nii", "gone")).texts == (("failed", "gone"),)


def test_a_spread_that_is_wider_than_usual_is_a_reason():
    usual_mm = np.array([0.1, 0.5, 1.0])
    one = replace(
        reviewed("a", with_radii=False),
        spread_mm=np.array([0.35, 0.5, 1.0]),
        outside=np.zeros(3, bool),
        near_border=None,
    )
    found = doubtful(one, NAMES, usual_mm, None)
    assert found.reasons == ("3.5 times its usual spread", "", "")
    assert found.number == pytest.approx(3.5)


def test_what_is_not_known_is_not_doubtful():
    assert doubtful(None, NAMES, None, None) == NO_DOUBT
    assert usual([]) is None
