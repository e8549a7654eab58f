"""A short run of `killing`; longer ones are started by hand."""

import random

import killing
import pytest
import started_at_once

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def programs(place):
    return killing.programs(place)


@pytest.mark.parametrize("name", ["train, resident", "train, queue", "infer"])
def test_killed_at_any_moment_it_comes_to_the_same_end(name, programs, place, monkeypatch):
    """At a moment of its work: it is started at once."""
    monkeypatch.setattr(killing, "begin", started_at_once.begin)
    own = killing.own_folder(place, name)
    done = killing.kill_again_and_again(programs[name], own, 2, random.Random(0))
    assert done.wrong == []
    assert done.kills == 2


GOES_ON = "d.mkdir(exist_ok=True); (d / 'a').touch(); time.sleep(0.2); (d / 'b').write_text('b')"
FORGETS = "w = 'b' * (1 + d.exists()); d.mkdir(exist_ok=True); (d / 'a').touch(); time.sleep(0.2)"
FORGETS += "; (d / 'b').write_text(w)"
FAILS = "d.mkdir(); (d / 'a').touch(); time.sleep(0.2); (d / 'b').write_text('b')"


@pytest.mark.parametrize(
    ("script", "words"), [(GOES_ON, None), (FORGETS, "b differs"), (FAILS, "FileExistsError")]
)
def test_what_goes_wrong_is_found(script, words, tmp_path, monkeypatch):
    monkeypatch.setattr(killing, "AT_WORK", 1.0)
    before = f"import time, pathlib; d = pathlib.Path(r'{{}}'); {script}"

    def differences(first, second):
        same = (first / "b").read_text() == (second / "b").read_text()
        return [] if same else ["b differs"]

    program = killing.Program(
        lambda folder: ["-c", before.format(folder)],
        lambda folder: len(list(folder.iterdir())),
        differences,
        lambda folder: not (folder / "b").is_file(),
        "a",
        0.3,
    )
    done = killing.kill_again_and_again(program, tmp_path, 12, random.Random(0))
    if words is None:
        assert done.wrong == []
        assert done.kills == 12
        assert done.ends > 0
    else:
        assert words in done.wrong[0]
