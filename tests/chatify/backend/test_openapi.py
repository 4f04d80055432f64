"""The OpenAPI document is honest: whatever is sent, the answer is one that it names. Schemathesis makes what is sent."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatify.backend.app import create
from chatify.settings import BackendSettings, load
from tests.support.processes import running

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Living:
    """A backend whose chatbot answers, and a session in it."""

    url: str
    session_id: str


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("openapi")
    bot_variables = {"DATA_DIR": str(folder / "bot"), "AI_PROVIDER": "offline", "SESSION_RESPONSE_LIMIT": "10000"}
    with running("chatbot", bot_variables) as bot:
        variables = {"DATA_DIR": str(folder / "backend"), "CHATBOT_URL": bot.url, "RATE_LIMIT": "100000"}
        with running("backend", variables) as backend:
            answer = httpx.post(f"{backend.url}/api/v1/chat/sessions", json={"user_id": "u"})
            yield Living(backend.url, answer.json()["session_id"])


# Schemathesis makes its tests when pytest collects them, so the document is taken from the application itself.
schema = schemathesis.openapi.from_dict(create(load(BackendSettings, {})).openapi())


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_one_of_those_named(case: schemathesis.Case, living: Living) -> None:
    case.call_and_validate(base_url=living.url, checks=CHECKS)


@schema.include(path_regex="session_id").parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_to_a_session_that_lives_is_answered_as_named(case: schemathesis.Case, living: Living) -> None:
    case.path_parameters["session_id"] = living.session_id
    case.call_and_validate(base_url=living.url, checks=CHECKS)


def test_every_route_names_every_problem_it_may_answer() -> None:
    document = create(load(BackendSettings, {})).openapi()
    message = document["paths"]["/api/v1/chat/sessions/{session_id}/messages"]["post"]["responses"]
    assert {"200", "202", "401", "404", "409", "410", "413", "415", "422", "429", "502", "503", "504"} <= set(message)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]
