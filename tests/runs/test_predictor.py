import threading
import weakref
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from pin_lightning.common.alignment import Pose
from pin_lightning.common.geometry import Grid
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import CompactNetwork
from pin_lightning.method.pose.finder import FoundPose
from pin_lightning.method.shape_models import PCAShapeModel
from pin_lightning.method.update_rules import RuleB
from pin_lightning.runs import predictor as predictor_module
from pin_lightning.runs.locator import Located
from pin_lightning.runs.predictor import Predictor
from pin_lightning.runs.volume_file import LocalFile

GRID = Grid((14, 13, 12), 2.0)
LONG = 20  # seconds after which a thread that waits counts as stuck


@pytest.fixture
def predictor():
    """An untrained network: where it goes depends on the image all the same."""
    torch.manual_seed(0)
    shapes = 4 * torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0))
    model = PCAShapeModel(2).fit(shapes, GRID.extent_mm)
    network = CompactNetwork(9, 2, 5, widths=(4, 4), hidden=(8,), dropout=0.0)
    network.displacement_head[-1].weight.data.mul_(30)
    pin = Localizer(network, model, RuleB(4), GRID, 5, num_starts=3)
    made = Predictor(pin, ("a", "b", "c"), "cpu")
    made.localizer.network_dtype = torch.float32
    return made


@pytest.fixture
def paths(tmp_path):
    """Seven volumes of noise, each with its own origin."""
    made = []
    for index in range(7):
        voxels = np.random.default_rng(index).integers(0, 256, GRID.size, np.uint8)
        affine = np.diag([2.0, 2, 2, 1])
        affine[:3, 3] = 10 * index
        made.append(tmp_path / f"{index}.nii.gz")
        nib.save(nib.Nifti1Image(voxels, affine), made[-1])
    return made


@pytest.mark.parametrize(("batch_size", "readers"), [(1, 1), (3, 1), (4, 2), (16, 3)])
def test_many_files_are_predicted_as_one_at_a_time(predictor, paths, batch_size, readers):
    results = list(predictor.predict_many(paths, batch_size, readers))
    assert [path for path, _ in results] == paths
    ends = []
    for path, prediction in results:
        alone = predictor.predict(path)
        np.testing.assert_allclose(prediction.positions_world, alone.positions_world, atol=1e-3)
        np.testing.assert_allclose(prediction.spread_mm, alone.spread_mm, atol=1e-3)
        assert prediction.trajectory.landmarks_mm.shape == alone.trajectory.landmarks_mm.shape
        assert prediction.seconds > 0
        ends.append(prediction.positions_world - 10 * paths.index(path))
    assert np.ptp(np.stack(ends), axis=0).max() > 0.1  # the images differ, so do the predictions


def test_a_bad_file_is_reported_in_its_place_and_takes_no_place_in_a_batch(predictor, paths):
    damaged = paths[0].with_name("damaged.nii.gz")
    damaged.write_bytes(b"no image")
    sizes = []
    predictor.localizer.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    order = [damaged, *paths[:2], damaged, paths[2], damaged]
    results = dict(enumerate(predictor.predict_many(order, batch_size=3)))
    assert [path for path, _ in results.values()] == order
    for place, path in enumerate(order):
        assert isinstance(results[place][1], ValueError) == (path == damaged)
    assert "damaged.nii.gz: cannot be read as an image" in str(results[0][1])
    assert sizes == [3]


def test_an_error_of_the_program_itself_is_named_with_its_volume(
    predictor, paths, monkeypatch, caplog
):
    """Its traceback, for a report, is in the log of verbose=true."""

    def defect(*_):
        raise RuntimeError("defect")

    monkeypatch.setattr(predictor_module, "resample", defect)
    with caplog.at_level("DEBUG"):
        results = list(predictor.predict_many(paths[:2]))
    assert [str(one) for _, one in results] == [f"{p}: RuntimeError: defect" for p in paths[:2]]
    assert "in defect" in caplog.text


def test_the_next_files_are_read_while_these_are_localised(predictor, paths, monkeypatch):
    """The localizer waits until a file of the next batch is being read."""
    began = {path: threading.Event() for path in paths}
    read_image = predictor_module.read_image

    def announced(path, *rule):
        began[path].set()
        return read_image(path, *rule)

    monkeypatch.setattr(predictor_module, "read_image", announced)
    overlapped = []
    predictor.localizer.register_forward_pre_hook(
        lambda *_: overlapped.append(began[paths[min(2 * len(overlapped) + 2, 6)]].wait(LONG))
    )
    assert len(list(predictor.predict_many(paths, batch_size=2, readers=1))) == 7
    assert overlapped == [True] * 4


@pytest.mark.parametrize("with_images", [False, True])
def test_memory_does_not_grow_with_the_number_of_files(predictor, paths, monkeypatch, with_images):
    """At most two batches of working volumes live at a time, from an endless list of files."""
    resample, living, most = predictor_module.resample, weakref.WeakSet(), []
    images, most_images = weakref.WeakSet(), []
    lock = threading.Lock()

    class Counted(predictor_module.WorkingVolume):
        pass

    def counted(image, grid):
        volume = Counted(**vars(resample(image, grid)))
        with lock:
            living.add(volume.intensity)
            images.add(image)
            most.append(len(living))
            most_images.append(len(images))
        return volume

    monkeypatch.setattr(predictor_module, "resample", counted)
    endless = (LocalFile(paths[index % len(paths)]) for index in count())
    with closing(predictor.localise_many(endless, 2, 2, with_images)) as results:
        for _, one in islice(results, 30):
            assert (one.image is not None) == with_images
            del one
    assert max(most) <= 2 * 2 + 1  # and one that is being handed over
    assert max(most_images) <= (2 * 2 + 1 if with_images else 2)  # else those being read
    endless = (paths[index % len(paths)] for index in count())
    with closing(predictor.predict_many(endless, batch_size=2, readers=2)) as predictions:
        assert len(list(islice(predictions, 30))) == 30
    assert max(most) <= 2 * 2 + 1


def test_closing_early_ends_the_readers(predictor, paths, monkeypatch):
    read = []
    read_image = predictor_module.read_image
    counted = lambda path, *rule: read.append(path) or read_image(path, *rule)  # noqa: E731
    monkeypatch.setattr(predictor_module, "read_image", counted)
    with closing(predictor.predict_many(paths * 20, batch_size=2, readers=2)) as results:
        next(results)
    assert len(read) <= 6
    assert not [one for one in threading.enumerate() if one.name.startswith("reader")]


@pytest.mark.parametrize("setting", ["batch_size", "readers"])
@pytest.mark.parametrize("value", [0, -1, True])
def test_refuses_what_is_no_count(predictor, paths, setting, value):
    with pytest.raises(ValueError, match=f"{setting}={value}: give a whole number"):
        predictor.predict_many(paths, **{setting: value})


def test_no_files_give_nothing(predictor):
    assert list(predictor.predict_many([])) == []


def test_starts_that_end_farther_apart_than_in_training_are_named(predictor, paths):
    apart_mm = float(predictor.predict(paths[0]).trajectory.apart_mm)
    for usual_mm, settled in ((apart_mm, True), (apart_mm / 11, False), (None, True)):
        predictor.apart_mm = usual_mm
        assert (predictor.predict(paths[0]).remarks == ()) is settled
    predictor.apart_mm = apart_mm / 11
    (said,) = predictor.predict(paths[0]).remarks
    assert said.startswith(f"starts disagree: those of most landmarks end {apart_mm:.2g} mm apart")
    found = FoundPose(Pose(np.eye(3), np.zeros(3)), -9.0, 0.0)
    located = Located(np.diag([2.0, 2, 2, 1]), found, False, 0.1)
    predictor.locator = SimpleNamespace(locate=lambda image: located)
    assert predictor.predict(paths[0]).pose.uncertain
    predictor.apart_mm = apart_mm
    assert not predictor.predict(paths[0]).pose.uncertain


def test_a_landmark_that_left_the_volume_is_marked(predictor, paths, monkeypatch):
    before = predictor.predict(paths[0]).outside
    localise = predictor.localizer.forward

    def astray(volumes, starts=None):
        found = localise(volumes, starts)
        positions = found.prediction_mm.clone()
        positions[:, 0, 1], positions[:, 1] = 1e4, float("nan")
        return replace(found, prediction_mm=positions)

    monkeypatch.setattr(predictor.localizer, "forward", astray)
    assert predictor.predict(paths[0]).outside.tolist() == [True, True, *before[2:]]
