"""A training that is begun, cancelled and begun again on the page, in a real browser."""

import pytest
from phantom_scans import TINY, write_places_of_a_head
from served_annotations import Page, Server

pytestmark = pytest.mark.slow

DONE, SECONDS = 5, 600


@pytest.fixture
def page(browser, tmp_path):
    """Six heads, five of which are done."""
    (tmp_path / "scans").mkdir()
    heads = write_places_of_a_head(tmp_path / "scans", DONE + 1)
    names = heads["head 0"].names
    given = (f"landmarks=[{','.join(names)}]", f"train={' '.join(TINY)}")
    server = Server(f"input={tmp_path / 'scans'}", f"output={tmp_path / 'done'}", *given)
    for head in range(DONE):
        rows = zip(names, heads[f"head {head}"].positions_world.tolist(), strict=True)
        landmarks = [{"name": name, "position": place} for name, place in rows]
        volume = server.volume(f"head {head}")
        content = {"landmarks": landmarks, "done": True}
        server.put(f"api/volumes/{volume['id']}", content, volume["version"])
    yield Page(browser, server)
    server.send("DELETE", "api/training", {})
    server.kill()


def test_a_training_is_cancelled_and_another_one_predicts(page):
    page.open()
    page.wait_for(".advice", "training pays now")
    page.press(".training .start")
    page.wait_for(".training [role=status]", "Learning")
    page.wait("document.querySelector('.advice').hidden")  # it is done
    seconds = "Number(document.querySelector('.training .note').innerText.match(/(\\d+) s/)?.[1])"
    first = page.wait(seconds)
    page.wait(f"{seconds} !== arguments[0]", first)  # it counts while nothing else happens
    page.press(".training .cancel")
    page.wait_for(".training [role=status]", "was cancelled")
    page.press(".training .start")
    page.wait_for(".training .note", "step", seconds=SECONDS)
    page.wait_for(".training [role=status]", "The new model is in use", seconds=SECONDS)
    numbers = page.text(".training .result")
    assert "Cases\n5" in numbers
    assert "Error on cases that it has not seen, mm" in numbers
    page.wait_for(".eyebrow", "Predicted by training 2")
    page.wait_for(".chip.predicted", "Predicted", seconds=SECONDS)
    assert "those of the model (training 2), which are fixed" in page.text("aside")
    assert page.run("return document.querySelector('.names').hidden")
    assert page.complaints() == []
