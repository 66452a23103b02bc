"""The OpenAPI document: what it says is what the server does, for bodies of every kind."""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serve_fakes import Running, get

from jessyfile.serve.app import ROUTES
from jessyfile.serve.openapi import OPERATIONS, document

CHECKS = (not_a_server_error, response_schema_conformance, status_code_conformance, content_type_conformance)
EXAMPLES = int(os.environ.get("JESSY_EXAMPLES", "10"))
SCHEMA = schemathesis.openapi.from_dict(document())


def test_every_route_is_described_and_nothing_else() -> None:
    served = {
        (route.path.replace(":path", ""), method.lower())
        for route in ROUTES
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(one.path, one.method) for one in OPERATIONS} == served - {("/ui/{path}", "get")}


def test_the_server_tells_its_document(running: Running) -> None:
    assert get(f"{running.url}/openapi.json").json() == document()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_no_request_that_the_document_allows_or_forbids_breaks_the_server(running: Running, operation) -> None:
    """Schemathesis draws bodies after the document, sound and unsound; every answer is one that the document names."""
    found = SCHEMA[operation.path][operation.method]

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def try_one(case) -> None:
        case.call_and_validate(base_url=running.url, checks=CHECKS)

    modes = schemathesis.GenerationMode if operation.takes is not None else (schemathesis.GenerationMode.POSITIVE,)
    for mode in modes:
        given(case=found.as_strategy(generation_mode=mode))(try_one)()
