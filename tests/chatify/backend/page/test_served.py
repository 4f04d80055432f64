"""The files of the chat page as they are served."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

import chatify.backend.page as page
from tests.support.fake_backend import fake_backend

STATIC = Path(page.__file__).parent / "static"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with fake_backend() as backend, httpx.AsyncClient(base_url=backend.url) as client:
        yield client


async def test_the_page_is_served_under_a_policy_that_allows_nothing_foreign_and_nothing_inline(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a b", "[::1]x", "a,b", ""])
async def test_a_made_up_host_does_not_get_into_the_policy(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/", headers={"Host": host})
    assert "connect-src 'self';" in answer.headers["content-security-policy"]


async def test_the_page_and_all_it_needs_weigh_less_than_30_kb_on_the_wire_and_60_kb_without_its_comments(
    client: httpx.AsyncClient,
) -> None:
    wire_bytes = code_bytes = 0
    for path in STATIC.iterdir():
        request = client.build_request("GET", "/" if path.name == "chat.html" else f"/static/{path.name}")
        answer = await client.send(request, stream=True)
        assert answer.status_code == 200, path.name
        wire_bytes += len(b"".join([chunk async for chunk in answer.aiter_raw()]))
        await answer.aclose()
        code_bytes += len(re.sub(r"/\*.*?\*/|^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M))
    assert wire_bytes < 30_000
    assert code_bytes < 60_000


async def test_a_file_that_did_not_change_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/chat.css")
    again = await client.get("/static/chat.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await client.get("/static/chat.js", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


async def test_who_cannot_unpack_gets_the_file_plain(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/chat.css", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == (STATIC / "chat.css").read_bytes()


@pytest.mark.parametrize(
    "name", ["nothing.js", "chat.html", "..%2f__init__.py", "%2e%2e/__init__.py", "../__init__.py", "chat.css/"]
)
async def test_only_the_files_of_the_page_are_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/{name}")).status_code in {404, 307}


async def test_head_answers_like_get_without_a_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


def test_no_file_names_a_foreign_host_or_turns_text_into_markup() -> None:
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        hosts = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not hosts, path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path.name
        )
        assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", text), path.name


def test_the_page_is_not_part_of_the_described_api() -> None:
    app = FastAPI()
    page.mount(app)
    assert app.openapi()["paths"] == {}
    assert page.__all__ == ["mount"]
