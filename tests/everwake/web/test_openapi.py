"""The OpenAPI document is what the keeper does: every route is in it, and a fuzzer finds no answer that is not."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from starlette.routing import Route

from everwake.fleet.schema import Keeper
from everwake.model import Incident, State
from everwake.web import openapi
from everwake.web.app import create
from everwake.web.serving import listen, serving
from tests.support.fake_door import NOW, REFUSED, FakeDoor, look

UNDOCUMENTED = {"/login", "/logout", "/docs", "/openapi.json", "/static/{file:path}"}  # for people, not for programs

schema = schemathesis.openapi.from_dict(
    {
        **(document := openapi.document("test")),
        # A stream has no end to wait for: test_live.py reads it.
        "paths": {path: operations for path, operations in document["paths"].items() if path != "/api/v1/events"},
    }
)


@pytest.fixture(scope="module")
def keeper_url() -> Iterator[str]:
    """A keeper with something of everything, in a loop of its own."""
    door = FakeDoor("chatbot", "0")
    door.set("0", state=State.DOWN, failure=REFUSED, latency_ms=None, strip=(), heartbeat=None, incident="0")
    door.tell(Incident(id="0", service="0", opened_at=NOW, first=look("0", failure=REFUSED)))
    door.seen = [look("chatbot")]
    for n in range(3):
        door.say(f"line {n}", service="0")
    opened, end = threading.Event(), asyncio.Event()
    listener = listen("127.0.0.1", 0)
    loops: list[asyncio.AbstractEventLoop] = []

    async def keep() -> None:
        loops.append(asyncio.get_running_loop())
        async with serving(create(door, Keeper()), listener):
            opened.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(keep()), daemon=True)
    port = listener.getsockname()[1]
    thread.start()
    assert opened.wait(15)
    yield f"http://127.0.0.1:{port}"
    loops[0].call_soon_threadsafe(end.set)
    thread.join(15)


@schema.parametrize()
@settings(
    max_examples=15, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_answer_is_one_that_the_document_tells_of(case: Any, keeper_url: str) -> None:
    response = case.call(base_url=keeper_url)
    case.validate_response(
        response,
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.specs.openapi.checks.status_code_conformance,
            schemathesis.specs.openapi.checks.content_type_conformance,
            schemathesis.specs.openapi.checks.response_schema_conformance,
        ],
    )


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    app = create(FakeDoor("chatbot"), Keeper())
    routes = {
        (route.path, method)
        for route in app.routes
        if isinstance(route, Route) and route.path not in UNDOCUMENTED
        for method in (route.methods or ()) if method != "HEAD"
    }  # fmt: skip
    told = {(path, method.upper()) for path, operations in document["paths"].items() for method in operations}
    assert routes == told


def test_every_schema_that_is_referred_to_is_there() -> None:
    text = str(document)
    import re

    named = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert named == set(document["components"]["schemas"])
