import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.method.sampling import Approach, Drawn
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation, exchanged_landmarks
from pin_lightning.training.samples.sampler import ShapePatchSampler

GRID = Grid((41, 37, 33), 0.5)
NAMES = ["eyeL", "nose", "eyeR"]
PAIRS = [["eyeL", "eyeR"]]
FACE_MM = torch.tensor([[-5.0, 4.0, 1.0], [0.5, 7.0, -2.0], [5.5, 4.5, 1.5]])
LEVELS = (100, 150, 200)  # of the block at each of them


def face():
    """A volume with a block of its own grey level at each landmark."""
    volume = torch.zeros(1, *GRID.size, dtype=torch.uint8)
    for (x, y, z), level in zip(GRID.mm_to_ijk(FACE_MM).round().int(), LEVELS, strict=True):
        volume[0, x - 2 : x + 3, y - 2 : y + 3, z - 2 : z + 3] = level
    return volume


def sampler(augmentation):
    """Of a shape space that knows every shape of three landmarks."""
    shapes = FACE_MM + 2 * torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(0))
    model = PCAShapeModel(9).fit(shapes, GRID.extent_mm)
    return ShapePatchSampler(model, GRID, 5, "nearest", Approach(1.0), augmentation, 0)


def samples(drawing):
    index = torch.zeros(40, dtype=torch.long)
    return drawing.samples(drawing.pyramid(face()), index, FACE_MM.expand(40, -1, -1))


def at_the_truth(drawing):
    drawing.draw = Drawn
    return samples(drawing)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rotation_sd_degrees": 10.0},
        {"scale_sd": 0.1, "shear_sd": 0.05},
        {"shift_sd": 0.05},
        {"elastic_sd": 0.012},
        {"rotation_sd_degrees": 5.0, "scale_sd": 0.05, "shift_sd": 0.02, "elastic_sd": 0.008},
    ],
)
def test_patches_at_the_true_parameters_show_the_landmarks(settings):
    truth = at_the_truth(sampler(Augmentation.of(**settings)))
    centres = truth["patches"].unflatten(1, (3, 3))[..., 2, 2]
    assert torch.equal(centres, torch.tensor(LEVELS, dtype=torch.uint8)[:, None].expand(40, 3, 3))
    apart = torch.pdist(truth["true_parameters"]).min()
    assert apart > 1e-2 if settings else apart < 1e-4


def test_names_are_exchanged_in_mirrored_volumes():
    """There the left eye lies where the mirror image of the right one does, and looks like it."""
    flips = Augmentation.of(flip_probability=0.5).for_landmarks(NAMES, PAIRS)
    drawing = sampler(flips)
    truth = at_the_truth(drawing)
    left, nose, right = truth["patches"].unflatten(1, (3, 3))[:, :, 0, 2, 2].T.tolist()
    assert set(zip(left, nose, right, strict=True)) == {(100, 150, 200), (200, 150, 100)}
    shapes_mm = drawing.shape_model.decode(truth["true_parameters"])
    mirrored = torch.tensor([[-5.5, 4.5, 1.5], [-0.5, 7.0, -2.0], [5.0, 4.0, 1.0]])
    expected = torch.stack([mirrored if level == 200 else FACE_MM for level in left])
    torch.testing.assert_close(shapes_mm, expected, atol=1e-4, rtol=0)


def test_none_draws_what_is_drawn_without_any_augmentation():
    drawing, plain = sampler(Augmentation()), sampler(Augmentation())
    batch = samples(drawing)
    truth = plain.shape_model.encode(FACE_MM.expand(40, -1, -1))
    assert torch.equal(batch["parameters"], plain.draw(truth).parameters)
    index = torch.zeros(40, dtype=torch.long)
    (cut,) = plain.cut(plain.pyramid(face()), index, batch["parameters"])
    assert torch.equal(batch["patches"], cut)
    assert torch.equal(drawing.generator.get_state(), plain.generator.get_state())


def test_intensity_leaves_the_truth_and_changes_the_patches():
    plain = samples(sampler(Augmentation()))
    bright = samples(sampler(Augmentation.of(gain_sd=0.3)))
    for key in ("parameters", "true_parameters"):
        assert torch.equal(plain[key], bright[key])
    shown = plain["patches"] > 0
    assert torch.equal(bright["patches"] > 0, shown)
    assert not torch.equal(bright["patches"], plain["patches"])


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match=r"augmentation\.rotate: there is no such setting"):
        Augmentation.of(rotate=3)


def test_mirror_images_need_pairs():
    flips = Augmentation.of(flip_probability=0.5)
    with pytest.raises(ValueError, match=r"flip_probability=0\.5: needs data\.mirror_pairs"):
        flips.for_landmarks(NAMES, None)
    assert flips.for_landmarks(NAMES, []).exchange == (0, 1, 2)
    still = Augmentation()
    assert still.for_landmarks(NAMES, None) is still


def test_pairs_are_compared_in_one_spelling():
    mirroring = Augmentation.of(flip_probability=0.5)
    pairs = [["La\u0308", "R\u00e4"]]
    assert mirroring.for_landmarks(["R\u00e4", "x", "L\u00e4"], pairs).exchange == (2, 1, 0)


def test_pairs_by_hand():
    names = ["a", "b", "c", "d", "e"]
    assert exchanged_landmarks(names, [("a", "d"), ("e", "b")]) == (3, 4, 2, 0, 1)
    assert exchanged_landmarks(names, [("x", "y")]) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([["eyeL"]], r"\['eyeL'\] is not a pair"),
        ([["eyeL", "eyeL"]], "is not a pair"),
        ([["eyeL", "eyeR"], ["nose", "eyeL"]], "occur only there"),
        ([["eyeL", "earR"]], "only eyeL of"),
    ],
)
def test_wrong_pairs_are_named(pairs, words):
    with pytest.raises(ValueError, match=rf"data\.mirror_pairs: .*{words}"):
        exchanged_landmarks(NAMES, pairs)
