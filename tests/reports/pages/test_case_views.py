import pytest
from page_runs import add_figures, write_page_run

from pin_lightning.reports.pages.case_views import case_views
from pin_lightning.reports.pages.run_facts import read_run_facts


@pytest.fixture
def views(tmp_path):
    add_figures(write_page_run(tmp_path))
    run = read_run_facts(tmp_path)
    return list(case_views(run, run.evaluations["test"]))


def test_the_worst_case_comes_first(views):
    assert [view.label for view in views] == ["worst", "median", "best"]
    assert views[0].case == "case_11"
    assert views[0].error.startswith("mean error ")


def test_only_what_was_drawn_is_shown(views):
    worst, median, _ = views
    assert len(worst.pictures) == 2
    assert worst.starts is not None
    assert worst.film is None
    assert worst.scene.name == "scene-worst"
    assert worst.moves
    assert not median.moves
    assert median.pictures == ()
