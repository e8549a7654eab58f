"""A browser, for tests of the page on a real server."""

import pytest
from served_annotations import BROWSER, DRIVER, new_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver; apt-get install chromium chromium-driver")
    pytest.importorskip("uvicorn")
    webdriver = pytest.importorskip("selenium.webdriver")
    driver = new_browser(webdriver, tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
