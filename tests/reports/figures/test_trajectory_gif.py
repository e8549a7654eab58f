import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image, ImageSequence
from reports.figures.test_plots import SPACING_MM, UNKNOWN, volume
from reports.figures.test_trajectory_plots import straight_paths

from pin_lightning.common.geometry import Grid
from pin_lightning.reports.figures import plots, trajectory_gif
from pin_lightning.reports.figures.trajectory_gif import write_trajectory_gif


def write_film(path, steps, truth=True):
    end, paths = straight_paths(2, steps=steps)
    known = end if truth else UNKNOWN[:2]
    write_trajectory_gif(path, volume(), SPACING_MM, paths, known, "a $title")


def pictures_of(path):
    with Image.open(path) as image:
        return [(one.convert("RGB"), one.info["duration"]) for one in ImageSequence.Iterator(image)]


def shows_truth(picture):
    red = np.array(to_rgb(plots.TRUE)) * 255
    return (np.abs(np.asarray(picture) - red).max(axis=-1) < 12).any()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "figures" / "starts.gif"
    write_film(path, steps=3)
    return path


def test_a_picture_for_each_iteration_in_a_loop(film):
    assert [duration for _, duration in pictures_of(film)] == [1000, 330, 330, 3000]
    with Image.open(film) as image:
        assert image.info["loop"] == 0
        assert image.width <= 900
    assert film.stat().st_size < 1.5e6
    assert [entry.name for entry in film.parent.iterdir()] == ["starts.gif"]


def test_only_what_moves_changes_between_pictures(film):
    (first, _), (second, _), *_ = pictures_of(film)
    changed = (np.asarray(first) != np.asarray(second)).any(axis=-1)
    assert 0.001 < changed.mean() < 0.1
    assert first.getpixel((1, 1)) == (255, 255, 255)
    assert shows_truth(first)


def test_of_many_iterations_some_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(trajectory_gif, "MAX_PICTURES", 5)
    write_film(tmp_path / "starts.gif", steps=40, truth=False)
    pictures = pictures_of(tmp_path / "starts.gif")
    assert len(pictures) == 5
    assert not shows_truth(pictures[-1][0])


def test_starts_that_never_move_make_one_picture(tmp_path):
    write_film(tmp_path / "starts.gif", steps=0)
    ((_, duration),) = pictures_of(tmp_path / "starts.gif")
    assert duration == 3000


@pytest.mark.slow
def test_a_film_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_film(tmp_path / "starts.gif", steps=0)
    assert list(tmp_path.iterdir()) == []


def test_one_start_is_the_prediction_and_others_are_left_behind(tmp_path, monkeypatch):
    end, paths = straight_paths(2, steps=3)
    paths[2:, 1] = np.nan
    drawn = []
    real = trajectory_gif.plots.slice_panels

    def panels(*arguments, **settings):
        drawn.append((arguments[3], settings))
        return real(*arguments, **settings)

    monkeypatch.setattr(trajectory_gif.plots, "slice_panels", panels)
    path = tmp_path / "pose.gif"
    write_trajectory_gif(path, volume(), SPACING_MM, paths, end, "found", best=2)
    pictures = pictures_of(path)
    assert len(pictures) == 4
    ((predicted_mm, settings),) = drawn
    grid = Grid(volume().shape, SPACING_MM)
    np.testing.assert_allclose(predicted_mm, grid.ijk_to_mm(paths[-1, 2]))
    assert settings == {"projected": True}
    green = np.array(to_rgb(plots.PREDICTED)) * 255
    near = np.abs(np.asarray(pictures[0][0]) - green).max(axis=-1) < 20
    assert near.any()
