import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from pin_lightning.common.geometry import Grid
from pin_lightning.data.preprocessing import WorkingVolume
from pin_lightning.data.usual_images import BINS, Traits, UsualImages, unlike_training
from pin_lightning.data.volume_facts import VolumeFacts


def working(grey, low=-1000.0, high=1000.0):
    intensity = torch.from_numpy(np.asarray(grey).round().clip(0, 255).astype(np.uint8))
    grid = Grid(tuple(intensity.shape), 1.0)
    return WorkingVolume(intensity, np.eye(4), grid, VolumeFacts(low, high, "0" * 16))


def anatomy(seed, inverted=False):
    """Grey matter with small bright things, in black air."""
    rng = np.random.default_rng(seed)
    grey = ndimage.gaussian_filter(rng.normal(0, 1, (30, 32, 34)), 3)
    grey = 90 + 25 * grey / grey.std()
    spots = ndimage.gaussian_filter((rng.uniform(size=grey.shape) > 0.997).astype(float), 0.8)
    grey = grey + 110 * spots / spots.max()
    grey = 256 - grey if inverted else grey
    grey = grey.clip(1, 255)
    grey[:6] = 0
    return grey


TRAITS = [Traits.of(working(anatomy(seed), high=1000.0 + 30 * seed)) for seed in range(8)]
USUAL = UsualImages.of(TRAITS)


def test_traits_by_hand():
    """Half of what is not black is 100 (bin 6), half 200 (bin 12), in slabs of two."""
    grey = np.zeros((6, 4, 4))
    grey[2:4], grey[4:] = 100, 200
    traits = Traits.of(working(grey))
    assert (traits.low, traits.high) == (-1000, 1000)
    assert traits.shares == (0.0,) * 6 + (0.5,) * 6 + (1.0,) * 3
    # Steps along x: 0, 100, 0 in 3 x 16 pairs; none in the 2 x 48 pairs along y and z.
    assert traits.roughness == pytest.approx(16 * 100 / (3 * 16 + 2 * 48) / 50, abs=1e-4)


def test_noise_is_as_rough_as_it_can_be():
    """Independent normal values differ by 2 / sqrt(pi) SD, and deviate by sqrt(2 / pi) SD."""
    noise = np.random.default_rng(0).normal(128, 20, (40, 40, 40))
    assert Traits.of(working(noise)).roughness == pytest.approx(np.sqrt(2), abs=0.02)


def test_an_empty_volume_has_traits():
    traits = Traits.of(working(np.zeros((5, 5, 5))))
    assert (traits.shares, traits.roughness, traits.detail) == ((0.0,) * (BINS - 1), 0, 0)
    assert unlike_training(traits, USUAL)


@pytest.mark.parametrize("left_out", range(8))
def test_a_case_of_the_same_set_is_like_the_others(left_out):
    others = [one for index, one in enumerate(TRAITS) if index != left_out]
    assert unlike_training(TRAITS[left_out], UsualImages.of(others)) == []


def test_inverted_contrast_is_said():
    said = unlike_training(Traits.of(working(anatomy(9, inverted=True))), USUAL)
    assert any("contrast: inverted, small things are dark" in one for one in said)
    inverted = [Traits.of(working(anatomy(seed, inverted=True))) for seed in range(8)]
    said = unlike_training(TRAITS[0], UsualImages.of(inverted))
    assert any("contrast: inverted, small things are bright" in one for one in said)


def test_noise_is_said():
    noise = np.random.default_rng(0).normal(90, 25, (30, 32, 34))
    said = unlike_training(Traits.of(working(noise)), USUAL)
    assert any("texture: noisier" in one for one in said)


def test_another_scale_is_said_where_training_had_one():
    hundredfold = replace(TRAITS[0], low=-1e5, high=1e5)
    assert unlike_training(hundredfold, USUAL) == [
        "intensities: window -1e+05 to 1e+05, in training -1000 to 1210"
    ]
    narrow = replace(TRAITS[0], low=0.0, high=255.0)
    assert "intensities: window 0 to 255" in unlike_training(narrow, USUAL)[0]
    elsewhere = replace(TRAITS[0], low=3000.0, high=5000.0)
    assert "intensities" in unlike_training(elsewhere, USUAL)[0]
    varied = UsualImages.of([*TRAITS, hundredfold])
    assert unlike_training(narrow, varied) == []


def test_ranges_go_through_json_and_merge():
    back = UsualImages.of_json(json.loads(json.dumps(USUAL.to_json())))
    assert back == USUAL
    halves = [UsualImages.of(TRAITS[:5]), UsualImages.of(TRAITS[5:])]
    merged = UsualImages.merged(halves)
    assert (merged.least, merged.most, merged.num_cases) == (USUAL.least, USUAL.most, 5)


@pytest.mark.parametrize(
    "damage",
    [
        {"num_cases": 0},
        {"num_cases": "8"},
        {"least": {**USUAL.to_json()["least"], "shares": [0.5] * 999}},
        {"least": {**USUAL.to_json()["least"], "shares": [2.0] * 15}},
        {"most": {**USUAL.to_json()["most"], "detail": float("nan")}},
        {"most": {**USUAL.to_json()["most"], "high": 1e300}},
    ],
)
def test_damaged_ranges_are_refused(damage):
    with pytest.raises(ValueError, match="training_images"):
        UsualImages.of_json({**USUAL.to_json(), **damage})
