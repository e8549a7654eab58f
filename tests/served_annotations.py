"""A server of annotations in a process of its own, and a browser that looks at its page."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nibabel as nib
import numpy as np
from orthanc import free_port
from scipy.spatial.transform import Rotation

from conftest import REPOSITORY
from pin_lightning.data.landmarks.files import read_landmarks

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
ARGUMENTS = (
    "headless=new no-sandbox disable-quic no-first-run disable-sync "
    "disable-background-networking disable-component-update "
    "use-angle=swiftshader enable-unsafe-swiftshader"
)
SIZE, SPACING = (56, 48, 40), (0.5, 0.7, 1.1)
# Of drawing by software, and of requests that a test refuses or lets fail; not of the page.
REMARKS = ("GPU stall due to ReadPixels", "Failed to load resource", "willReadFrequently")


def oblique_affine() -> np.ndarray:
    """Voxels to world, turned, one axis flipped, axes exchanged, far from the origin."""
    turn = Rotation.from_euler("xyz", [17, -11, 24], degrees=True).as_matrix()
    axes = turn @ np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = [-120.5, 33.25, 71.0]
    return affine


def write_blob(path: Path, ijk) -> np.ndarray:
    """Write a scan with one smooth blob about a voxel position; returns its world position."""
    affine = oblique_affine()
    grid = np.stack(np.meshgrid(*map(np.arange, SIZE), indexing="ij"), axis=-1)
    squared = (((grid - ijk) * SPACING) ** 2).sum(axis=-1)
    voxels = np.rint(1000 * np.exp(-squared / (2 * 1.2**2))).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return affine[:3, :3] @ np.asarray(ijk, dtype=float) + affine[:3, 3]


class Server:
    """`pin-lightning serve` that can be killed and started again at the same address."""

    def __init__(self, *settings: str) -> None:
        self.settings, self.port = settings, free_port()
        self.process: subprocess.Popen | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        command = [sys.executable, "-m", "pin_lightning.serve", f"port={self.port}", *self.settings]
        self.process = subprocess.Popen(command, cwd=REPOSITORY)
        ends = time.monotonic() + 300
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                self.get("api/session")
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        """As a power cut does."""
        self.process.kill()
        self.process.wait()

    def get(self, path: str):
        with urllib.request.urlopen(self.address + path, timeout=30) as reply:
            return json.load(reply)

    def put(self, path: str, content: dict, version: int):
        return self.send("PUT", path, content, {"If-Match": f'"{version}"'})

    def send(self, method: str, path: str, content: dict, headers: dict | None = None):
        data = json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def centre(self, name: str) -> list[float]:
        """World position of the centre of a volume."""
        frame = self.volume(name)["frames"]["scanner"]
        middle = [
            low + extent / 2
            for low, extent in zip(frame["low_mm"], frame["extent_mm"], strict=True)
        ]
        return (np.array(frame["to_world"]) @ [*middle, 1])[:3].tolist()

    def volume(self, name: str):
        volumes = self.get("api/volumes")["volumes"]
        return self.get(f"api/volumes/{next(one['id'] for one in volumes if one['name'] == name)}")


def new_browser(webdriver, profile: Path):
    """Chromium without a window, and with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (*ARGUMENTS.split(), f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))


class Page:
    """The page of a server in a browser."""

    def __init__(self, browser, server: Server) -> None:
        self.browser, self.server = browser, server
        self.look()

    def look(self, width=1280, height=800, theme="light", touch=False) -> None:
        look = {"width": width, "height": height, "mobile": touch, "deviceScaleFactor": 1}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", look)
        self.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str, *values):
        return self.browser.execute_script(script, *values)

    def wait(self, script: str, *values, seconds=120):
        """Wait until an expression is true, and return it."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = self.run(f"return {script}", *values)
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {script}; {self.text('body')[:200]!r}")

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def wait_for(self, selector: str, text: str = "", seconds=120) -> None:
        """Wait until there is an element that has a text."""
        found = "document.querySelector(arguments[0])?.innerText.includes(arguments[1])"
        self.wait(found, selector, text, seconds=seconds)

    def press(self, selector: str, number=0) -> None:
        """Press the button, or link, that a selector finds."""
        self.wait("document.querySelectorAll(arguments[0])[arguments[1]]", selector, number)
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, number)

    def type(self, selector: str, text: str) -> None:
        """Give a field a text."""
        self.run(
            "const field = document.querySelector(arguments[0]); field.value = arguments[1];"
            "field.dispatchEvent(new Event('input'))",
            *(selector, text),
        )

    def middle(self, plane: str, right=0.0, down=0.0) -> list[float]:
        """Place beside the middle of a plane."""
        pane = "const {clientWidth, clientHeight} = document.querySelector(arguments[0]);"
        width, height = self.run(f"{pane} return [clientWidth, clientHeight]", f".pane.{plane}")
        return [width / 2 + right, height / 2 + down]

    def open(self, name: str | None = None) -> None:
        """Load the list, or a volume anew."""
        self.browser.get("about:blank")
        place = "" if name is None else f"#/volume/{self.server.volume(name)['id']}"
        self.browser.get(self.server.address + place)
        if name is not None:
            self.wait("document.querySelector('.stage')?.dataset.sharp === 'true'")

    def key(self, key: str, ctrl=False, shift=False) -> None:
        modifiers = 2 * ctrl + 8 * shift
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "modifiers": modifiers}
            event["windowsVirtualKeyCode"] = 27 if key == "Escape" else 0
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", event)

    def at(self, plane: str, point) -> tuple[float, float]:
        """Place in the window of a place in a plane."""
        box = "const {left, top} = document.querySelector(arguments[0]).getBoundingClientRect();"
        left, top = self.run(f"{box} return [left, top]", f".pane.{plane}")
        return left + point[0], top + point[1]

    def mouse(self, kind: str, plane: str, point, **more) -> None:
        x, y = self.at(plane, point)
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, **more}
        self.browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def click(self, plane: str, point) -> None:
        self.mouse("mousePressed", plane, point, buttons=1)
        self.mouse("mouseReleased", plane, point)

    def drag(self, plane: str, start, end) -> None:
        """Drag as far as from one place to another; a mouse only knows whole pixels."""
        first = [round(one) for one in start]
        ways = zip(first, start, end, strict=True)
        start, end = first, [whole + round(to - one) for whole, one, to in ways]
        self.mouse("mousePressed", plane, start, buttons=1)
        for share in (0.3, 0.7, 1.0):
            ways = zip(start, end, strict=True)
            between = [one + round(share * (other - one)) for one, other in ways]
            self.mouse("mouseMoved", plane, between, buttons=1)
        self.mouse("mouseReleased", plane, end)

    def swipe(self, plane: str, start, end) -> None:
        """Drag with a finger."""
        for kind, point in (("Start", start), ("Move", start), ("Move", end), ("End", None)):
            points = []
            if point is not None:
                x, y = self.at(plane, point)
                points = [{"x": x, "y": y}]
            event = {"type": f"touch{kind}", "touchPoints": points}
            self.browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def select(self, landmark: str) -> None:
        self.run("document.querySelector(`.marks [data-name='${arguments[0]}']`).click()", landmark)
        self.frame()

    def frame(self) -> None:
        """Wait until what was asked for is drawn."""
        drawn = (
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )
        self.browser.execute_async_script(drawn)

    def mark(self, plane: str) -> list[float]:
        """Where the selected landmark is drawn in a plane."""
        dot = "document.querySelector(arguments[0])?.getAttribute"
        place = f"['cx', 'cy'].map((name) => Number({dot}(name)))"
        return self.run(f"return {place}", f".pane.{plane} .mark.selected .dot")

    def brightest(self, plane: str) -> list[float]:
        """Middle of what is bright in the picture of a plane."""
        script = """
            const canvas = document.querySelector(arguments[0]);
            const {width, height} = canvas;
            const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
            let [sum, x, y] = [0, 0, 0];
            for (let row = 0; row < height; row++) {
              for (let column = 0; column < width; column++) {
                const grey = data[4 * (row * width + column)];
                sum += grey; x += grey * (column + 0.5); y += grey * (row + 0.5);
              }
            }
            return [x / sum, y / sum];
        """
        return self.run(script, f".pane.{plane} canvas")

    def saved(self) -> int:
        """Wait until everything is saved, and return the version."""
        ready = "document.querySelector('.save')?.dataset.status === 'saved'"
        self.wait(ready)
        return int(self.run("return document.querySelector('.save').dataset.version"))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console."""
        messages = [entry["message"] for entry in self.browser.get_log("browser")]
        return [one for one in messages if not any(remark in one for remark in REMARKS)]


def on_disk(folder: Path, name: str):
    """World position of each landmark in the file of a volume, NaN of missing ones."""
    landmarks = read_landmarks(folder / f"{name}.mrk.json")
    return dict(zip(landmarks.names, landmarks.positions_world, strict=True))


def voxels_apart(one, other) -> float:
    """Largest distance along an axis of the scan, in voxels."""
    affine = oblique_affine()[:3, :3]
    return float(np.abs(np.linalg.solve(affine, np.asarray(one) - np.asarray(other))).max())


def edit_as_slicer_does(path: Path, name: str, shift_lps) -> None:
    """Move a landmark in a markups file, whatever else is in it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for point in content["markups"][0]["controlPoints"]:
        if point["label"] == name:
            point["position"] = [a + b for a, b in zip(point["position"], shift_lps, strict=True)]
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


def is_text(page: Page, name: str) -> bool:
    """Whether a name is shown as it is, and nothing was made of it."""
    made = page.run("return document.querySelectorAll('main b, main img').length")
    return name in re.sub(r"\s+", " ", page.text("body")) and made == 0
