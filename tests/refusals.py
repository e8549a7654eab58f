"""What every refusal of a file looks like."""

from contextlib import contextmanager

import pytest


@contextmanager
def refused(path, message):
    """The block raises a ValueError of one line that names the file and matches the message."""
    with pytest.raises(ValueError, match=message) as caught:
        yield
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
