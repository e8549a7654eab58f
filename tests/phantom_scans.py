"""Small phantom heads as scans, for servers and trainings of seconds."""

import nibabel as nib
import numpy as np

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.sources.phantom import make_phantom

TINY = (
    *("preset=fast", "pose=as_scanned", "trainer.max_steps=4", "trainer.val_check_interval=2"),
    *("trainer.log_every_n_steps=1", "loader.batch_size=2", "data.spacing_mm=5"),
    *("data.split.folds=2", "report.bootstrap.resamples=100"),
)


def write_places_of_a_head(folder, number):
    """Write one head at several places of its volume; the landmarks by name."""
    head, found = make_phantom(3, (32, 21, 28), (5.0, 5.0, 5.0)), {}
    random = np.random.default_rng(0)
    for place in range(number):
        name, moved = f"head {place}", random.integers(-2, 3, 3)
        voxels = np.roll(head.volume, moved, (0, 1, 2)).astype(np.float32)
        voxels += random.normal(0, 0.02 * voxels.std(), voxels.shape)
        nib.save(nib.Nifti1Image(voxels, head.affine), folder / f"{name}.nii.gz")
        shifted = np.array(head.landmarks_world) + moved @ np.array(head.affine)[:3, :3].T
        found[name] = LandmarkSet.of(head.names, shifted)
    return found


def write_heads(folder, number):
    """Write heads into a folder; their landmarks by name."""
    found = {}
    for seed in range(number):
        head, name = make_phantom(seed, (32, 21, 28), (5.0, 5.0, 5.0)), f"head {seed}"
        nib.save(nib.Nifti1Image(head.volume, head.affine), folder / f"{name}.nii.gz")
        found[name] = LandmarkSet.of(head.names, np.array(head.landmarks_world))
    return found
