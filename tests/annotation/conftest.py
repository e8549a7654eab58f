"""A session of a few small volumes, without a run."""

import pytest
from served_scans import session_of, write_balls


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_balls(tmp_path_factory.mktemp("scans"))


@pytest.fixture
def session(scans, tmp_path):
    made = session_of(scans, tmp_path / "annotations")
    yield made
    made.close()
