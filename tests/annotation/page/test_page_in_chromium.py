"""The page in a real browser on a real server: what a person does is in the files."""

import json

import numpy as np
import pytest
from served_annotations import (
    BROWSER,
    DRIVER,
    Page,
    Server,
    edit_as_slicer_does,
    new_browser,
    on_disk,
    only_text,
    voxels_apart,
    write_blob,
)

webdriver = pytest.importorskip("selenium.webdriver")

pytestmark = pytest.mark.slow

HOSTILE = "<b>c & d<:b>"
NAMES = ("tip", "base", HOSTILE.replace(":", "/"))
BLOB = (30.3, 21.6, 18.8)  # a little off the middle, between voxels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("annotated")


@pytest.fixture(scope="module")
def blob(folder):
    """Scans that all have the same blob; returns its world position."""
    scans = folder / "scans"
    scans.mkdir()
    for name in ("drag", "keys", "two", "outside", "killed", "finger", HOSTILE):
        world = write_blob(scans / f"{name}.nii.gz", BLOB)
    (scans / "broken.nii.gz").write_bytes(b"nothing")
    return world


@pytest.fixture(scope="module")
def server(folder, blob):
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver; apt-get install chromium chromium-driver")
    pytest.importorskip("uvicorn")
    (folder / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    settings = [f"input={folder / 'scans'}", f"output={folder / 'done'}"]
    one = Server(*settings, f"landmarks={folder / 'names.txt'}")
    yield one
    one.kill()


@pytest.fixture(scope="module")
def browser(tmp_path_factory, server):
    driver = new_browser(webdriver, tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, server):
    return Page(browser, server)


@pytest.fixture
def done(folder):
    return folder / "done"


def middle(page, plane):
    return [side / 2 for side in page.run("return ['clientWidth', 'clientHeight'].map((one) => document.querySelector(arguments[0])[one])", f".pane.{plane}")]


def place_all(page):
    """Place every landmark by clicks, a little apart."""
    for step in range(len(NAMES)):
        x, y = middle(page, "axial")
        page.click("axial", [x + 30 * step, y + 40])
        page.frame()
    return page.saved()


def test_a_landmark_dragged_to_what_the_picture_shows_is_there_in_the_file(page, done, blob):
    page.open("drag")
    place_all(page)
    page.select("tip")
    for plane in ("axial", "coronal"):
        page.key("h")  # nothing over the picture
        page.mouse("mouseWheel", plane, page.brightest(plane), deltaX=0, deltaY=-100, modifiers=2)
        page.frame()
        target = page.brightest(plane)
        page.key("h")
        page.frame()
        page.drag(plane, page.mark(plane), target)
        page.frame()
    page.saved()
    assert voxels_apart(on_disk(done, "drag")["tip"], blob) < 0.1
    assert page.complaints() == []


def test_undo_redo_missing_and_keys(page, done):
    page.open("keys")
    place_all(page)
    page.select("tip")
    first = on_disk(done, "keys")["tip"]
    page.key("m")
    page.wait("document.querySelector('.details').innerText.includes('missing')")
    page.saved()
    assert np.isnan(on_disk(done, "keys")["tip"]).all()
    page.key("z", ctrl=True)
    page.saved()
    np.testing.assert_allclose(on_disk(done, "keys")["tip"], first, atol=1e-4)
    page.key("Z", ctrl=True, shift=True)
    page.saved()
    assert np.isnan(on_disk(done, "keys")["tip"]).all()
    page.key("z", ctrl=True)
    page.key("ArrowRight", shift=True)
    page.saved()
    assert voxels_apart(on_disk(done, "keys")["tip"], first) == pytest.approx(1 / 2, abs=0.51)
    page.key("j")
    assert page.run("return document.querySelector('.marks [aria-current=true]').dataset.name") == "base"
    page.key("?")
    page.wait("document.querySelector('dialog[open] .keys')")
    page.key("Escape")
    page.wait("!document.querySelector('dialog')")
    page.key("a")  # done, and on to another one
    page.wait("!document.querySelector('.volume-name').innerText.includes('keys')")
    assert page.server.volume("keys")["done"]
    assert page.complaints() == []


def test_two_tabs_cannot_lose_each_others_work(page, browser, done):
    page.open("two")
    place_all(page)
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    page.look()
    try:
        page.open("two")
        page.select("base")
        # This tab hears of nothing, so that it saves what the other one does not expect.
        page.run("EventSource.prototype.addEventListener = () => {}")
        theirs = page.server.volume("two")
        for one in theirs["landmarks"]:
            one["position"] = [value + 1 for value in one["position"]]
        page.run("window.held = window.fetch; window.fetch = () => Promise.reject(new TypeError('away'))")
        page.key("m")
        page.wait("document.querySelector('.save').dataset.status === 'away'")
        content = {"landmarks": theirs["landmarks"], "done": False, "seconds": 0}
        page.server.put(f"api/volumes/{theirs['id']}", content, theirs["version"])
        page.run("window.fetch = window.held; document.querySelector('.save').click()")
        page.wait("document.querySelector('dialog[open]')?.innerText.includes('Changed in two places')")
        assert "1 landmark here, 1 of them in two ways" in page.text("dialog[open]")
        page.run("document.querySelectorAll('dialog .choices button')[0].click()")  # mine
        page.saved()
        mine = on_disk(done, "two")
        assert np.isnan(mine["base"]).all()
        browser.close()
        browser.switch_to.window(first)
        page.wait("document.querySelector('.details')?.innerText && document.querySelector('.marks .missing')")
        page.saved()  # the first tab has taken it up
    finally:
        browser.switch_to.window(first)
    assert page.complaints() == []


def test_what_is_saved_in_another_program_appears(page, done):
    page.open("outside")
    place_all(page)
    before = on_disk(done, "outside")["base"]
    edit_as_slicer_does(done / "outside.mrk.json", "base", [1.5, 0, 0])
    page.wait("document.querySelector('.notice')?.innerText.includes('Changed elsewhere: base')")
    page.select("tip")
    page.key("m")
    page.saved()
    after = on_disk(done, "outside")
    np.testing.assert_allclose(after["base"], before - [1.5, 0, 0], atol=1e-4)
    assert np.isnan(after["tip"]).all()
    assert page.complaints() == []


def test_a_killed_server_loses_nothing(page, server, done):
    page.open("killed")
    place_all(page)
    page.select("tip")
    server.kill()
    start = page.mark("axial")
    page.drag("axial", start, [start[0] + 25, start[1] - 15])
    page.wait("document.querySelector('.save').dataset.status === 'away'")
    position = page.text(".details dd")
    page.wait("!document.getElementById('away').hidden")
    page.browser.get("about:blank")  # the laptop is closed
    alert = page.browser.switch_to.alert if _asks(page.browser) else None
    if alert:
        alert.accept()
    server.start()
    page.open("killed")
    page.wait("document.querySelector('.save')?.dataset.status === 'saved'")
    page.select("tip")
    assert page.text(".details dd") == position
    shown = [float(one) for one in position.split(", ")]
    np.testing.assert_allclose(on_disk(done, "killed")["tip"], shown, atol=0.006)


def _asks(browser):
    try:
        return browser.switch_to.alert is not None
    except Exception:
        return False


def test_a_finger_drags_on_a_tablet_in_the_dark(page, done):
    page.look(1024, 768, "dark", touch=True)
    page.open("finger")
    for step in range(len(NAMES)):
        x, y = middle(page, "axial")
        page.swipe("axial", [x + 40 * step, y], [x + 40 * step, y])
        page.frame()
    page.saved()
    page.select("tip")
    before = on_disk(done, "finger")["tip"]
    start = page.mark("axial")
    page.swipe("axial", [start[0] + 8, start[1] + 6], [start[0] + 48, start[1] + 6])
    page.wait("Number(document.querySelector('.save').dataset.version) > 1")
    page.saved()
    assert np.linalg.norm(on_disk(done, "finger")["tip"] - before) > 0.5
    width, window = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= window == 1024
    colour = page.run("return getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, colour[4:-1].split(","))) < 200
    assert page.complaints() == []


def test_list_filters_names_as_text_and_failed_volumes(page):
    page.open()
    page.wait("document.querySelectorAll('a.volume').length === 8 || document.querySelector('[data-filter=all]')")
    page.run("document.querySelector('[data-filter=all]').click()")
    page.wait("document.querySelectorAll('a.volume').length === 8")
    assert only_text(page, HOSTILE)
    assert "of 8 done" in page.text(".progress-text")
    page.run("const find = document.querySelector('[type=search]'); find.value = 'BROK';"
             "find.dispatchEvent(new Event('input'))")
    page.wait("document.querySelectorAll('a.volume').length === 1")
    assert page.text("a.volume .name") == "broken"
    page.open(HOSTILE)
    assert only_text(page, NAMES[2])
    broken = page.server.volume("broken")["id"]
    page.run(f"location.hash = '#/volume/{broken}'")
    page.wait("document.querySelector('.stage-note').innerText.includes('cannot be shown')")
    assert page.complaints() == []


def test_from_nothing_names_are_asked_for(browser, folder, blob):
    server = Server(f"input={folder / 'scans'}", f"output={folder / 'new'}")
    try:
        page = Page(browser, server)
        page.open()
        page.wait("document.querySelector('.begin textarea')")
        page.run(
            "const area = document.querySelector('.begin textarea'); area.value = arguments[0];"
            "area.dispatchEvent(new Event('input')); document.querySelector('.begin .primary').click()",
            "nose\nchin\n",
        )
        page.wait("document.querySelector('.stage')?.dataset.sharp === 'true'")
        assert "Click in a plane where nose lies" in page.text(".hint")
        page.click("sagittal", middle(page, "sagittal"))
        page.wait("document.querySelector('.hint').innerText.includes('chin')")
        page.saved()
        name = page.text(".volume-name")
        content = json.loads((folder / "new" / f"{name}.mrk.json").read_text(encoding="utf-8"))
        labels = [one["label"] for one in content["markups"][0]["controlPoints"]]
        assert labels == ["nose", "chin"]
        assert page.complaints() == []
    finally:
        server.kill()
