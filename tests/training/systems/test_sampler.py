import math

import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.distributed.ranks import Shard
from pin_lightning.method.pyramid import coarser
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.systems.sampler import WholeVolumeSampler

GRID = Grid((16, 12, 14), 1.5)
STRONG = {"rotation_sd_degrees": 7.0, "shift_sd": 0.02, "gain_sd": 0.1, "noise_sd": 0.02}
CPU = torch.device("cpu")


def given(count=3):
    generator = torch.Generator().manual_seed(0)
    volumes = torch.randint(0, 256, (count, *GRID.size), generator=generator, dtype=torch.uint8)
    return volumes, torch.rand(count, 2, 3, generator=generator) * 8 - 4


def test_without_augmentation_samples_are_the_coarse_volumes_and_their_landmarks():
    volumes, landmarks_mm = given()
    sampler = WholeVolumeSampler(GRID, 2, Augmentation(), seed=0)
    index = torch.tensor([2, 0])
    found = sampler.samples(sampler.pyramid(volumes), index, landmarks_mm[index])
    torch.testing.assert_close(found["volumes"], coarser(volumes, 2)[index])
    torch.testing.assert_close(found["landmarks_mm"], landmarks_mm[index])


def test_missing_landmarks_stay_missing_and_do_not_disturb_the_others():
    volumes, landmarks_mm = given()
    augmentation = Augmentation.of(**STRONG, elastic_sd=0.008)
    index = torch.tensor([0, 1])
    whole, lacking = landmarks_mm[index], landmarks_mm[index].clone()
    lacking[0, 1] = math.nan
    found = []
    for landmarks in (whole, lacking):
        sampler = WholeVolumeSampler(GRID, 2, augmentation, seed=0)
        pyramid = sampler.pyramid(volumes)
        found.append(sampler.samples(pyramid, index, landmarks)["landmarks_mm"])
    missing = torch.isnan(found[1])
    assert missing[0, 1].all()
    assert missing.sum() == 3
    torch.testing.assert_close(found[1][~missing], found[0][~missing])


def test_mirrored_samples_exchange_the_names_of_sides_missing_or_not():
    volumes, landmarks_mm = given(1)
    augmentation = Augmentation.of(flip_probability=1.0)
    augmentation = augmentation.for_landmarks(("left", "right"), [("left", "right")])
    sampler = WholeVolumeSampler(GRID, 1, augmentation, seed=0)
    landmarks_mm[0, 0] = math.nan
    found = sampler.samples(sampler.pyramid(volumes), torch.tensor([0]), landmarks_mm)
    torch.testing.assert_close(found["volumes"], volumes.flip(1))
    moved = landmarks_mm[0, 1] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(found["landmarks_mm"][0, 0], moved)
    assert torch.isnan(found["landmarks_mm"][0, 1]).all()


def test_processes_together_make_the_samples_of_a_single_one():
    volumes, landmarks_mm = given()
    sampler = WholeVolumeSampler(GRID, 2, Augmentation.of(**STRONG), seed=0)
    index = torch.tensor([0, 2, 1, 0])
    whole = sampler.on(CPU).samples(sampler.pyramid(volumes), index, landmarks_mm[index])
    for rank in range(2):
        own = sampler.on(CPU, Shard(rank, 2))
        part = own.samples(own.pyramid(volumes), index, landmarks_mm[index])
        for key, values in whole.items():
            torch.testing.assert_close(part[key], values[rank::2])
