"""Requests made from the API's own description: none is a defect, all answers are as described."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served_scans import NAMES, session_of, write_balls

from pin_lightning.annotation.app import create_app
from pin_lightning.annotation.volumes import volume_id

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
VERSIONS = st.none() | st.integers(0, 2)
KEYS = [volume_id("ball0"), volume_id("ball1"), "unknown"]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    session = session_of(write_balls(folder / "scans", 2), folder / "annotations")
    app = create_app(session, any_host=True)
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    session.close()


def operations(schema):
    """All but the stream of events, which does not end."""
    made = [one.ok() for one in schema.get_all_operations()]
    return [one for one in made if one.path != "/api/events"]


def cases(operation):
    """Requests as described, and others."""
    right, wrong = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    return operation.as_strategy(generation_mode=right) | operation.as_strategy(
        generation_mode=wrong
    )


def as_if_seen(case, version):
    """Let a save name landmarks that there are, and a version."""
    if isinstance(case.body, dict) and isinstance(case.body.get("landmarks"), list):
        case.headers["if-match"] = f'"{version}"'
        known = [one for one in case.body["landmarks"] if isinstance(one, dict)]
        case.body["landmarks"] = [
            {**one, "name": name} for one, name in zip(known, NAMES, strict=False)
        ]


@pytest.mark.slow
def test_answers_are_as_described(schema):
    for operation in operations(schema):

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=cases(operation), key=st.sampled_from(KEYS), version=VERSIONS)
        def answered(case, key, version):
            if "volume" in case.path_parameters:
                case.path_parameters["volume"] = key
            if (case.method, version) != ("PUT", None):
                as_if_seen(case, version)
            case.call_and_validate(checks=CHECKS)

        answered()


def test_all_routes_are_described(schema):
    found = {(one.method.upper(), one.path) for one in operations(schema)}
    assert {("GET", "/api/session"), ("PUT", "/api/volumes/{volume}")} <= found
