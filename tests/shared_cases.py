"""Small data sets with faults that are reported in public, where they are at hand."""

import os
import shutil
from pathlib import Path

import pytest

from conftest import REPOSITORY

SHARED = Path(os.environ.get("PIN_CASES", REPOSITORY.parent / "shared" / "cases"))


def shared_case(name):
    """Folder of a case; the test is skipped where there is none."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set PIN_CASES to the folder of these data sets")
    return folder


def data_set(name, root):
    """Copy of a case's landmarks beside the images of the same skulls; returns `root`."""
    shutil.copytree(shared_case(name) / "landmarks", root / "landmarks")
    (root / "images").mkdir()
    for path in (root / "landmarks").iterdir():
        image = shared_case("base") / "images" / f"{path.name.split('.')[0]}.nii.gz"
        if image.is_file():
            shutil.copy(image, root / "images")
    for path in (*root.rglob("*"), root):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root
