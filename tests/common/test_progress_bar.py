import gc
import threading
from io import StringIO

import pytest
from rich.console import Console

from pin_lightning.common.progress_bar import progress_bar


def terminal(file):
    return Console(file=file, force_terminal=True, width=80)


def count(items, console, fails=False):
    with progress_bar(items, "reading", len(items), console) as counted:
        for item in counted:
            if fails:
                error = ValueError(f"{item}: cannot be read")  # a reference cycle with the frame
                raise error


def test_all_items_come_and_are_counted():
    file = StringIO()
    with progress_bar("abc", "reading", 3, terminal(file)) as counted:
        assert list(counted) == ["a", "b", "c"]
    assert "reading" in file.getvalue()
    assert "100%" in file.getvalue()


def test_by_default_it_is_drawn_on_standard_error(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    with progress_bar("abc", "reading", 3) as counted:
        assert list(counted) == ["a", "b", "c"]
    output, errors = capsys.readouterr()
    assert output == ""
    assert "reading" in errors


@pytest.mark.parametrize("quiet", [False, True])
def test_nothing_is_shown_where_there_is_no_terminal_or_none_is_wanted(quiet):
    console = Console(file=StringIO(), force_terminal=quiet)
    before = threading.enumerate()
    with progress_bar("abc", "reading", 3, console, quiet) as counted:
        assert next(counted) == "a"
        assert threading.enumerate() == before
    assert console.file.getvalue() == ""


def test_a_loop_that_fails_leaves_no_thread():
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="a: cannot be read"):
        count("abc", terminal(StringIO()), fails=True)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)  # the one that draws still sleeps
        assert not thread.is_alive()


class Collecting(StringIO):
    """Frees what nobody holds in whatever thread draws the bar."""

    def write(self, text):
        gc.collect()
        return super().write(text)


def test_a_bar_after_a_loop_that_failed_does_not_wait_for_ever():
    console = terminal(Collecting())
    gc.freeze()  # what other tests hold need not be looked at again and again
    with pytest.raises(ValueError, match="a: cannot be read"):
        count("abc", console, fails=True)
    drawing = threading.Thread(target=count, args=("abc", console), daemon=True)
    drawing.start()
    drawing.join(20)
    assert not drawing.is_alive()
