"""A short run of `fuzzing`; longer ones are started by hand."""

import os
import random
import signal

import fuzzing
import pytest

pytestmark = pytest.mark.slow

FILES = list(fuzzing.targets(None))
OF_A_RUN = ["run/run.json", "run/config.yaml", "run/checkpoint", "run.zip"]


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused_with_its_name(name, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzing, "KEPT", tmp_path)
    done = fuzzing.fuzz(name, count=300)
    assert done.found == ()
    assert done.read + done.refused == 300
    assert done.read > 0
    assert done.refused > 50


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_run_with_a_damaged_file_is_loaded_or_refused(name, short_run, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzing, "KEPT", tmp_path)
    done = fuzzing.fuzz(name, short_run, count=30)
    assert done.found == ()
    assert done.read + done.refused == 30
    assert done.refused > 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda path: 1 / 0, "ZeroDivisionError"),
        (lambda path: (_ for _ in ()).throw(ValueError("nothing said")), "does not name the file"),
        (lambda path: signal.pause(), "more than 1 s"),
        (lambda path: os.kill(os.getpid(), 9), "the process ended with -9"),
    ],
)
def test_what_goes_wrong_is_found(wrong, words, tmp_path, monkeypatch):
    """The first read, of the valid file, is right."""
    calls = []

    def read(path):
        calls.append(path)
        if len(calls) > 1:
            wrong(path)

    def make(folder):
        (folder / "a").write_bytes(b"1 2 3")
        return folder / "a"

    monkeypatch.setattr(fuzzing, "KEPT", tmp_path)
    monkeypatch.setattr(fuzzing, "MOST_SECONDS", 1)
    monkeypatch.setattr(fuzzing, "MOST_FOUND", 2)
    monkeypatch.setattr(fuzzing, "targets", lambda run: {"x": fuzzing.Target(make, read, True)})
    done = fuzzing.fuzz("x", count=3)
    assert len(done.found) == 2
    assert all(words in one for one in done.found)
    assert len(list(tmp_path.iterdir())) == 2


def test_changes_change_files_of_any_length():
    draw = random.Random(0)
    for content in (b"", b"a", b"1 2\n3", bytes(1000)):
        for text in (False, True):
            made = {fuzzing.damaged(content, text, draw) for _ in range(50)}
            assert len(made) > 3
