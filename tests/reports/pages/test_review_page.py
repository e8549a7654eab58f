import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from page_runs import HOSTILE

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages.review_page import Review
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.doubts import Reviewed, ReviewedPose

GRID = Grid((12, 10, 8), 2.0)


def slices(name):
    """Slices of a volume of noise."""
    voxels = np.random.default_rng(ord(name)).integers(0, 255, GRID.size, np.uint8)
    return MiddleSlices.of(voxels, np.array([[5.5, 4.5, 3.5], [7.0, 5.5, 4.0]]))


def reviewed(name, spread):
    positions = np.array([[0.0, 0, 0], [3, 2, 1]])
    outside = np.zeros(len(spread), dtype=bool)
    return Reviewed(name, Path(f"{name}.nii"), positions, np.array(spread), None, outside)


def page(review, tmp_path, most=50):
    return review.write(tmp_path, GRID, most, "run", slices).read_text(encoding="utf-8")


def review_of():
    review = Review(("tip", HOSTILE), None)
    spreads = ([1.0, 1.0], [1.0, 9.0], [1.0, 1.0])
    for name, spread in zip("abc", spreads, strict=True):
        review.volumes.append(reviewed(name, spread))
    return review


def test_the_most_doubtful_come_first_and_only_so_many(tmp_path):
    text = page(review_of(), tmp_path, most=2)
    assert re.findall(r"<h2>(\w)</h2>", text) == ["b", "a"]
    assert text.count("data:image/png") == 2 * 3
    assert "1 of 6 landmarks in 1 of 3 volumes is flagged" in text
    assert "The 2 most doubtful are shown" in text
    assert "With so few volumes to compare" in text
    assert text.count('class="mark flagged"') == 3
    assert "<rect" in text
    assert HOSTILE not in text


def test_what_could_not_be_read_is_on_top(tmp_path):
    review = review_of()
    review.add_failed("broken", tmp_path / "broken.nii", f"{tmp_path}/broken.nii: is no image")
    text = page(review, tmp_path)
    assert text.index("Could not be predicted") < text.index("<h2>b</h2>")
    assert "broken.nii: is no image" in text
    assert str(tmp_path) not in text


def test_volumes_unlike_the_training_are_named_on_top(tmp_path):
    review = review_of()
    assert "Unlike the training" not in page(review, tmp_path)
    review.volumes[2] = replace(review.volumes[2], remarks=("contrast: inverted", f"a {HOSTILE}"))
    text = page(review, tmp_path)
    assert "<strong>c</strong> contrast: inverted; a " in text
    assert text.index("Unlike the training volumes") < text.index("<h2>b</h2>")
    assert HOSTILE not in text


def test_nothing_predicted(tmp_path):
    assert "No volume was predicted" in page(Review(("tip",), None), tmp_path)


def test_an_uncertain_pose_comes_first_with_a_badge(tmp_path):
    review = review_of()
    poses = (
        ReviewedPose(0.1, 2.0, False),
        ReviewedPose(0.2, 2.0, False),
        ReviewedPose(3, 0.1, True),
    )
    review.volumes = [replace(one, pose=p) for one, p in zip(review.volumes, poses, strict=True)]
    text = page(review, tmp_path)
    assert re.findall(r"(\w)</h2>", text)[1:] == ["c", "b", "a"]
    assert text.count('<span class="badge worst">pose uncertain</span>') == 1
    assert "The pose is uncertain in 1 of 3 volumes." in text
    assert "The pose is uncertain (score 3.00, lead 0.10)" in text
    assert "score 0.10, lead 2.00" in text
    assert "2 of 6 landmarks in 1 of 3 volumes are flagged" in text
    assert "uncertain" not in page(review_of(), tmp_path)


def test_landmarks_outside_and_near_the_border_are_flagged(tmp_path):
    review = review_of()
    near, outside = np.array([True, False]), np.array([False, True])
    review.volumes[0] = replace(review.volumes[0], near_border=near)
    review.volumes[2] = replace(review.volumes[2], outside=outside)
    text = page(review, tmp_path)
    assert "2 of 6 landmarks in 2 of 3 volumes are flagged" in text
    assert "A landmark lies outside the scan" in text
    assert ">border<" in text
    assert ">outside<" in text
