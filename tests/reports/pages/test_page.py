import base64
import html
import json
import re

import pytest
from page_runs import SCENE

from pin_lightning.reports.figures.plots import new_figure
from pin_lightning.reports.pages.page import Picture, Scene, write_page
from pin_lightning.reports.pages.review_page import Named


def review(path, scenes=(), run="run"):
    """A page of the simplest template."""
    empty = {"failed": Named(), "unlike": Named(), "total": 0, "landmarks": 1}
    empty |= {"flagged": 0, "flagged_volumes": 0}
    none = {
        "bars": None,
        "summary": None,
        "volumes": [],
        "uncertain": 0,
        "with_pose": False,
    }
    return write_page(path, "review.html.j2", scenes, run=run, **empty, **none)


def test_a_page_holds_style_and_script_and_asks_for_nothing(tmp_path):
    text = review(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "aria-sort" in text
    assert "default-src 'none'" in html.unescape(text)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "plotly.js v" not in text


def test_content_is_text_not_html(tmp_path):
    text = review(tmp_path / "page.html", run="<b>&").read_text(encoding="utf-8")
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text


def test_plotly_is_inside_once_and_only_where_there_is_a_scene(tmp_path):
    scene = Scene("scene", SCENE, "paths")
    page = review(tmp_path / "page.html", [scene, scene])
    assert page.read_text(encoding="utf-8").count("plotly.js v") == 1


def test_a_chart_is_an_svg_without_background_or_date():
    figure = new_figure(2.0, 1.0)
    figure.add_subplot()
    chart = Picture.of_chart(figure, "nothing")
    svg = base64.b64decode(chart.uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert "<svg" in svg
    assert "dc:date" not in svg


def test_a_file_that_is_no_figure_is_refused(tmp_path):
    path = tmp_path / "starts.json"
    for content in ("{", "[]", json.dumps({"data": 1}), json.dumps({"layout": {}})):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"starts\.json: is no figure of plotly"):
            Scene.of_file(path, "scene", "paths")
    path.write_text(json.dumps(SCENE))
    assert Scene.of_file(path, "scene", "paths").figure == SCENE
