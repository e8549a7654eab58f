"""The page in a real browser on a real server: what a person does is in the files."""

import numpy as np
import pytest
from served_annotations import (
    SPACING,
    Page,
    Server,
    edit_as_slicer_does,
    is_text,
    on_disk,
    voxels_apart,
    write_blob,
)

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
def server(folder, blob, browser):
    (folder / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    settings = [f"input={folder / 'scans'}", f"output={folder / 'done'}"]
    one = Server(*settings, f"landmarks={folder / 'names.txt'}")
    yield one
    one.kill()


@pytest.fixture
def page(browser, server):
    return Page(browser, server)


@pytest.fixture
def done(folder):
    return folder / "done"


def place_all(page):
    """Place every landmark by clicks, a little apart; returns the version that was saved."""
    for step in range(len(NAMES)):
        page.click("axial", page.middle("axial", 30 * step, 40))
        page.frame()
    return page.saved()


def test_a_landmark_dragged_to_what_the_picture_shows_is_there_in_the_file(page, done, blob):
    page.open("drag")
    place_all(page)
    page.select("tip")
    for plane in ("axial", "coronal"):
        page.key("h")  # nothing over the picture
        closer = {"deltaX": 0, "deltaY": -100, "modifiers": 2}
        page.mouse("mouseWheel", plane, page.brightest(plane), **closer)
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
    page.wait_for(".details", "missing")
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
    half = np.linalg.norm(on_disk(done, "keys")["tip"] - first)
    assert half == pytest.approx(min(SPACING) / 2, abs=1e-3)
    page.key("j")
    page.wait_for(".marks [aria-current=true]", "base")
    page.key("?")
    page.wait_for("dialog[open] .keys")
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
        page.run("window.held = fetch; window.fetch = async () => { throw new TypeError('away') }")
        page.key("m")
        page.wait("document.querySelector('.save').dataset.status === 'away'")
        theirs = page.server.volume("two")
        for one in theirs["landmarks"]:
            one["position"] = [value + 1 for value in one["position"]]
        content = {"landmarks": theirs["landmarks"], "done": False, "seconds": 0}
        page.server.put(f"api/volumes/{theirs['id']}", content, theirs["version"])
        page.run("window.fetch = window.held")
        page.press(".save")
        page.wait_for("dialog[open]", "3 landmarks changed there, 1 landmark here, 1 of them")
        assert "Keep the changes of both" not in page.text("dialog[open]")
        page.press("dialog .choices button")  # mine
        page.saved()
        assert np.isnan(on_disk(done, "two")["base"]).all()
        browser.close()
        browser.switch_to.window(first)
        page.wait_for(".marks .missing", "base")  # the first tab has taken it up
    finally:
        browser.switch_to.window(first)
    assert page.complaints() == []


def test_what_is_saved_in_another_program_appears(page, done):
    page.open("outside")
    place_all(page)
    before = on_disk(done, "outside")["base"]
    edit_as_slicer_does(done / "outside.mrk.json", "base", [1.5, 0, 0])
    page.wait_for(".notice", "Changed elsewhere: base")
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
    for is_closed in (False, True):
        server.kill()
        x, y = page.mark("axial")
        page.drag("axial", [x, y], [x + 25, y - 15])
        page.wait("document.querySelector('.save').dataset.status === 'away'")
        page.wait_for("#away", "The server does not answer")
        position = page.text(".details dd")
        if is_closed:
            page.browser.get("about:blank")  # without a window nobody is asked
        server.start()
        if is_closed:
            page.open("killed")
        page.saved()
        page.select("tip")
        assert page.text(".details dd") == position
        shown = [float(one) for one in position.split(", ")]
        np.testing.assert_allclose(on_disk(done, "killed")["tip"], shown, atol=0.006)


def test_a_finger_drags_on_a_tablet_in_the_dark(page, done):
    page.look(1024, 768, "dark", touch=True)
    page.open("finger")
    for step in range(len(NAMES)):
        place = page.middle("axial", 40 * step)
        page.swipe("axial", place, place)
        page.frame()
    version = page.saved()
    page.select("tip")
    before = on_disk(done, "finger")["tip"]
    x, y = page.mark("axial")
    page.swipe("axial", [x + 8, y + 6], [x + 48, y + 6])
    page.wait("Number(document.querySelector('.save').dataset.version) > arguments[0]", version)
    page.saved()
    assert np.linalg.norm(on_disk(done, "finger")["tip"] - before) > 0.5
    width, window = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= window == 1024
    colour = page.run("return getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, colour[4:-1].split(","))) < 200
    assert page.complaints() == []


def test_the_list_finds_volumes_and_names_are_text(page):
    page.open()
    page.press("[data-filter=all]")
    page.wait("document.querySelectorAll('a.volume').length === 8")
    assert is_text(page, HOSTILE)
    assert "of 8 done" in page.text(".progress-text")
    page.type("[type=search]", "BROK")
    page.wait("document.querySelectorAll('a.volume').length === 1")
    page.press("a.volume")
    page.wait_for(".stage-note", "broken cannot be shown")
    page.open(HOSTILE)
    assert is_text(page, NAMES[2])
    assert page.complaints() == []


def test_from_nothing_names_are_asked_for(browser, folder, blob):
    server = Server(f"input={folder / 'scans'}", f"output={folder / 'new'}")
    try:
        page = Page(browser, server)
        page.open()
        page.wait_for(".begin", "Which landmarks")
        page.type(".begin textarea", "nose\nchin\n")
        page.press(".begin .primary")
        page.wait("document.querySelector('.stage')?.dataset.sharp === 'true'")
        page.wait_for(".hint", "Click in a plane where nose lies")
        page.click("sagittal", page.middle("sagittal"))
        page.wait_for(".hint", "chin")
        page.saved()
        saved = on_disk(folder / "new", page.text(".volume-name"))
        assert list(saved) == ["nose", "chin"]
        assert np.isfinite(saved["nose"]).all()
        assert page.complaints() == []
    finally:
        server.kill()
