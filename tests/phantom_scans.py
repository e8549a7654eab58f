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


def write_heads(folder, number):
    """Write heads into a folder; their landmarks by name."""
    found = {}
    for seed in range(number):
        head, name = make_phantom(seed, (32, 21, 28), (5.0, 5.0, 5.0)), f"head {seed}"
        nib.save(nib.Nifti1Image(head.volume, head.affine), folder / f"{name}.nii.gz")
        found[name] = LandmarkSet.of(head.names, np.array(head.landmarks_world))
    return found
