"""`everwake why`, against a real service, a real control API over HTTP, and as a person calls it."""

# ruff: noqa: E501 - lines of logs and answers are as long as they are

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.app.why import (
    Asked,
    Told,
    Why,
    facts_of_service,
    problems_of,
    why_deploy_failed,
    why_document,
    why_service,
)
from everwake.clock import SystemClock
from everwake.diagnose import diagnose
from everwake.diagnose.facts import lines_judged
from everwake.errors import Misused
from everwake.fleet.schema import Service
from everwake.model import DeployRecord, PlatformLine, PlatformService, State
from everwake.sim.records import DeployStatus, Suspender
from tests.support.answering import Answering, answering
from tests.support.fake_workspace import KEY, FakeWorkspace
from tests.support.sim_api import served

CLOCK = SystemClock()
ORIGINS = '["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"] -rsss'


@pytest.fixture
def there() -> Iterator[Answering]:
    with answering() as one:
        yield one


def says(*arguments: str, told: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "everwake", "why", *arguments]
    return subprocess.run(
        argv, input=told, capture_output=True, text=True, env={**os.environ, **env}, timeout=60, check=False
    )


async def asked(folder: Path, workspace: FakeWorkspace, url: str, name: str = "chatbot") -> Why:
    """Why, of a service at `url` whose platform is the workspace."""
    workspace.url = lambda service_id: url  # type: ignore[method-assign]  # its platform tells the same address
    async with served(workspace) as api:
        up = {
            "pid": os.getpid(),
            "platform": {"url": api.url, "key": KEY},
            "services": {each.name: {"id": each.id, "url": url} for each in workspace.held.values()},
        }
        (folder / "up.json").write_text(json.dumps(up))
        return await why_service(name, Asked(fleet=folder / "none.toml", data=folder, environ={}))


def ticks(why: Why) -> dict[str, bool | None]:
    return {tick.name: tick.ok for tick in why.ticks}


# --- a service with its platform ------------------------------------------------------------------------------------------------


async def test_the_missions_incident_is_told_by_five_ticks_and_its_cause(tmp_path: Path, there: Answering) -> None:
    workspace = FakeWorkspace(CLOCK)
    service = workspace.add("chatbot", env={"BACKEND_CORS_ORIGINS": ORIGINS, "PORT": "10000"})
    workspace.fails = DeployStatus.UPDATE_FAILED
    await workspace.create_deploy(service.id)
    for _ in range(6):
        workspace.deploys(service.id)
    workspace.say(service.id, "==> Running 'chatify chatbot'")
    workspace.say(
        service.id, "ValidationError: 1 validation error for Settings - BACKEND_CORS_ORIGINS: Extra data at position 88"
    )
    workspace.say(service.id, "==> Exited with status 1")
    there.answer(502, b"", {"x-render-routing": "no-deploy"})
    why = await asked(tmp_path, workspace, there.url)
    assert ticks(why) == {"platform": True, "deploy": False, "variables": False, "/health": False, "session": None}
    assert why.diagnosis.state is State.DOWN
    first = why.diagnosis.causes[0]
    assert (first.cause, first.remedy) == ("bad_env_var", "fix-variables")
    assert first.sure >= 0.95
    assert [(one.key, one.column) for one in why.diagnosis.variables if one.is_error] == [("BACKEND_CORS_ORIGINS", 88)]
    excerpt = why.excerpts["BACKEND_CORS_ORIGINS", why.diagnosis.variables[0].problem]
    assert excerpt.text[excerpt.start : excerpt.end].strip() == "-rsss"
    replayed, _ = why_document(json.loads(json.dumps(why.saved())))
    assert replayed.causes[0].cause == "bad_env_var"


async def test_a_service_that_its_owner_suspended_is_not_blamed_for_anything_else(
    tmp_path: Path, there: Answering
) -> None:
    workspace = FakeWorkspace(CLOCK)
    service = workspace.add("chatbot", suspenders=frozenset({Suspender.USER}))
    workspace.say(service.id, "INFO:     Shutting down")
    there.answer(503, b"", {"x-render-routing": "suspend-by-user"})
    why = await asked(tmp_path, workspace, there.url)
    assert ticks(why)["platform"] is False
    assert [one.cause for one in why.diagnosis.causes] == ["suspended_by_owner"]
    assert why.diagnosis.causes[0].remedy == "resume"


async def test_a_session_is_made_and_the_service_looked_at_again(tmp_path: Path) -> None:
    from tests.support.in_thread import InThread

    made: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await receive()
        made.append(f"{scope['method']} {scope['path']}")
        status = 503 if scope["path"] == "/health" and "POST /api/v1/chatbot/session" in made else 200
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json"), (b"x-render-routing", b"dynamic-free-error")]
                if status == 503
                else [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": b'{"session_id":"s"}'})

    with InThread(app) as server:
        workspace = FakeWorkspace(CLOCK)
        workspace.add("chatbot")
        why = await asked(tmp_path, workspace, server.url)
    assert made == ["GET /health", "POST /api/v1/chatbot/session", "GET /health"]
    assert ticks(why)["session"] is False
    assert "and then down" in why.ticks[-1].said
    assert why.diagnosis.state is not State.UP


async def test_a_health_path_that_answers_while_no_session_can_be_made_is_not_well(
    tmp_path: Path, there: Answering
) -> None:
    workspace = FakeWorkspace(CLOCK)
    workspace.add("chatbot")
    why = await asked(tmp_path, workspace, there.url)  # the stand-in answers POST with 501
    assert ticks(why)["/health"] is True
    assert ticks(why)["session"] is False
    assert why.diagnosis.causes[0].cause == "app_error"


async def test_a_platform_that_does_not_answer_costs_only_its_place(tmp_path: Path, there: Answering) -> None:
    (tmp_path / "up.json").write_text(
        json.dumps(
            {
                "pid": os.getpid(),
                "platform": {"url": "http://127.0.0.1:9/v1", "key": "k"},
                "services": {"web": {"id": "srv-1", "url": there.url}},
            }
        )
    )
    why = await why_service("web", Asked(fleet=tmp_path / "none.toml", data=tmp_path, environ={}))
    assert why.out_of_reach
    assert ticks(why) == {"platform": None, "deploy": None, "variables": None, "/health": True, "session": None}
    assert why.diagnosis.state is State.UP


async def test_a_name_that_nobody_knows_is_a_mistake_that_teaches(tmp_path: Path) -> None:
    workspace = FakeWorkspace(CLOCK)
    workspace.add("chatbot")
    with pytest.raises(Misused) as told:
        await asked(tmp_path, workspace, "http://127.0.0.1:9", name="chatbto")
    assert "chatbot" in (told.value.hint or "")


def test_a_deploy_that_failed_is_explained_from_what_it_said() -> None:
    service = PlatformService(id="srv-1", name="a", url="", type="web_service", plan="free")
    record = DeployRecord(id="dep-1", service_id="srv-1", status="update_failed")
    lines = [
        PlatformLine(id="1", at=CLOCK.now(), text="KeyError: 'OPENAI_API_KEY'"),
        PlatformLine(id="2", at=CLOCK.now(), text="==> Exited with status 1"),
    ]
    assert why_deploy_failed(service, record, tuple(lines)).causes[0].cause == "missing_env_var"


# --- as a person calls it -----------------------------------------------------------------------------------------------------------


def test_why_a_service_without_a_platform_key_opens_with_five_ticks(tmp_path: Path, there: Answering) -> None:
    fleet = tmp_path / "everwake.toml"
    fleet.write_text(f'[[service]]\nname = "web"\nurl = "{there.url}"\n')
    where = ("--fleet", str(fleet), "--data", str(tmp_path / "data"))
    well = says("web", *where)
    assert well.returncode == 0, well
    assert "web is up" in well.stdout
    there.answer(503, b"", {"x-render-routing": "suspend-by-user"})
    ill = says("web", *where)
    assert ill.returncode == 1
    rows = ill.stdout.splitlines()
    assert rows[0].startswith("✕ web is down - suspended_by_owner, 97 % sure")
    assert [row.split()[1] for row in rows[2:7]] == ["platform", "deploy", "variables", "/health", "session"]
    assert "x-render-routing: suspend-by-user" in ill.stdout
    assert "next" in rows[-1]


def test_why_as_json_is_one_document_and_save_can_be_replayed(tmp_path: Path, there: Answering) -> None:
    fleet, kept = tmp_path / "everwake.toml", tmp_path / "facts.json"
    fleet.write_text(f'[[service]]\nname = "web"\nurl = "{there.url}"\n')
    there.answer(429, b"", {"x-render-routing": "hibernate-rate-limited"})
    answer = says("web", "--json", "--save", str(kept), "--fleet", str(fleet), "--data", str(tmp_path / "data"))
    document = json.loads(answer.stdout)
    assert (document["id"], document["causes"][0]["cause"]) == ("web", "wake_throttled")
    assert [tick["name"] for tick in document["ticks"]] == ["platform", "deploy", "variables", "/health", "session"]
    replayed = says("--facts", str(kept))
    assert replayed.returncode == 1
    assert json.loads(replayed.stdout)["causes"] == document["causes"]


def test_pasted_text_is_recognised_and_its_variables_go_through_the_doctor() -> None:
    told = f"HTTP/2 502\nx-render-routing: no-deploy\n\nBACKEND_CORS_ORIGINS={ORIGINS}\n2026-01-01T11:29:58Z ValidationError: 1 validation error for Settings - BACKEND_CORS_ORIGINS: Extra data\n==> Exited with status 1\n"
    answer = says("-", told=told)
    assert answer.returncode == 1
    assert "recognised: an HTTP answer: 502, a .env of 1 variable, a log of 2 lines" in answer.stderr
    assert answer.stdout.startswith("✕ it is down - bad_env_var")
    assert "BACKEND_CORS_ORIGINS, column 88" in answer.stdout


def test_pasted_secrets_and_escape_sequences_are_never_printed() -> None:
    secret = "sk-" + "x9Y8" * 10
    told = f"Error: Incorrect API key provided: {secret}. \x1b]0;owned\x07 \x1b[31m<b>boom</b>\nOPENAI_API_KEY={secret}\n==> Exited with status 1\n"
    for options in (("-",), ("-", "--json")):
        answer = says(*options, told=told)
        assert secret not in answer.stdout + answer.stderr
        assert "\x1b" not in answer.stdout
        assert answer.returncode == 1


def test_facts_are_one_line_in_and_one_line_out_and_a_bad_line_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_text(
        '{"id":"a","http":{"status":200,"url":"https://a.com/health"}}\n\n{"id":"b","log":["==> Out of memory (used over 512Mi)"]}\n'
    )
    answer = says("--facts", str(file))
    assert answer.returncode == 1
    first, second = (json.loads(line) for line in answer.stdout.splitlines())
    assert (first["id"], first["state"], first["causes"]) == ("a", "up", [])
    assert (second["id"], second["causes"][0]["cause"]) == ("b", "out_of_memory")
    bad = says("--facts", "-", told='{"id":"a"}\n{"http":3}\nnonsense\n{"id":"c"}\n')
    assert bad.returncode == 2
    assert [json.loads(line)["id"] for line in bad.stdout.splitlines()] == ["a", "c"]
    assert "-:2: http is a number, not an object" in bad.stderr
    assert "-:3: this line is no JSON document" in bad.stderr


def test_facts_of_a_healthy_service_end_with_0() -> None:
    assert says("--facts", "-", told='{"id":"a","http":{"status":200,"url":"https://a.com/health"}}\n').returncode == 0
    assert says("--facts", "-", told='{"id":"a","variables":{"PORT":"8000"}}\n').returncode == 0


@pytest.mark.parametrize("arguments", [(), ("web", "--facts", "x"), ("--facts", "x", "--save", "y")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert says(*arguments).returncode == 2


def test_what_cannot_be_read_or_is_empty_ends_with_2(tmp_path: Path) -> None:
    assert says("--facts", str(tmp_path / "none")).returncode == 2
    assert says("-", told="").returncode == 2


# --- saved and replayed ------------------------------------------------------------------------------------------------------------

_OLD = (
    "redis.exceptions.ConnectionError: Error 111 connecting to red-abc:6379. Connection refused.",
    "==> Out of memory",
)
_SAID = (
    "KeyError: 'OPENAI_API_KEY'\n==> Exited with status 1",
    "Server listening on port 3000",
    "==> Port scan timeout reached, no open ports detected.",
    "x" * 1_900 + " words of a long line " + "y" * 300,
    "",
    "Error: card declined",
    "==> Exited with status 137",
    "INFO chatter",
    "Error: Cannot find module 'express'",
)


@given(st.lists(st.sampled_from(_SAID), max_size=8), st.integers(0, 700), st.booleans(), st.booleans())
def test_what_is_saved_of_a_log_is_what_was_judged(
    said: list[str], older: int, has_deploy: bool, is_by_instances: bool
) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    texts = [*(_OLD[n % 2] for n in range(older)), *said]
    lines = tuple(
        PlatformLine(
            id=str(n), at=began + timedelta(seconds=n - older), text=text,
            instance=f"srv-1-abcd{n % 2}" if is_by_instances else "",
        )
        for n, text in enumerate(texts)
    )  # fmt: skip
    deploys = (DeployRecord(id="dep-1", service_id="srv-1", status="live", created_at=began),) if has_deploy else ()
    service = Service(name="web", url="https://web.onrender.com")
    record = PlatformService(id="srv-1", name="web", url="", type="web_service", plan="free", suspenders=())
    told = Told(platform="render", service=record, deploys=deploys, lines=lines)
    facts = facts_of_service(service, (), told, None, None)
    why = Why(
        service=service, ticks=(), diagnosis=diagnose(facts), facts=facts, at=began,
        lines=tuple(lines_judged(lines, deploys)),
    )  # fmt: skip
    document = json.loads(json.dumps(why.saved()))
    assert len(document.get("log", ())) == (facts.log.lines if facts.log else 0)
    replayed, _ = why_document(document)
    assert replayed.causes == why.diagnosis.causes
    assert replayed.state is why.diagnosis.state


@pytest.mark.parametrize(
    "text", ["==> Exited with status 1", "Incorrect API key provided", "redis: connection refused"]
)
@pytest.mark.parametrize(
    "variables",
    [
        {"JWT_SECRET": "short "},
        {"REDIS_URL": "redis://default:Zx9yQ2rT8w@h.example.com:6379"},
        {"BACKEND_CORS_ORIGINS": ORIGINS},
        {"OPENAI_API_KEY": ""},
        {"PORT": "abc"},
    ],
)
def test_a_saved_case_keeps_what_the_doctor_found_in_values_that_are_masked(
    variables: dict[str, str], text: str
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    service = Service(name="web", url="https://web.onrender.com")
    record = PlatformService(id="srv-1", name="web", url="", type="web_service", plan="free", suspenders=())
    lines = (PlatformLine(id="1", at=at, text=text),)
    told = Told(platform="render", service=record, lines=lines, variables=variables)
    facts = facts_of_service(service, (), told, problems_of(told, service, None), None)
    why = Why(
        service=service, ticks=(), diagnosis=diagnose(facts), facts=facts, at=at, lines=tuple(lines_judged(lines)),
        variables=variables,
    )  # fmt: skip
    document = json.dumps(why.saved())
    assert "Zx9yQ2rT8w" not in document
    replayed, _ = why_document(json.loads(document))
    assert replayed.causes == why.diagnosis.causes
    assert replayed.variables == tuple(replace(one, value=None) for one in why.diagnosis.variables)


async def test_a_live_run_saves_the_lines_of_this_deploy_only(tmp_path: Path, there: Answering) -> None:
    workspace = FakeWorkspace(CLOCK)
    service = workspace.add("chatbot")
    for n in range(450):
        workspace.say(service.id, _OLD[n % 2], at=CLOCK.now() - timedelta(minutes=30))
    await workspace.create_deploy(service.id)
    workspace.say(service.id, "Error: Cannot find module 'express'")
    workspace.say(service.id, "==> Exited with status 1")
    there.answer(502, b"", {"x-render-routing": "no-deploy"})
    why = await asked(tmp_path, workspace, there.url)
    assert why.facts.log is not None
    document = json.loads(json.dumps(why.saved()))
    assert len(document["log"]) == why.facts.log.lines == 2
    replayed, _ = why_document(document)
    assert replayed.causes == why.diagnosis.causes


def test_text_of_strangers_cannot_turn_a_line_around_or_hide_in_it() -> None:
    hidden = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\U000e0041"
    told = f"Error: Cannot find module '{hidden}express'\n==> Exited with status 1\n"
    words, document = says("-", told=told), says("-", "--json", told=told)
    for answer in (words, document):
        assert answer.returncode == 1
        assert not set(hidden) & set(answer.stdout), answer.stdout
    assert "Cannot find module 'express'" in words.stdout
    assert hidden in json.loads(document.stdout)["causes"][0]["evidence"][0]["quote"]
