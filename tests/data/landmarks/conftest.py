import pytest


@pytest.fixture
def save(tmp_path):
    """Writes a file, by default of a name with a blank."""

    def write(content, name="a case.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write
