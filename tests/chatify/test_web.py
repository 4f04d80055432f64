"""What every FastAPI application of ours has: problem documents for whatever goes wrong."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from chatify.problems import Problem
from chatify.settings import ChatbotSettings, load
from chatify.web import create_app, problems
from tests.support.in_thread import InThread


class Incoming(BaseModel):
    text: str


@asynccontextmanager
async def live(app: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    settings = load(ChatbotSettings, {"BACKEND_CORS_ORIGINS": '["https://a.example"]'})
    app = create_app(title="A service", settings=settings, lifespan=live, body_limit_bytes=100)

    @app.post("/said", responses=problems(418))
    async def said(incoming: Incoming) -> dict[str, str]:
        if incoming.text == "tea":
            raise Problem(418, "teapot", "Short and stout.", retry_after_s=3, more={"spout": 1})
        if incoming.text == "boom":
            raise RuntimeError("a secret detail")
        return {"text": incoming.text}

    with InThread(app) as server:
        yield server.client


def test_a_problem_is_told_as_it_says(client: httpx.Client) -> None:
    answer = client.post("/said", json={"text": "tea"})
    assert answer.status_code == 418
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "3"
    assert answer.json() == {
        "type": "urn:everwake:problem:teapot", "title": "Teapot", "status": 418, "code": "teapot",
        "detail": "Short and stout.", "spout": 1,
    }  # fmt: skip


def test_what_nobody_expected_is_500_without_its_details_and_readable_for_an_allowed_page(client: httpx.Client) -> None:
    answer = client.post("/said", json={"text": "boom"}, headers={"Origin": "https://a.example"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["access-control-allow-origin"] == "https://a.example"


@pytest.mark.parametrize(
    ("body", "where"),
    [(b"{}", "body.text"), (b'{"text": 5}', "body.text"), (b"{", "body"), (b"", "body"), (b"\xff", None)],
)
def test_what_does_not_validate_says_where_and_never_what_was_sent(
    client: httpx.Client, body: bytes, where: str | None
) -> None:
    answer = client.post("/said", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    if where is not None:
        assert answer.json()["errors"][0]["where"] == where
    assert "input" not in answer.text.replace("Input should", "")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
def test_a_body_that_does_not_say_that_it_is_json_is_415(client: httpx.Client, kind: str | None) -> None:
    answer = client.post("/said", content=b'{"text": "hi"}', headers={} if kind is None else {"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"[" * 99, b'{"text": "\xff\xfe"}', b'{"text": ', b"", b"nonsense"])
def test_a_body_that_is_no_json_is_422_and_says_so(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/said", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    [error] = answer.json()["errors"]
    assert error["where"] == "body"
    assert error["what"] == "Field required" if not body else error["what"].startswith("Invalid JSON")


def test_a_body_nested_deeper_than_anybody_reads_is_422() -> None:
    settings = load(ChatbotSettings, {})
    app = create_app(title="A service", settings=settings, lifespan=live)

    @app.post("/said")
    async def said(incoming: Incoming) -> None: ...

    with InThread(app) as server:
        deep = b'{"text": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
        answer = server.client.post("/said", content=deep, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["detail"].startswith("body: Invalid JSON")


def test_a_body_that_is_too_large_is_413_also_through_fastapi(client: httpx.Client) -> None:
    answer = client.post(
        "/said", content=iter([b'{"text": "', b"x" * 200, b'"}']), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_the_document_tells_of_problems_and_not_of_fastapis_own(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    answers = document["paths"]["/said"]["post"]["responses"]
    assert {"200", "408", "413", "418", "422"} <= set(answers)
    for status in ("408", "413", "418", "422"):
        assert list(answers[status]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]
