"""Many tabs of a real browser on one server: a browser has six connections to it."""

import shutil

import pytest
from served_annotations import Page, Server, write_blob

pytestmark = pytest.mark.slow

TABS = 8


@pytest.fixture
def page(browser, tmp_path):
    (tmp_path / "scans").mkdir()
    write_blob(tmp_path / "scans" / "scan0.nii.gz", (30, 22, 19))
    for number in (1, 2, 3):
        shutil.copy(
            tmp_path / "scans" / "scan0.nii.gz", tmp_path / "scans" / f"scan{number}.nii.gz"
        )
    server = Server(f"input={tmp_path / 'scans'}", f"output={tmp_path / 'done'}", "landmarks=[tip]")
    yield Page(browser, server)
    server.kill()


def finish(page, number):
    """Let another program say that a volume is done."""
    volume = page.server.volume(f"scan{number}")
    content = {"landmarks": [{"name": "tip", "missing": True}], "done": True}
    page.server.put(f"api/volumes/{volume['id']}", content, volume["version"])


def all_hear(page, tabs, text):
    for tab in tabs:
        page.browser.switch_to.window(tab)
        page.wait_for(".progress-text", text)


def test_eight_tabs_share_a_stream_and_none_depends_on_another(page, browser):
    page.open()
    tabs = [browser.current_window_handle]
    try:
        for _ in range(TABS - 1):
            browser.switch_to.new_window("tab")
            tabs.append(browser.current_window_handle)
            page.look()
            page.open()
            page.wait_for(".progress-text", "0 of 4 done")
        finish(page, 0)
        all_hear(page, tabs, "1 of 4 done")
        browser.switch_to.window(tabs[0])
        browser.close()  # the one that was there first
        del tabs[0]
        finish(page, 1)
        all_hear(page, tabs, "2 of 4 done")
        page.server.kill()
        page.wait("!document.querySelector('#away').hidden")
        page.server.start()
        finish(page, 2)
        all_hear(page, tabs, "3 of 4 done")
        assert page.run("return document.querySelector('#away').hidden")
    finally:
        for tab in tabs[1:]:
            browser.switch_to.window(tab)
            browser.close()
        browser.switch_to.window(tabs[0])


@pytest.mark.parametrize(
    "lacking",
    [
        "delete window.SharedWorker",
        "window.SharedWorker = class { constructor() { throw new Error(); } }",
    ],
    ids=["unknown", "refused"],
)
def test_a_browser_without_shared_workers_has_a_stream_for_each_tab(page, browser, lacking):
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": lacking})
    try:
        page.open()
        page.wait_for(".progress-text", "0 of 4 done")
        finish(page, 3)
        page.wait_for(".progress-text", "1 of 4 done")
        assert page.complaints() == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
