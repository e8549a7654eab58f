"""A small BIDS data set of phantom heads."""

import json
from pathlib import Path

import nibabel as nib

from pin_lightning.data.sources.phantom import make_phantom

# By participant, session and run; a second contrast is there, too.
IMAGES = (
    "sub-01_ses-a_T1w",
    "sub-01_ses-b_acq-fast_T1w",
    "sub-01_ses-b_T1w",
    "sub-02_T1w",
    "sub-02_T2w",
    "sub-03_run-1_T1w",
)
ABOUT = {"Name": "Heads", "BIDSVersion": "1.10.0", "DatasetDOI": "https://doi.org/10.1/heads"}


def path_of(root: Path, name: str, ending: str = ".nii.gz") -> Path:
    """Path of an image, or of a derivative of the same entities."""
    folders = [one for one in name.split("_") if one[:4] in ("sub-", "ses-")]
    return root.joinpath(*folders, "anat", name + ending)


def write_bids(root: Path, names: tuple[str, ...] = IMAGES) -> Path:
    """Write the data set, with a head for each name."""
    root.mkdir(parents=True)
    (root / "dataset_description.json").write_text(json.dumps(ABOUT))
    for seed, name in enumerate(names):
        head = make_phantom(seed, (27, 18, 24), (6.0, 6.0, 6.0))
        path = path_of(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(head.volume, head.affine), path)
    return root
