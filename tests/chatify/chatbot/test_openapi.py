"""The OpenAPI document is honest: whatever is sent, the answer is one that it names. Schemathesis makes what is sent."""

import re
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatify.chatbot.app import create
from chatify.chatbot.described import document
from chatify.settings import ChatbotSettings, load
from tests.support.in_thread import InThread

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InThread]:
    variables = {"DATA_DIR": str(tmp_path_factory.mktemp("openapi")), "AI_PROVIDER": "offline", "RATE_LIMIT": "100000"}
    with InThread(create(load(ChatbotSettings, variables))) as running:
        yield running


# Schemathesis makes its tests when pytest collects them, when nothing runs yet.
schema = schemathesis.openapi.from_dict(document("Chatify Chatbot", "0"))


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_one_of_those_named(case: schemathesis.Case, server: InThread) -> None:
    case.call_and_validate(base_url=server.url, checks=CHECKS)


@schema.include(method="POST").parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_to_a_session_that_lives_is_answered_as_named(
    case: schemathesis.Case, server: InThread
) -> None:
    if "session_id" in case.path_parameters:
        case.path_parameters["session_id"] = _living(server)
    case.call_and_validate(base_url=server.url, checks=CHECKS)


def _living(server: InThread) -> str:
    if (
        not hasattr(server, "living")
        or server.client.get(f"/api/v1/chatbot/session/{server.living}").json()["responses_used"] > 15
    ):
        server.living = server.session()  # type: ignore[attr-defined]
    return str(server.living)  # type: ignore[attr-defined]


def test_every_route_names_every_problem_it_may_answer(server: InThread) -> None:
    document = server.client.get("/openapi.json").json()
    message = document["paths"]["/api/v1/chatbot/session/{session_id}/message"]["post"]["responses"]
    assert {"200", "401", "404", "409", "410", "413", "422", "429", "502", "503"} <= set(message)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400 and not path.startswith("/health"):
                    assert list(response["content"]) == ["application/problem+json"]
    assert "text/event-stream" in message["200"]["content"]
    assert not re.search("HTTPValidationError", str(document))
