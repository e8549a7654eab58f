import re

import nibabel as nib
import numpy as np
import pytest
from page_runs import HOSTILE

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages.review_page import Review
from pin_lightning.runs.doubts import Reviewed

GRID = Grid((12, 10, 8), 2.0)


@pytest.fixture
def images(tmp_path):
    """Two volumes whose centre is the origin."""
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-11, -9, -7]
    paths = [tmp_path / "images" / f"{name}.nii.gz" for name in "ab"]
    paths[0].parent.mkdir()
    for seed, path in enumerate(paths):
        voxels = np.random.default_rng(seed).random(GRID.size).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, affine), path)
    return paths


def reviewed(name, path, spread):
    positions = np.array([[0.0, 0, 0], [3, 2, 1]])
    outside = np.zeros(len(spread), dtype=bool)
    return Reviewed(name, path, positions, np.array(spread), None, outside)


def page(review, tmp_path, most=50):
    return review.write(tmp_path, GRID, most, "run").read_text(encoding="utf-8")


def review_of(images):
    review = Review(("tip", HOSTILE), None)
    spreads = ([1.0, 1.0], [1.0, 9.0], [1.0, 1.0])
    for name, path, spread in zip("abc", [*images, images[0]], spreads, strict=True):
        review.volumes.append(reviewed(name, path, spread))
    return review


def test_the_most_doubtful_come_first_and_only_so_many(images, tmp_path):
    text = page(review_of(images), tmp_path, most=2)
    assert re.findall(r"<h2>(\w)</h2>", text) == ["b", "a"]
    assert text.count("data:image/png") == 2 * 3
    assert "1 of 6 landmarks in 1 of 3 volumes is flagged" in text
    assert "The 2 most doubtful are shown" in text
    assert "With so few volumes to compare" in text
    assert text.count('class="mark flagged"') == 3
    assert "<rect" in text
    assert HOSTILE not in text


def test_what_could_not_be_read_is_on_top(images, tmp_path):
    review = review_of(images)
    review.add_failed("broken", tmp_path / "broken.nii", f"{tmp_path}/broken.nii: is no image")
    text = page(review, tmp_path)
    assert text.index("Could not be predicted") < text.index("<h2>b</h2>")
    assert "broken.nii: is no image" in text
    assert str(tmp_path) not in text


def test_an_image_that_is_gone_by_now_has_numbers_only(images, tmp_path):
    review = review_of(images)
    images[1].unlink()
    text = page(review, tmp_path)
    assert "No pictures: b.nii.gz" in text
    assert text.count("data:image/png") == 2 * 3


def test_nothing_predicted(tmp_path):
    assert "No volume was predicted" in page(Review(("tip",), None), tmp_path)
