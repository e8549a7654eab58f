import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio

from pin_lightning.common.geometry import Grid
from pin_lightning.data.volume_cache import load_volume
from pin_lightning.data.volume_facts import VolumeFacts, write_facts
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.patches import add_border, cut_patches
from pin_lightning.method.sampling import Approach, OnTrajectories
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.samples.queue import CPU, QueueSampler, queue_loader
from pin_lightning.training.samples.sampler import ShapePatchSampler

GRID = Grid((20, 18, 16), 2.0)


@pytest.fixture
def shape_model():
    shapes = 4 * torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0))
    return PCAShapeModel(2).fit(shapes, GRID.extent_mm)


def sampler(shape_model, seed=0, approach=0.0):
    settings = (GRID, 5, "nearest", Approach(approach), Augmentation(), seed)
    return ShapePatchSampler(shape_model, *settings)


@pytest.fixture
def volumes(tmp_path):
    paths = []
    for index in range(4):  # each volume is marked by its own grey level
        image = nib.Nifti1Image(np.full(GRID.size, 50 * (index + 1), np.uint8), np.eye(4))
        write_facts(image.header, VolumeFacts(low=0.0, high=1.0, digest="0" * 16))
        paths.append(tmp_path / f"{index}.nii")
        nib.save(image, paths[-1])
    return paths


def test_a_sample_holds_the_patches_of_its_parameters(shape_model):
    volume = torch.randint(0, 255, (1, *GRID.size), dtype=torch.uint8)
    truth = torch.tensor([1.0, 2.0])
    landmarks = shape_model.decode(truth)
    subject = tio.Subject(image=tio.ScalarImage(tensor=volume), landmarks_mm=landmarks, place=0)
    endless = QueueSampler(sampler(shape_model))(subject)
    samples = [next(endless) for _ in range(40)]  # more than one chunk
    assert len({tuple(sample["parameters"].tolist()) for sample in samples}) == 40
    for sample in samples:
        positions = GRID.mm_to_ijk(shape_model.decode(sample["parameters"]))[None]
        expected = cut_patches(add_border(volume), torch.tensor([0]), positions, 5)[0]
        assert torch.equal(sample["patches"], expected)
        torch.testing.assert_close(sample["true_parameters"], truth, atol=1e-5, rtol=0)
        assert (sample["parameters"].abs() <= 3 * shape_model.sd_).all()


def test_samples_on_the_way_to_the_truth(shape_model):
    truth = torch.tensor([3.0, -2.0])
    ways = {}
    for approach in (0.0, 0.25, 1.0):
        drawing = sampler(shape_model, seed=4, approach=approach)
        uniform = shape_model.sample(4000, torch.Generator().manual_seed(4))
        way = (drawing.draw(truth.expand(4000, -1)).parameters - truth) / (uniform - truth)
        torch.testing.assert_close(way[:, 0], way[:, 1], atol=1e-3, rtol=1e-3)  # on the line
        ways[approach] = way[:, 0]
    torch.testing.assert_close(ways[0.0], torch.ones(4000))
    assert (ways[0.25] < 0.999).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert ways[1.0].mean().item() == pytest.approx(0.5, abs=0.03)
    assert ways[1.0].min() >= 0


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_takes_its_samples_from_every_volume(shape_model, volumes, workers):
    truth = torch.arange(8.0).view(4, 2)
    landmarks = shape_model.decode(truth)
    loader = queue_loader(volumes, landmarks, sampler(shape_model), CPU, 8, 12, 6, workers)
    for _ in range(2):  # the queue's inner loader is rebuilt each pass
        batches = list(loader)
        assert len(batches) == len(loader) == 3
        seen = torch.cat([batch["true_parameters"] for batch in batches])
        assert all(((seen - row).norm(dim=1) < 1e-4).sum() == 6 for row in truth)
        for batch in batches:  # patches are those of the same volume
            level = batch["patches"].amax(dim=(1, 2, 3))
            expected = 2.0 * (level // 50 - 1)
            torch.testing.assert_close(batch["true_parameters"][:, 0], expected, atol=1e-4, rtol=0)
    assert batches[0]["patches"].shape == (8, 9, 5, 5)
    assert batches[0]["patches"].dtype == torch.uint8


def test_refuses_a_queue_that_cannot_fill_a_batch(shape_model, volumes):
    truth = torch.zeros(4, 3, 3)
    with pytest.raises(ValueError, match="queue_length=4"):
        queue_loader(volumes, truth, sampler(shape_model), CPU, 8, 4, 6)
    with pytest.raises(ValueError, match="samples_per_volume=1"):
        queue_loader(volumes, truth, sampler(shape_model), CPU, 8, 12, 1)


def make_loader(shape_model, volumes, workers=0, shard=WHOLE, sampling=None):
    """Twelve samples wait in memory, those of two volumes; a pass has three batches of eight."""
    landmarks = shape_model.decode(torch.arange(8.0).view(4, 2))
    drawing = sampler(shape_model)
    drawing.sampling = sampling or drawing.sampling
    return queue_loader(volumes, landmarks, drawing, CPU, 8, 13, 6, workers, shard)


def same(batch, other):
    return batch.keys() == other.keys() and all(
        torch.equal(batch[key], other[key]) for key in batch
    )


@pytest.mark.parametrize(
    ("given", "workers"),
    [*((given, 0) for given in range(8)), pytest.param(4, 1, marks=pytest.mark.slow)],
)
def test_goes_on_anywhere_as_if_it_had_not_been_cut(shape_model, volumes, given, workers):
    whole, cut = (make_loader(shape_model, volumes) for _ in range(2))
    expected = [batch for _ in range(4) for batch in whole]
    batches = (batch for _ in range(4) for batch in cut)
    for _ in range(given):
        next(batches)
    again = make_loader(shape_model, volumes, workers)
    again.load_state_dict(cut.state_dict())
    rest = [batch for _ in range(4) for batch in again][: 12 - given]
    assert len(rest) == 12 - given
    assert all(same(*pair) for pair in zip(expected[given:], rest, strict=True))


def test_a_pass_that_more_processes_share_now_may_be_over(shape_model, volumes):
    alone, shared = (
        queue_loader(volumes, torch.zeros(4, 3, 3), sampler(shape_model), CPU, 8, 16, 8, 0, shard)
        for shard in (WHOLE, Shard(0, 2))
    )
    batches = iter(alone)
    for _ in range(3):  # of four; a process of two has two
        next(batches)
    shared.load_state_dict(alone.state_dict())
    assert [len(list(shared)) for _ in range(2)] == [0, 2]


def test_no_two_passes_are_alike_and_no_batch_comes_twice(shape_model, volumes):
    loader = make_loader(shape_model, volumes)
    batches = [batch["parameters"] for _ in range(3) for batch in loader]
    rows = torch.cat(batches)
    assert len(rows.unique(dim=0)) == len(rows) == 9 * 8


def test_volumes_of_samples_that_were_given_are_not_read_again(shape_model, volumes, monkeypatch):
    read = []

    def noted(path):
        read.append(path)
        return load_volume(path)

    monkeypatch.setattr("pin_lightning.training.samples.passes.load_volume", noted)
    loader = make_loader(shape_model, volumes)
    loader.load_state_dict({"epoch": 5, "given": 2, "offsets_mm": None})
    assert len(list(loader)) == 1
    assert len(read) == 2  # of four: 12 of the 16 samples were those of the first two
    loader.load_state_dict({"epoch": 5, "given": 3, "generator": None})  # of loader=resident
    assert list(loader) == []
    assert len(read) == 2


def test_torchs_own_generator_is_left_alone(shape_model, volumes):
    before = torch.get_rng_state()
    list(make_loader(shape_model, volumes))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_in_memory_keep_the_trajectories_that_they_were_drawn_with(shape_model, volumes):
    def trajectories(offset_mm):
        sampling = OnTrajectories(Approach(0.5), 1.0)
        sampling.offsets_mm = torch.full((5, 3, 3), offset_mm)
        return sampling

    whole = make_loader(shape_model, volumes, sampling=trajectories(1.0))
    batches = iter(whole)
    next(batches)
    whole.queue.draws.sampler.sampling.offsets_mm = torch.full((5, 3, 3), 3.0)
    cut = make_loader(shape_model, volumes, sampling=trajectories(3.0))
    cut.load_state_dict(whole.state_dict())
    # Four of the samples were drawn before the model was followed again.
    assert all(same(*pair) for pair in zip(batches, cut, strict=True))
    assert torch.equal(cut.queue.draws.sampler.sampling.offsets_mm, torch.full((5, 3, 3), 3.0))


def test_all_processes_have_as_many_batches_and_draw_their_own(shape_model, volumes):
    loaders = [make_loader(shape_model, volumes[:3], shard=Shard(rank, 2)) for rank in range(2)]
    drawn = [torch.cat([batch["parameters"] for batch in one]) for one in loaders]
    assert [len(one) for one in loaders] == [1, 1]
    assert len(torch.cat(drawn).unique(dim=0)) == 16


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_volume_that_was_damaged_since_is_named_in_one_line(shape_model, volumes, workers):
    loader = make_loader(shape_model, volumes, workers)
    volumes[2].write_bytes(volumes[2].read_bytes()[:500])
    with pytest.raises(ValueError, match=r"2\.nii: this working volume was removed or") as refused:
        list(loader)
    assert "\n" not in str(refused.value)
