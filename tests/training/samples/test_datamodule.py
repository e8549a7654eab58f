import math
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.data.inspection import annotate, inspect_cases
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.data.sources.phantom_anatomy import LANDMARK_NAMES
from pin_lightning.data.volume_cache import cache_volumes
from pin_lightning.distributed.ranks import Shard
from pin_lightning.method.sampling import Approach
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.samples.datamodule import LandmarkDataModule, cases_of
from pin_lightning.training.samples.queue import queue_loader
from pin_lightning.training.samples.sampler import ShapePatchSampler

GRID = Grid((54, 35, 47), 3.0)


def annotated_case(case, names=LANDMARK_NAMES, grid=GRID):
    (one,), _ = inspect_cases([case])
    return annotate(one, names, grid)


@pytest.fixture
def annotated(phantom_root):
    return [annotated_case(case) for case in find_cases(phantom_root)]


@pytest.fixture
def datamodule(annotated, tmp_path):
    shapes = torch.stack([one.landmarks_mm for one in annotated[:6]])
    model = PCAShapeModel().fit(shapes, GRID.extent_mm)
    sampler = ShapePatchSampler(model, GRID, 7, "nearest", Approach(0.0), Augmentation(), seed=0)
    volumes, _ = cache_volumes([one.case for one in annotated[:8]], GRID, tmp_path)

    def loader(*args, **settings):
        return queue_loader(*args, **settings, batch_size=8)

    return LandmarkDataModule(annotated[:6], shapes, annotated[6:8], volumes, sampler, loader)


def test_the_part_of_a_process_is_that_of_the_trainer(datamodule):
    assert datamodule.shard == Shard()
    datamodule.trainer = Mock(pl.Trainer, global_rank=3, world_size=8, num_nodes=2)
    assert datamodule.shard == Shard(3, 8, machines=2)


def test_training_batches_come_from_the_training_cases(datamodule, annotated):
    encode = datamodule.sampler.shape_model.encode
    known = torch.stack([encode(one.landmarks_mm) for one in annotated[:6]])
    batch = next(iter(datamodule.train_dataloader()))
    distances = torch.cdist(batch["true_parameters"], known).amin(dim=1)
    assert distances.max() < 1e-3
    assert batch["patches"].shape == (8, 30, 7, 7)


def test_validation_gives_whole_volumes_with_their_landmarks(datamodule, annotated):
    items = list(datamodule.val_dataloader())
    assert len(items) == 2
    for item, seed in zip(items, (6, 7), strict=True):
        assert torch.equal(item["landmarks_mm"][0], annotated[seed].landmarks_mm)
        phantom = torch.from_numpy(make_phantom(seed, GRID.size, (3.0, 3.0, 3.0)).volume)
        shown = item["volume"][0].flatten().float()
        # Only intensity is rescaled, as the grid is the phantom's own.
        assert torch.corrcoef(torch.stack([shown, phantom.flatten().float()]))[0, 1] > 0.97


@pytest.mark.parametrize(("number", "count"), [(1, 1), (4, 2), (5, 2), (1, 3), (5, 4), (0, 2)])
def test_processes_validate_equally_many_cases_and_each_case_once(annotated, number, count):
    cases = annotated[:number]
    parts = [cases_of(Shard(rank, count), cases) for rank in range(count)]
    assert {len(part) for part in parts} == {math.ceil(number / count)}
    known = [one for part in parts for one in part if torch.isfinite(one.landmarks_mm).all()]
    assert sorted(one.case.name for one in known) == [one.case.name for one in cases]
    others = [one for part in parts for one in part if not torch.isfinite(one.landmarks_mm).any()]
    assert len(known) + len(others) == count * math.ceil(number / count)
