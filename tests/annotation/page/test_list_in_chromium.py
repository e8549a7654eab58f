"""The list of volumes in a real browser on a real server."""

import shutil

import pytest
from served_annotations import Page, Server, write_blob

pytestmark = pytest.mark.slow

FEWEST = 5
NAMES = ("tip", "base")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six scans, and one that cannot be read."""
    made = tmp_path_factory.mktemp("listed")
    (made / "scans").mkdir()
    write_blob(made / "scans" / "scan0.nii.gz", (30, 22, 19))
    for number in range(1, FEWEST + 1):
        shutil.copy(made / "scans" / "scan0.nii.gz", made / "scans" / f"scan{number}.nii.gz")
    (made / "scans" / "broken.nii.gz").write_bytes(b"nothing")
    return made


@pytest.fixture
def page(browser, folder, tmp_path):
    settings = (f"input={folder / 'scans'}", f"output={tmp_path}", f"landmarks=[{','.join(NAMES)}]")
    server = Server(*settings)
    yield Page(browser, server)
    server.kill()


def save(page, name, done=True):
    """Save a volume as a program does; returns its id."""
    volume = page.server.volume(name)
    position = page.server.centre(name)
    landmarks = [{"name": name, "position": position} for name in NAMES]
    content = {"landmarks": landmarks, "done": done}
    page.server.put(f"api/volumes/{volume['id']}", content, volume["version"])
    return volume["id"]


def test_what_cannot_be_read_is_named_and_never_next(page):
    page.open()
    page.wait_for("li:has([data-volume]) .chip.failed", "Failed")
    assert "broken.nii.gz" in page.text(".doubts")
    page.run("document.querySelector('.chip.failed').closest('li').querySelector('button').click()")
    page.wait_for(".chip.failed", "Failed")  # it still cannot be
    for number in range(1, FEWEST + 1):
        save(page, f"scan{number}")
    page.wait_for(".progress-text", "5 of 7 done")
    page.press(".top-actions .primary")
    page.wait_for(".volume-name", "scan0")
    page.wait("document.querySelector('.stage')?.dataset.sharp === 'true'")
    page.key("m")
    page.key("j")
    page.key("m")
    page.saved()
    page.key("a")
    page.wait_for(".progress-text", "6 of 7 done")  # back in the list: nothing is left
    assert page.run("return document.querySelector('.top-actions .primary').disabled")
    assert page.complaints() == []


def test_a_training_can_be_begun_once_there_are_enough_volumes(page):
    page.open()
    disabled = "document.querySelector('.training .start').disabled"
    page.wait_for(".training", "It needs 5 volumes that are done: 5 more.")
    assert page.run(f"return {disabled}")
    for number in range(FEWEST):
        page.wait_for(".training", f"{FEWEST - number} more.")
        assert page.run(f"return {disabled}")
        save(page, f"scan{number}")
    page.wait(f"!{disabled}")
    assert "more." not in page.text(".training")
    page.wait_for(".training", "It uses the 5 volumes that are done.")
    page.wait_for(".advice", "5 annotated: training pays now")  # as it is by now
    assert page.complaints() == []


def test_a_landmark_that_is_named_opens_the_volume_there(page):
    """What a run says is put into the answers of the server here, which has none."""
    doubt = {"kind": "radius", "text": f"look at landmarks {', '.join(NAMES)}", "landmarks": NAMES}
    script = """
        const [wanted, doubt] = arguments;
        const known = fetch;
        window.fetch = async (path, options) => {
          const reply = await known(path, options);
          if (!/api.volumes(.[0-9a-f]+)?$/.test(path) || options.method !== "GET") return reply;
          const body = await reply.json();
          const volumes = body.volumes ?? [body];
          volumes.filter((one) => one.id === wanted).forEach((one) => one.doubts.push(doubt));
          return new Response(JSON.stringify(body), { headers: reply.headers });
        };
    """
    key = save(page, "scan3", done=False)
    page.open()
    page.run(script, key, doubt)
    save(page, "scan4")  # the list is read again
    page.press(".doubts a", 1)
    page.wait("document.querySelector('.stage')?.dataset.sharp === 'true'")
    assert page.text(".volume-name") == "scan3"
    page.wait_for(".marks [aria-current=true]", NAMES[1])
    page.press(".doubts-line button", 0)
    page.wait_for(".marks [aria-current=true]", NAMES[0])
    assert page.complaints() == []


def test_why_nothing_is_predicted_is_said_as_long_as_it_holds(page):
    """A run is put into the answers of the server here, which has none."""
    page.open()
    page.wait_for(".progress-text", "0 of 7 done")
    script = """
        const known = fetch;
        window.problem = "No space left on device; it goes on by itself";
        window.fetch = async (path, options) => {
          const reply = await known(path, options);
          if (path !== "api/session") return reply;
          const run = { name: "run", waiting: 1, problem: window.problem };
          return new Response(JSON.stringify({ ...(await reply.json()), run }));
        };
    """
    page.run(script)
    change = {"kind": "add", "name": "more"}
    page.server.send("PATCH", "api/session/landmarks", change)
    page.wait_for(".top .problem", "No space left")
    page.run("window.problem = ''")
    page.server.send("PATCH", "api/session/landmarks", {**change, "kind": "remove"})
    page.wait("document.querySelector('.top .problem').hidden")
    assert page.complaints() == []
