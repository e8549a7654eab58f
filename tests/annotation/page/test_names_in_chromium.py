"""Names of landmarks that are changed on the page, in two tabs of a real browser."""

import pytest
from served_annotations import Page, Server, on_disk, write_blob

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scans").mkdir()
    for name in ("one", "two"):
        write_blob(tmp_path / "scans" / f"{name}.nii.gz", (30, 22, 19))
    return tmp_path


@pytest.fixture
def page(browser, folder):
    server = Server(f"input={folder / 'scans'}", f"output={folder / 'done'}")
    yield Page(browser, server)
    server.kill()


def change(page, kind, name="", given=None):
    """Change a name in the dialog of the list; returns what is said of it before."""
    page.press(".names")
    row = f".name-rows [data-name='{name}'] button"
    page.press(*{"add": (".add",), "rename": (row, 0), "remove": (row, 1)}[kind])
    page.wait("!document.querySelector('.name-step').hidden")
    said = page.text(".name-step .note")
    if given is not None:
        page.type(".name-step input", given)
    page.press(".name-step [type=submit]")
    page.wait("document.querySelector('.name-step').hidden")
    page.press("dialog .choices button")
    page.wait("!document.querySelector('dialog')")
    return said


def wait_for_marks(page, *names):
    shown = "[...document.querySelectorAll('.marks .name')].map((one) => one.innerText).join()"
    page.wait(f"{shown} === arguments[0]", ",".join(names))


def test_landmarks_are_added_renamed_and_removed_and_other_tabs_learn_of_it(page, browser, folder):
    page.open()
    page.wait_for(".begin", "Which landmarks")
    page.type(".begin textarea", "nose\nchin\n")
    page.press(".begin .primary")
    page.wait("document.querySelector('.stage')?.dataset.sharp === 'true'")
    for right in (0, 30):
        page.click("axial", page.middle("axial", right))
        page.frame()
    page.saved()
    opened = page.text(".volume-name")
    page.key("a")
    page.wait("document.querySelector('.volume-name').innerText !== arguments[0]", opened)
    page.open(opened)  # done
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    page.look()
    try:
        page.open()
        page.wait_for(".progress-text", "1 of 2 done")
        assert "begun again" in change(page, "add", given="ear")
        page.wait_for(".progress-text", "0 of 2 done")
        assert "in the file of 1 volume, each as a new version" in change(
            page, "rename", "chin", "Kinn <b>"
        )
        list_tab = browser.current_window_handle
        browser.switch_to.window(first)
        wait_for_marks(page, "nose", "Kinn <b>", "ear")
        page.wait_for(".volume-view .chip", "Begun")
        page.select("Kinn <b>")
        page.key("m")
        page.saved()
        saved = on_disk(folder / "done", opened)
        assert list(saved) == ["nose", "Kinn <b>", "ear"]
        browser.switch_to.window(list_tab)
        assert "stays in the file" in change(page, "remove", "nose")
        browser.switch_to.window(first)
        page.select("nose")  # it has a place here
        assert page.server.get("api/session")["landmarks"] == ["Kinn <b>", "ear"]
        assert page.complaints() == []
        browser.switch_to.window(list_tab)
        page.press(".names")
        page.press(".add")
        page.type(".name-step input", "ear")
        page.press(".name-step [type=submit]")
        page.wait_for(".name-step .problem", "ear twice")
        browser.close()
    finally:
        browser.switch_to.window(first)
