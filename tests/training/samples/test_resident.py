import logging
import os

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from scipy import stats

from pin_lightning.common.geometry import Grid
from pin_lightning.data.cases import Case
from pin_lightning.data.volume_cache import cache_volumes, load_volume
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.method.pyramid import merge_levels
from pin_lightning.method.sampling import Approach, Scatter
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.training.augmentation.augmentation import Augmentation
from pin_lightning.training.samples import resident
from pin_lightning.training.samples.queue import queue_loader
from pin_lightning.training.samples.resident import (
    GB,
    ResidentLoader,
    map_volumes,
    memory_budget_gb,
    stack_volumes,
)
from pin_lightning.training.samples.sampler import ShapePatchSampler

GRID = Grid((20, 18, 16), 2.0)


@pytest.fixture
def shapes():
    return 4 * torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def volumes(tmp_path):
    """Four volumes of noise."""
    paths = []
    for index in range(4):
        voxels = np.random.default_rng(index).integers(0, 256, GRID.size, np.uint8)
        image = tmp_path / f"{index}.nii"
        nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 2, 2, 1])), image)
        case = Case(str(index), image, None, None, str(index))
        paths.append(cache_volumes([case], GRID, tmp_path / "cache")[0][case.name])
    return paths


def make_sampler(shapes, seed=0, augmentation=Augmentation()):  # noqa: B008
    model = PCAShapeModel(2).fit(shapes, GRID.extent_mm)
    return ShapePatchSampler(model, GRID, 5, "nearest", Approach(0.5), augmentation, seed)


def loader(volumes, shapes, **settings):
    return ResidentLoader(volumes, shapes[:4], make_sampler(shapes), **settings)


def collect(batches, count):
    parts = {"parameters": [], "true_parameters": [], "patches": []}
    for batch in batches:
        for key, values in parts.items():
            values.append(batch[key].float())
        if sum(map(len, parts["parameters"])) >= count:
            break
    return {key: torch.cat(values)[:count] for key, values in parts.items()}


MAPS = {"rotation_sd_degrees": 5.0, "scale_sd": 0.05, "shift_sd": 0.05, "elastic_sd": 0.01}
AUGMENTED = Augmentation.of(**MAPS, flip_probability=0.5, gain_sd=0.1, noise_sd=0.02)
AUGMENTED = AUGMENTED.for_landmarks(["left", "right", "middle"], [["left", "right"]])


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", [Augmentation(), AUGMENTED], ids=["none", "augmented"])
def test_both_loaders_draw_from_the_same_distribution(volumes, shapes, augmentation):
    """Two-sample Kolmogorov-Smirnov tests of what is drawn and what is cut."""
    count = 2000
    samplers = [make_sampler(shapes, seed, augmentation) for seed in (0, 1)]
    resident = ResidentLoader(volumes, shapes[:4], samplers[0], batch_size=50)
    queue = queue_loader(volumes, shapes[:4], samplers[1], batch_size=64)
    drawn = [
        collect(resident, count),
        collect((batch for _ in range(20) for batch in queue), count),
    ]
    for key in ("parameters", "true_parameters"):
        for component in range(2):
            # Rounded: the truth of a volume is the same only to the last digits.
            first, second = (one[key][:, component].numpy().round(3) for one in drawn)
            assert stats.ks_2samp(first, second).pvalue > 1e-3
    moved = [(one["parameters"] - one["true_parameters"]).norm(dim=1).numpy() for one in drawn]
    assert stats.ks_2samp(*moved).pvalue > 1e-3
    greys = [one["patches"].mean(dim=(1, 2, 3)).numpy() for one in drawn]
    assert stats.ks_2samp(*greys).pvalue > 1e-3
    known = samplers[0].shape_model.encode(shapes[:4])
    if augmentation == Augmentation():
        nearest = [torch.cdist(one["true_parameters"], known).argmin(dim=1) for one in drawn]
        assert all((one.bincount(minlength=4) > 400).all() for one in nearest)
    else:
        distances = [torch.cdist(one["true_parameters"], known).amin(dim=1) for one in drawn]
        assert all((one > 1e-3).float().mean() > 0.99 for one in distances)


@pytest.mark.parametrize("augmentation", [Augmentation(), AUGMENTED], ids=["none", "augmented"])
@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_the_samples_that_one_would_draw(volumes, shapes, augmentation, count):
    def batches(shard, size):
        drawing = make_sampler(shapes, augmentation=augmentation)
        made = ResidentLoader(
            volumes, shapes[:4], drawing, batch_size=size, batches_per_epoch=3, shard=shard
        )
        return made.sampler, list(made)

    (alone, whole), *parts = (
        batches(shard, size)
        for shard, size in [(WHOLE, 4 * count), *((Shard(rank, count), 4) for rank in range(count))]
    )
    for index, batch in enumerate(whole):
        for rank, (_, own) in enumerate(parts):
            rows = Shard(rank, count).rows
            for key in ("parameters", "true_parameters"):
                assert torch.equal(own[index][key], batch[key][rows])
            # In a part of a batch matrix products are rounded otherwise: a voxel may be the next.
            same = own[index]["patches"] == batch["patches"][rows]
            assert same.shape == (4, 9, 5, 5)
            assert same.float().mean() > 0.99
    for sampler, _ in parts:  # in step, for the batches that follow
        assert torch.equal(sampler.generator.get_state(), alone.generator.get_state())


def test_volumes_that_do_not_fit_are_mapped_from_a_file(volumes, shapes):
    held = stack_volumes(volumes, GRID.size, turned=False)
    assert not list(volumes[0].parent.glob("stack_*"))
    mapped = map_volumes(volumes, GRID.size)
    assert torch.equal(mapped.buffer, held.buffer)
    (file,) = volumes[0].parent.glob("stack_*.u8")
    assert file.stat().st_size == held.buffer.numel()
    file.write_bytes(bytes(held.buffer.numel()))  # used again, not made anew
    assert map_volumes(volumes, GRID.size).buffer.max() == 0
    file.write_bytes(b"cut off")  # made anew
    assert torch.equal(map_volumes(volumes, GRID.size).buffer, held.buffer)


def test_a_tenth_of_the_machine_or_half_of_the_graphics_card(monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10**7}.get)
    assert memory_budget_gb(torch.device("cpu")) == pytest.approx(4.096)
    assert memory_budget_gb(torch.device("cpu"), processes=4) == pytest.approx(1.024)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6e9, 8e9))
    assert memory_budget_gb(torch.device("cuda")) == 3.0


def test_the_processes_of_a_machine_share_its_tenth(volumes, shapes, monkeypatch):
    asked = []
    monkeypatch.setattr(resident, "memory_budget_gb", lambda *given: asked.append(given) or 1.0)
    loader(volumes, shapes, shard=Shard(3, 8, machines=2))
    assert asked == [(torch.device("cpu"), 4)]


def _with_memory_of_its_own(rank, folder, volumes, shapes):
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    resident.memory_budget_gb = lambda *_: float(rank)
    made = loader(volumes, shapes, batch_size=8, shard=Shard(rank, 2, machines=2))
    torch.save((made.times_it_fits, len(next(iter(made))["patches"])), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_processes_with_different_memory_lay_the_volumes_out_alike(volumes, shapes, tmp_path):
    given = (tmp_path, volumes, shapes)
    started = mp.start_processes(
        _with_memory_of_its_own, given, nprocs=2, join=False, start_method="fork"
    )
    try:
        for _ in range(2):  # each ends when one is done
            started.join(20)
        assert not started.sentinels, "one waits for the other"
    finally:
        for process in started.processes:
            process.kill()
    assert [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)] == [(0, 8), (0, 8)]


@pytest.mark.parametrize("name", ["batch_size", "batches_per_epoch"])
def test_refuses(volumes, shapes, name):
    with pytest.raises(ValueError, match=rf"loader\.{name}=0"):
        loader(volumes, shapes, **{name: 0})


@pytest.mark.parametrize(("times", "layouts"), [(2.5, 2), (1.5, 1), (0.5, 0)])
def test_volumes_of_every_spacing_count_and_are_laid_out_alike(volumes, shapes, times, layouts):
    model = PCAShapeModel(2).fit(shapes, GRID.extent_mm)
    settings = (model, GRID, 5, "nearest", Approach(0.5), Augmentation(), 0)
    sizes = [(22, 20, 18), (9, 8, 8)]  # with the border
    needed_gb = len(volumes) * sum(x * y * z for x, y, z in sizes) / GB

    def first(memory_gb):
        drawing = ShapePatchSampler(*settings, patch_spacings=(1, 3))
        made = ResidentLoader(volumes, shapes[:4], drawing, batch_size=8, memory_gb=memory_gb)
        return made, next(iter(made))

    (_, batch), (limited, same) = first(1.0), first(times * needed_gb)
    assert batch["patches"].shape == (8, 18, 5, 5)
    assert all(torch.equal(batch[key], same[key]) for key in batch)
    assert len(list(volumes[0].parent.glob("stack_*"))) == 2 * (layouts == 0)
    for level, size in zip(limited.pyramid.levels, sizes, strict=True):
        assert level.shape == (4, *size)
        assert (level.turned is not None) == (layouts == 2)


def test_both_loaders_cut_the_same_patches_of_every_spacing(volumes, shapes):
    model = PCAShapeModel(2).fit(shapes, GRID.extent_mm)
    settings = (model, GRID, 5, "nearest", Scatter(), Augmentation())
    samplers = [ShapePatchSampler(*settings, seed, patch_spacings=(1, 3)) for seed in (0, 1)]
    for batch in (
        next(iter(ResidentLoader(volumes, shapes[:4], samplers[0], batch_size=8))),
        next(iter(queue_loader(volumes, shapes[:4], samplers[1], batch_size=8))),
    ):
        assert batch["scale_mm"].shape == (8, 1)
        for patches, parameters, truth in zip(
            batch["patches"], batch["parameters"], batch["true_parameters"], strict=True
        ):
            which = int((model.encode(shapes[:4]) - truth).norm(dim=1).argmin())
            pyramid = samplers[0].pyramid(load_volume(volumes[which]).intensity[None])
            one = torch.zeros(1, dtype=torch.long)
            levels = samplers[0].cut(pyramid, one, parameters[None])
            assert torch.equal(merge_levels(levels)[0], patches)


@pytest.mark.parametrize("given", range(6))
def test_goes_on_anywhere_as_if_it_had_not_been_cut(volumes, shapes, given):
    def made():
        return loader(volumes, shapes, batch_size=2, batches_per_epoch=3)

    expected = [batch["patches"] for one in 2 * [made()] for batch in one]
    cut, again = made(), made()
    batches = (batch for one in 2 * [cut] for batch in one)
    for _ in range(given):
        next(batches)
    again.load_state_dict(cut.state_dict())
    rest = [batch["patches"] for one in 3 * [again] for batch in one][: 6 - given]
    assert torch.equal(torch.stack(expected[given:]), torch.stack(rest))


@pytest.mark.parametrize("counts", [(1, 2), (2, 1), (2, 3)])
def test_goes_on_with_another_number_of_processes_where_it_was_cut(volumes, shapes, counts):
    """The batches of all processes together are the same, for the same samples in a step."""

    def made(rank, count):
        size = {"batch_size": 12 // count, "batches_per_epoch": 3, "shard": Shard(rank, count)}
        return loader(volumes, shapes, **size)

    whole = [batch["parameters"] for batch in made(0, 1)]
    before, after = counts
    cut = made(before - 1, before)
    next(iter(cut))
    for rank in range(after):
        again = made(rank, after)
        again.load_state_dict(cut.state_dict())
        own = [batch["parameters"] for batch in again]
        expected = [batch[Shard(rank, after).rows] for batch in whole[1:]]
        assert torch.equal(torch.stack(own), torch.stack(expected))


SHORTER = {"generator": torch.zeros(16, dtype=torch.uint8)}  # as of a graphics card
OF_THE_QUEUE = {"offsets_mm": None}


@pytest.mark.parametrize("saved", [SHORTER, OF_THE_QUEUE], ids=["device", "loader"])
def test_what_cannot_go_on_with_the_same_draws_goes_on_with_others(volumes, shapes, saved, caplog):
    caplog.set_level(logging.INFO)
    state = {"epoch": 1, "given": 1, **saved}
    drawn = []
    for given in (1, 1, 2, 0):
        again = loader(volumes, shapes, batch_size=8, batches_per_epoch=3)
        if given:
            again.load_state_dict({**state, "given": given})
        drawn.append([batch["parameters"] for batch in again])
    first, same, later, new = drawn
    assert [len(one) for one in drawn] == [2, 2, 1, 3]
    assert torch.equal(torch.stack(first), torch.stack(same))
    assert not torch.equal(first[0], later[0])
    assert not any(torch.equal(first[0], one) for one in new)
    assert caplog.text.count("samples were drawn otherwise before") == 3


def test_a_stack_that_no_training_has_used_for_a_month_is_removed(volumes):
    old, used = (map_volumes(some, GRID.size) for some in (volumes[:2], volumes))
    cache, a_month = volumes[0].parent, 31 * 24 * 3600
    for file in cache.glob("stack_*.u8"):
        os.utime(file, (0, file.stat().st_mtime - a_month))
    map_volumes(volumes, GRID.size)
    cache_volumes([], GRID, cache)
    (file,) = cache.glob("stack_*.u8")
    assert file.stat().st_size == used.buffer.numel() > old.buffer.numel()
    assert all(one.is_file() for one in volumes)


def test_a_volume_that_was_removed_since_is_named(volumes, shapes):
    volumes[1].unlink()
    with pytest.raises(ValueError, match=r"1_.*\.nii: this working volume was removed or damaged"):
        next(iter(loader(volumes, shapes)))
