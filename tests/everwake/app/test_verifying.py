"""The seven criteria of a real service on loopback: a keep-alive line, a chat, a keeper's word, a shutdown that is noticed."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from everwake.app.verifying import Asked, News, Verified, verify
from everwake.errors import Misused
from everwake.keepalive import KeepAlive
from everwake.web.serving import listen
from tests.support.fake_keeper import FakeKeeper, fake_keeper


@dataclass
class Chatting:
    """A backend with a chat. ill: from then on every look fails.   mute: its messages are answered with 503."""

    ill: bool = False
    mute: bool = False
    sessions: int = 0
    port: int = 0
    line: KeepAlive = field(default_factory=lambda: KeepAlive("a", every_s=1.0))

    @property
    def app(self) -> Starlette:
        base = "/api/v1/chat"
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route(f"{base}/personalities", self.personalities),
                Route(f"{base}/sessions", self.session, methods=["POST"]),
                Route(f"{base}/sessions/s/messages", self.message, methods=["POST"]),
                WebSocketRoute("/ws/keepalive", self.line),
            ]
        )

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "healthy"}, 503 if self.ill else 200)

    async def personalities(self, request: Request) -> Response:
        return JSONResponse({"items": [{"id": "general-assistant"}], "next": None})

    async def session(self, request: Request) -> Response:
        self.sessions += 1
        return JSONResponse({"session_id": "s"})

    async def message(self, request: Request) -> Response:
        return JSONResponse({"response": "Yes."}, 503 if self.mute else 200)


@asynccontextmanager
async def chatting() -> AsyncIterator[Chatting]:
    made, listener = Chatting(), listen("127.0.0.1", 0)
    made.port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(made.app, log_config=None, ws="websockets-sansio", lifespan="off"))
    task = asyncio.create_task(server._serve([listener]))
    try:
        yield made
    finally:
        server.should_exit = True
        async with asyncio.timeout(20):
            await task
        listener.close()


def fleet_file(folder: Path, chat: Chatting, more: str = "") -> Path:
    path = folder / "everwake.toml"
    path.write_text(
        f'[fleet]\nname = "f"\n[[service]]\nname = "a"\nurl = "http://127.0.0.1:{chat.port}"\nheartbeat = "/ws/keepalive"\n'
        f'heartbeat_every = "1s"\n{more}\n',
        encoding="utf-8",
    )
    return path


def know(keeper: FakeKeeper, folder: Path) -> None:
    """As `everwake watch` says that it runs."""
    (folder / "up.json").write_text(
        json.dumps({"pid": os.getpid(), "dashboard": keeper.url.rstrip("/")}), encoding="utf-8"
    )


async def verified(folder: Path, file: Path, soak_s: float = 3.0) -> tuple[Verified, list[News]]:
    news: list[News] = []
    asked = Asked(service="a", soak_s=soak_s, fleet=file, data=folder, environ={})
    (found,) = await verify(asked, news.append)
    return found, news


def met(found: Verified) -> dict[str, bool | None]:
    return {criterion.name: criterion.met for criterion in found.criteria}


async def test_six_are_shown_and_the_log_is_not_without_a_platform(tmp_path: Path) -> None:
    async with chatting() as chat, fake_keeper(FakeKeeper("a")) as keeper:
        know(keeper, tmp_path)
        found, news = await verified(tmp_path, fleet_file(tmp_path, chat))
        assert met(found) == {
            "health": True, "keeper": True, "heartbeat": True, "sessions": True, "messages": True, "uptime": True, "log": None,
        }  # fmt: skip
        assert not found.is_proved
        assert (chat.sessions, found.lacking, found.out_of_reach) == (3, {}, ())
        assert news[0].left_s > 0
        assert news[-1].progress["sessions"] == 1.0
        assert found.titles["heartbeat"] == "a heartbeat every 1 s"


async def test_a_message_that_is_not_answered_ends_it_early_and_is_named(tmp_path: Path) -> None:
    async with chatting() as chat:
        chat.mute = True
        async with asyncio.timeout(40):
            found, _ = await verified(tmp_path, fleet_file(tmp_path, chat), soak_s=600)
        assert met(found)["messages"] is False
        assert found.took_s < 30
        assert met(found)["keeper"] is None


async def test_a_service_that_falls_ill_meanwhile_is_not_alive(tmp_path: Path) -> None:
    async with chatting() as chat:
        later = asyncio.get_running_loop().call_later(3.0, lambda: setattr(chat, "ill", True))
        found, _ = await verified(tmp_path, fleet_file(tmp_path, chat), soak_s=600)
        later.cancel()
        assert (met(found)["health"], met(found)["uptime"]) == (False, False)


async def test_a_server_that_shuts_down_is_noticed_by_its_line_without_any_log(tmp_path: Path) -> None:
    async with chatting() as chat:
        later = asyncio.get_running_loop().call_later(3.0, lambda: asyncio.ensure_future(chat.line.close()))
        found, _ = await verified(tmp_path, fleet_file(tmp_path, chat), soak_s=600)
        later.cancel()
        assert met(found)["log"] is False
        said = next(criterion.said for criterion in found.criteria if criterion.name == "log")
        assert "its heartbeat was closed with code 10" in said


async def test_a_keeper_that_does_not_answer_is_out_of_reach(tmp_path: Path) -> None:
    async with chatting() as chat:
        (tmp_path / "up.json").write_text(json.dumps({"pid": os.getpid(), "dashboard": "http://127.0.0.1:9"}))
        found, _ = await verified(tmp_path, fleet_file(tmp_path, chat), soak_s=0)
        assert met(found)["keeper"] is None
        assert found.out_of_reach == ("the keeper at http://127.0.0.1:9 does not answer",)


async def test_a_name_that_is_none_of_the_fleet_is_told_what_there_is(tmp_path: Path) -> None:
    file = fleet_file(tmp_path, Chatting(port=9))
    asked = Asked(service="b", soak_s=0, fleet=file, data=tmp_path, environ={})
    with pytest.raises(Misused, match="no service is called b"):
        await verify(asked, lambda news: None)
    with pytest.raises(Misused, match="there is no fleet file"):
        await verify(
            Asked(service=None, soak_s=0, fleet=tmp_path / "no.toml", data=tmp_path, environ={}), lambda news: None
        )


async def test_the_command_says_it_with_its_exit_code_as_json_and_as_junit(tmp_path: Path) -> None:
    async with chatting() as chat, fake_keeper(FakeKeeper("a")) as keeper:
        know(keeper, tmp_path)
        argv = [
            sys.executable, "-m", "everwake", "verify", "--fleet", str(fleet_file(tmp_path, chat)), "--data", str(tmp_path),
            "--soak", "2s", "--junit", str(tmp_path / "ci.xml"), "--json",
        ]  # fmt: skip
        run = await asyncio.to_thread(subprocess.run, argv, capture_output=True, timeout=60, check=False)
    assert run.returncode == 1, run.stderr.decode()
    document = json.loads(run.stdout)
    assert document["proved"] is False
    assert [one["met"] for one in document["services"][0]["criteria"]] == [True] * 6 + [None]
    assert b"a: messages answered: met" in run.stderr
    root = ElementTree.parse(tmp_path / "ci.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "0", "1")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
async def test_on_a_terminal_each_criterion_has_a_bar(tmp_path: Path) -> None:
    file = fleet_file(tmp_path, Chatting(port=9))
    argv = [sys.executable, "-m", "everwake", "verify", "--fleet", str(file), "--data", str(tmp_path), "--soak", "0s"]
    ours, theirs = os.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"} | {"NO_COLOR": ""}
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=theirs, env=env) as run:
        os.close(theirs)
        told = b""
        with contextlib.suppress(OSError):  # its end is an error on Linux
            while piece := await asyncio.to_thread(os.read, ours, 65_536):
                told += piece
        assert await asyncio.to_thread(run.wait, 30) == 1
    os.close(ours)
    text = told.decode()
    for title in ("health is 200 consistently", "green at the keeper", "a heartbeat every 1 s"):
        assert title in text
    assert "\u2501" in text
