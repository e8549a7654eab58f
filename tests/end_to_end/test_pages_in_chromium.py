"""The pages in a real browser: no error, no request, nothing cut off, and clicks do something."""

import base64
import json
import shutil
import time
from pathlib import Path

import pytest
from page_runs import HOSTILE, evaluation_of, write_page_run

from conftest import composed
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.conformal import ConformalSettings
from pin_lightning.evaluation.settings import ReportSettings
from pin_lightning.inference.run import infer
from pin_lightning.reports.fold_report import report_folds
from pin_lightning.reports.pages.run_page import write_run_page
from pin_lightning.runs.folds import write_folds
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.run import train

webdriver = pytest.importorskip("selenium.webdriver")

pytestmark = pytest.mark.slow

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
ARGUMENTS = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-sync "
    "disable-background-networking disable-component-update "
    "use-angle=swiftshader enable-unsafe-swiftshader"
)
# Of plotly's drawing by software, which says that it is slow; not of the page.
DRAWING_REMARKS = ("willReadFrequently", "GPU stall due to ReadPixels")
SIZES = {"laptop": (1280, 800), "phone": (390, 844), "small": (360, 640)}
QUICK = ReportSettings(bootstrap=BootstrapSettings(resamples=100))


@pytest.fixture(scope="module")
def pages(short_settings, phantom_root, tmp_path_factory):
    """One page of each kind, by name."""
    root = tmp_path_factory.mktemp("pages")
    shown = [*short_settings, "report.pictures=true"]
    plane = "+data.planes.TC.landmarks=[CSP,leftCerebellar,rightCerebellar]"
    steps = ["trainer.max_steps=10", "trainer.val_check_interval=5"]
    train(composed(*shown, *steps, plane), root / "run")
    steps = ["trainer.max_steps=4", "trainer.val_check_interval=4", "data.split.folds=2"]
    for settings in (short_settings, shown):  # pictures of all folds together, not of each
        folds = composed(*settings, *steps, config_name="cross_validate")
        folds.calibration.coverage = 0.6
        cross_validate(folds, root / "folds")
    hostile = evaluation_of(20, 45, hostile=True)
    for number in range(2):
        write_page_run(root / "hostile" / f"fold{number}", evaluation_of(10, 45, hostile=True))
    write_folds(root / "hostile", 2)
    report_folds(root / "hostile", hostile, ConformalSettings(), QUICK)
    images = root / "images"
    images.mkdir()
    names = ("head 1", "head 2", "a & <script>alert(1)<:script>")
    for name, image in zip(names, sorted((phantom_root / "images").iterdir()), strict=False):
        shutil.copy(image, images / f"{name}.nii.gz")
    (images / "broken.nii.gz").write_bytes(b"nothing")
    settings = [f"run={root / 'folds'}", f"input={images}", f"output={root / 'prediction'}"]
    infer(composed(*settings, "device=cpu", config_name="infer"))
    return {
        "run": root / "run" / "report.html",
        "folds": root / "folds" / "report.html",
        "hostile": write_run_page(root / "hostile", QUICK),
        "review": root / "prediction" / "review.html",
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a window, and with a profile of its own."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver; apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    profile = tmp_path_factory.mktemp("profile")
    for argument in (*ARGUMENTS.split(), f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def show(browser, page: Path, size="laptop", theme="light"):
    """Open a page as a laptop or a phone does."""
    width, height = SIZES[size]
    look = {"width": width, "height": height, "mobile": size != "laptop", "deviceScaleFactor": 1}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", look)
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # of the page before
    browser.get(page.as_uri())


def complaints(browser) -> list[str]:
    """Errors and warnings of the console, and requests beside the page and what it holds."""
    messages = [entry["message"] for entry in browser.get_log("browser")]
    found = [one for one in messages if not any(remark in one for remark in DRAWING_REMARKS)]
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
    urls = [one["request"]["url"] for one in sent if one.get("type") != "Document"]
    return found + [url for url in urls if not url.startswith(("data:", "blob:"))]


KINDS = ("run", "folds", "hostile", "review")


@pytest.mark.parametrize(
    ("size", "theme"),
    [("laptop", "light"), ("laptop", "dark"), ("phone", "light"), ("small", "dark")],
)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wrong(browser, pages, kind, size, theme):
    show(browser, pages[kind], size, theme)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    for top in range(0, height, 600):  # some figures are drawn when they are first seen
        browser.execute_script(f"scrollTo({{top: {top}, behavior: 'instant'}})")
        time.sleep(0.1)
    assert complaints(browser) == []
    widths = "return [document.documentElement.scrollWidth, innerWidth]"
    page_width, window_width = browser.execute_script(widths)
    assert page_width <= window_width == SIZES[size][0]
    broken = "return [...document.images].filter((one) => !one.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, dark[4:-1].split(","))) < 200) == (theme == "dark")


@pytest.mark.parametrize(
    ("kind", "table", "index"),
    [("run", "table-landmarks", 2), ("hostile", "table-cases", 4), ("review", "table-volumes", 1)],
)
def test_a_click_on_a_head_sorts_by_number(browser, pages, kind, table, index):
    show(browser, pages[kind])
    cells = f"return [...document.querySelectorAll('#{table} tbody tr')]"
    cells += f".map((row) => parseFloat(row.cells[{index}].dataset.value))"
    before = browser.execute_script(cells)
    click = f"document.querySelectorAll('#{table} th button')[{index}].click()"
    for descending in (False, True):
        browser.execute_script(click)
        assert browser.execute_script(cells) == sorted(before, reverse=descending)
    sort = f"return document.querySelectorAll('#{table} th')[{index}].getAttribute('aria-sort')"
    assert browser.execute_script(sort) == "descending"


def test_a_long_table_is_short_until_asked_for(browser, pages):
    show(browser, pages["hostile"])
    seen = (
        "return [...document.querySelectorAll('#table-cases tbody tr')]"
        ".filter((row) => row.offsetHeight).length"
    )
    assert browser.execute_script(seen) == 10
    browser.execute_script("document.querySelector('#numbers button.more').click()")
    assert browser.execute_script(seen) == 20


def test_the_paths_are_drawn_and_tabs_show_the_others(browser, pages):
    show(browser, pages["run"])
    area = (
        "const one = document.querySelector(`#scene-${arguments[0]} canvas`);"
        "return one ? one.width * one.height : 0"
    )
    for label in ("worst", "median"):
        browser.execute_script(f"document.getElementById('tab-{label}').click()")
        browser.execute_script(f"document.getElementById('scene-{label}').scrollIntoView()")
        ends = time.monotonic() + 30
        while not browser.execute_script(area, label) and time.monotonic() < ends:
            time.sleep(0.1)
        assert browser.execute_script(area, label) > 10_000
    off = "return document.getElementById('panel-worst').classList.contains('off')"
    assert browser.execute_script(off)


def test_a_picture_can_be_enlarged_and_closed(browser, pages):
    for kind, inside in (("run", "img"), ("review", "svg")):
        show(browser, pages[kind])
        browser.execute_script("document.querySelector('.zoom').click()")
        shown = f"return document.querySelector('dialog[open] .enlarged {inside}') !== null"
        assert browser.execute_script(shown)
        browser.execute_script("document.querySelector('dialog .close').click()")
        assert not browser.execute_script(shown)


def test_hostile_names_are_text(browser, pages):
    show(browser, pages["hostile"])
    texts = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    assert HOSTILE in browser.execute_script(texts, "#table-failures td")
    assert browser.execute_script("return document.querySelectorAll('main script').length") == 0
    show(browser, pages["review"])
    titles = browser.execute_script(texts, "h2")
    assert "a & <script>alert(1)<:script>" in titles
    assert "Could not be predicted" in titles


@pytest.mark.parametrize("kind", KINDS)
def test_pages_print_in_light_colours(browser, pages, kind):
    show(browser, pages[kind], theme="dark")
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    content = base64.b64decode(pdf)
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") >= 2
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    background = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(background) == "rgb(255, 255, 255)"
