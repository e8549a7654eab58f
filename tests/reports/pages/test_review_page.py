import re
from dataclasses import replace

import numpy as np
from page_runs import HOSTILE

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.pages.review_page import Review
from pin_lightning.reports.pages.thumbnails import MiddleSlices
from pin_lightning.runs.doubts import Reviewed, ReviewedPose, usual_of

GRID = Grid((12, 10, 8), 2.0)


def slices(name):
    """Slices of a volume of noise."""
    voxels = np.random.default_rng(ord(name)).integers(0, 255, GRID.size, np.uint8)
    return MiddleSlices.of(voxels, np.array([[5.5, 4.5, 3.5], [7.0, 5.5, 4.0]]))


def reviewed(name, spread):
    positions = np.array([[0.0, 0, 0], [3, 2, 1]])
    outside = np.zeros(len(spread), dtype=bool)
    return Reviewed(name, f"{name}.nii", positions, np.array(spread), None, outside)


def page(review, tmp_path, cut=slices):
    return review.write(tmp_path, GRID, "run", cut).read_text(encoding="utf-8")


VOLUMES = [
    reviewed(name, spread)
    for name, spread in zip("abc", ([1.0, 1.0], [1.0, 9.0], [1.0, 1.0]), strict=True)
]


def review_of(volumes=VOLUMES, most=50):
    usual_mm = usual_of(np.stack([one.doubt_mm for one in volumes]))
    review = Review(("tip", HOSTILE), None, usual_mm, most)
    for one in volumes:
        review.add(one)
    return review


def test_the_most_doubtful_come_first_and_only_so_many(tmp_path):
    text = page(review_of(most=2), tmp_path)
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
    review.add_failed("broken", f"{tmp_path}/broken.nii", f"{tmp_path}/broken.nii: is no image")
    text = page(review, tmp_path)
    assert text.index("Could not be predicted") < text.index("<h2>b</h2>")
    assert "broken.nii: is no image" in text
    assert str(tmp_path) not in text


def test_volumes_unlike_the_training_are_named_on_top(tmp_path):
    assert "Unlike the training" not in page(review_of(), tmp_path)
    odd = replace(VOLUMES[2], remarks=("contrast: inverted", f"a {HOSTILE}"))
    text = page(review_of([*VOLUMES[:2], odd]), tmp_path)
    assert "<strong>c</strong> contrast: inverted; a " in text
    assert text.index("Unlike the training volumes") < text.index("<h2>b</h2>")
    assert HOSTILE not in text


def test_nothing_predicted(tmp_path):
    assert "No volume was predicted" in page(Review(("tip",), None, np.ones(1), 50), tmp_path)


def test_an_uncertain_pose_comes_first_with_a_badge(tmp_path):
    poses = (
        ReviewedPose(0.1, 2.0, False),
        ReviewedPose(0.2, 2.0, False),
        ReviewedPose(3, 0.1, True),
    )
    posed = [replace(one, pose=pose) for one, pose in zip(VOLUMES, poses, strict=True)]
    text = page(review_of(posed), tmp_path)
    assert re.findall(r"(\w)</h2>", text)[1:] == ["c", "b", "a"]
    assert text.count('<span class="badge worst">pose uncertain</span>') == 1
    assert "The pose is uncertain in 1 of 3 volumes." in text
    assert "The pose is uncertain (score 3.00, lead 0.10)" in text
    assert "score 0.10, lead 2.00" in text
    assert "2 of 6 landmarks in 1 of 3 volumes are flagged" in text
    assert "uncertain" not in page(review_of(), tmp_path)


def test_landmarks_outside_and_near_the_border_are_flagged(tmp_path):
    near, outside = np.array([True, False]), np.array([False, True])
    first = replace(VOLUMES[0], near_border=near)
    text = page(review_of([first, VOLUMES[1], replace(VOLUMES[2], outside=outside)]), tmp_path)
    assert "2 of 6 landmarks in 2 of 3 volumes are flagged" in text
    assert "A landmark lies outside the scan" in text
    assert ">border<" in text
    assert ">outside<" in text


def test_of_very_many_only_some_are_named_and_shown(tmp_path):
    volumes = [reviewed(f"v{number}", [1.0, 1.0 + number]) for number in range(300)]
    review = review_of([replace(one, remarks=("size: large",)) for one in volumes], most=2)
    for one in volumes:
        review.add_failed(one.name, one.file, "is no image")
    text = page(review, tmp_path, lambda _: None)
    assert re.findall(r"<h2>(\w+)</h2>", text)[-2:] == ["v299", "v298"]
    assert "And 100 more, in failed.csv." in text
    assert "And 100 more, in landmarks.csv." in text
    assert "<strong>v199</strong> is no image" in text
    assert "<strong>v200</strong>" not in text


def test_a_volume_whose_slices_are_lost_is_shown_without(tmp_path):
    text = page(review_of(), tmp_path, lambda name: slices(name) if name == "b" else None)
    assert text.count("data:image/png") == 3
    assert re.findall(r"<h2>(\w)</h2>", text) == ["b", "a", "c"]
