import nibabel as nib
import numpy as np
import pytest
import torch

from pin_lightning.augmentation import AffineAugmentation
from pin_lightning.cases import Case, Split, find_cases
from pin_lightning.data.datamodule import LandmarkDataModule, annotate
from pin_lightning.data.phantom import make_phantom
from pin_lightning.data.phantom_anatomy import LANDMARK_NAMES, draw_head, landmarks_in_head
from pin_lightning.data.phantom_anatomy import to_volume as head_to_volume
from pin_lightning.data.queue import queue_loader
from pin_lightning.data.sampler import ShapePatchSampler
from pin_lightning.geometry import Grid
from pin_lightning.landmark_files import write_markups
from pin_lightning.landmarks import LandmarkSet
from pin_lightning.preprocessing import preprocess
from pin_lightning.shape_models import PCAShapeModel

GRID = Grid((54, 35, 47), 3.0)


@pytest.fixture
def annotated(phantom_root):
    return [annotate(case, LANDMARK_NAMES, GRID) for case in find_cases(phantom_root)]


@pytest.fixture
def datamodule(annotated, tmp_path):
    names = [one.case.name for one in annotated]
    split = Split(tuple(names[:6]), tuple(names[6:8]), tuple(names[8:]))
    shapes = torch.stack([one.landmarks_mm for one in annotated[:6]])
    model = PCAShapeModel().fit(shapes, GRID.extent_mm)
    sampler = ShapePatchSampler(model, GRID, 7, "nearest", 0.0, AffineAugmentation(), seed=0)
    return LandmarkDataModule(
        annotated, split, GRID, tmp_path, sampler, lambda *args: queue_loader(*args, batch_size=8)
    )


def test_landmarks_are_in_mm_from_the_centre_of_the_volume(annotated):
    """The phantom knows its positions from the volume's centre without any file or affine."""
    for seed, one in enumerate(annotated):
        head = draw_head(np.random.default_rng([seed, 0]))
        expected = head_to_volume(head, landmarks_in_head(head))
        np.testing.assert_allclose(one.landmarks_mm, expected, atol=1e-3)


def test_a_chosen_order_of_landmarks_is_kept(phantom_root):
    case = find_cases(phantom_root)[0]
    both = annotate(case, LANDMARK_NAMES, GRID).landmarks_mm
    some = annotate(case, ("CSP", "frontHead"), GRID).landmarks_mm
    assert torch.equal(some, both[[9, 1]])


def test_a_case_without_landmarks_is_named(phantom_root):
    image = find_cases(phantom_root)[0].image
    with pytest.raises(ValueError, match=r"head_000\.nii\.gz"):
        annotate(Case("x", image, None), LANDMARK_NAMES, GRID)


def test_working_volumes_are_made_once_and_only_where_needed(datamodule, tmp_path):
    datamodule.prepare_data()
    made = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(made) == 8  # not the test cases
    datamodule.setup()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == made


def test_training_batches_come_from_the_training_cases(datamodule, annotated):
    datamodule.setup()
    encode = datamodule.sampler.shape_model.encode
    known = torch.stack([encode(one.landmarks_mm) for one in annotated[:6]])
    batch = next(iter(datamodule.train_dataloader()))
    distances = torch.cdist(batch["true_parameters"], known).amin(dim=1)
    assert distances.max() < 1e-3
    assert batch["patches"].shape == (8, 30, 7, 7)


def test_validation_gives_whole_volumes_with_their_landmarks(datamodule, annotated):
    datamodule.setup()
    items = list(datamodule.val_dataloader())
    assert len(items) == 2
    for item, seed in zip(items, (6, 7), strict=True):
        assert torch.equal(item["landmarks_mm"][0], annotated[seed].landmarks_mm)
        phantom = torch.from_numpy(make_phantom(seed, GRID.size, (3.0, 3.0, 3.0)).volume)
        shown = item["volume"][0].flatten().float()
        # Only intensity is rescaled, as the grid is the phantom's own.
        assert torch.corrcoef(torch.stack([shown, phantom.flatten().float()]))[0, 1] > 0.97


@pytest.mark.parametrize("spacing_mm", [1.5, 2.2])
@pytest.mark.parametrize("oblique_degrees", [0.0, 25.0])
def test_landmarks_stay_on_the_skull_through_file_resampling_and_cropping(
    tmp_path, spacing_mm, oblique_degrees
):
    """Bone is where the landmarks say, in the working volume of a phantom that went to disk."""
    grid = Grid((90, 60, 80), spacing_mm)
    contrast = []
    for seed in range(4):
        phantom = make_phantom(seed, oblique_degrees=oblique_degrees)
        image = tmp_path / f"{seed}.nii.gz"
        nib.save(nib.Nifti1Image(phantom.volume, phantom.affine), image)
        markups = tmp_path / f"{seed}.mrk.json"
        write_markups(markups, LandmarkSet.of(phantom.names, phantom.landmarks_world))
        skull = annotate(Case(str(seed), image, markups), LANDMARK_NAMES[1:5], grid)
        volume = preprocess(image, grid).intensity.float()
        for i, j, k in grid.mm_to_ijk(skull.landmarks_mm).round().int().tolist():
            around = volume[i - 5 : i + 6, j - 5 : j + 6, k - 5 : k + 6]
            contrast.append(around[4:7, 4:7, 4:7].max() - around.median())
    assert (torch.stack(contrast) > 40).float().mean() > 0.9
