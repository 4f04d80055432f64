"""Why a service is not up: gathers what the checks, the platform, the log and the variables say, and lets the rules judge.

The doctor is asked first and its findings go into the facts: capabilities meet here, as values.
"""

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from everwake.app.doctoring import in_variables_of
from everwake.app.fleet_file import looked_at
from everwake.app.platform import reach, simulated
from everwake.app.reach import running_keeper
from everwake.checks import Checks, specs
from everwake.checks._transfer import Manner
from everwake.clock import SystemClock
from everwake.diagnose import diagnose
from everwake.diagnose.documents import facts_of, problems_saved, saved
from everwake.diagnose.facts import Facts, facts_of_observation, lines_judged
from everwake.diagnose.log.signs import SignKind
from everwake.diagnose.look import Look
from everwake.doctor.context import Context
from everwake.doctor.examination import Study, study
from everwake.doctor.showing import Excerpt
from everwake.errors import EverwakeError, Finding, Misused, OutOfReach
from everwake.fleet.load import load
from everwake.fleet.naming import no_service
from everwake.fleet.redact import is_random, redact, redact_with
from everwake.fleet.schema import Fleet, Service
from everwake.model import (
    DeployRecord,
    Diagnosis,
    Failure,
    FailureKind,
    Observation,
    Phase,
    PlatformEvent,
    PlatformLine,
    PlatformService,
    State,
    VariableProblem,
)
from everwake.ports import Platform

__all__ = [
    "Asked", "Tick", "Told", "Why", "ask_platform", "facts_of_service", "or_why_not", "problems_of", "span", "why_deploy_failed",
    "why_document", "why_service",
]  # fmt: skip

LOG_WINDOW = timedelta(hours=2)
LINES_MOST = 2_000
DEPLOYS_MOST = 10
EVENTS_MOST = 50
PLATFORM_S = 30.0
SESSION_S = 20.0
# A service that goes down because of a session does so within a moment (seen in the mission's own incident).
AFTER_SESSION_S = 2.0
BODY_BYTES = 65_536
_AT_HOME = frozenset({"localhost_in_production", "bind_loopback", "insecure_scheme"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One of the five things looked at first. ok: None when it could not be, or was not, looked at.   said: in a few words."""

    name: str
    ok: bool | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A service, what was looked at, and what it comes to.

    since: when it left `up`, where somebody knows.   excerpts: values as they may be shown, by variable and problem.
    lines: of the log, those that were judged and no others.   variables: the raw ones. `--save` masks both.
    out_of_reach: why its platform could not be asked.
    """

    service: Service
    ticks: tuple[Tick, ...]
    diagnosis: Diagnosis
    facts: Facts
    at: datetime
    since: datetime | None = None
    excerpts: Mapping[tuple[str, str], Excerpt] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = field(default=None, repr=False)
    out_of_reach: str = ""

    def saved(self) -> dict[str, Any]:
        """The facts, masked, so that the case can be shared and replayed."""
        known = self.variables
        drawn = [value for value in (known or {}).values() if is_random(value)]
        variables = None if known is None else {key: redact_with(value, drawn) for key, value in known.items()}
        lines = [redact_with(line, drawn) for line in self.lines]
        return saved(replace(self.facts, id=self.service.name), lines, variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where to look. fleet: the fleet file, which need not exist.   data: folder of a live `up.json`.   environ: for secrets."""

    fleet: Path
    data: Path
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a platform told of one service. problem: why it could not be asked, in words; all else is empty then."""

    problem: str = ""
    is_out_of_reach: bool = False
    platform: str = ""
    service: PlatformService | None = None
    deploys: tuple[DeployRecord, ...] = ()
    events: tuple[PlatformEvent, ...] = ()
    lines: tuple[PlatformLine, ...] = ()
    variables: Mapping[str, str] | None = field(default=None, repr=False)


# --- from what somebody saved or pasted -------------------------------------------------------------------------------------


def why_document(document: object) -> tuple[Diagnosis, Facts]:
    """The diagnosis of one JSON document of facts; its variables go through the doctor. Raises Misused."""
    top = document if isinstance(document, Mapping) else {}
    inner = top.get("facts")
    if isinstance(inner, Mapping):
        top = document = inner
    context = top.get("context") if isinstance(top.get("context"), Mapping) else {}
    assert isinstance(context, Mapping)
    known = {**context, "platform": context.get("platform") or top.get("platform") or ""}
    facts_of(document)  # types first: the doctor takes only what is right
    problems: list[VariableProblem] = []
    variables = top.get("variables")
    if top.get("problems") is not None:  # a case that was saved: its variables are masked and were examined before
        problems += problems_saved(top["problems"])
    elif variables is not None:
        if not isinstance(variables, Mapping):
            raise Misused("variables is not an object", hint='write {"variables": {"NAME": "value"}}')
        problems += study({str(name): _text(value) for name, value in variables.items()}, known).problems
    dotenv = top.get("dotenv")
    if dotenv is not None:
        if not isinstance(dotenv, str):
            raise Misused("dotenv is not text", hint="it is the raw text of a .env file")
        problems += study(dotenv, known).problems
    facts = facts_of(document, problems)
    return diagnose(facts), facts


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def why_deploy_failed(service: PlatformService, record: DeployRecord, lines: Sequence[PlatformLine]) -> Diagnosis:
    """Why a deploy failed, from its record and what was said meanwhile."""
    return diagnose(
        facts_of_observation((), platform="render", service=service, deploys=(record,), lines=lines, has_log=True)
    )


# --- from a service that can be asked -----------------------------------------------------------------------------------------


async def why_service(name: str, asked: Asked) -> Why:
    """Look at everything there is of a service and say why it is not up.

    Raises:
        Misused: nobody knows a service of that name.
        BadFleet: the fleet file has mistakes.
    """
    clock = SystemClock()
    fleet = _fleet_of(asked)
    asking = asyncio.create_task(_ask_platform(name, asked))
    try:
        service = _service(name, fleet, None, asked) or _service(name, fleet, await asking, asked)
        if service is None:
            raise _nobody(name, fleet, asked)
        return await _why(service, asking, fleet, asked, clock)
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def _why(
    service: Service, asking: "asyncio.Task[Told]", fleet: Fleet | None, asked: Asked, clock: SystemClock
) -> Why:
    """Look while the platform is asked: a service that hangs takes its whole timeout."""
    allow_private = fleet.keeper.allow_private if fleet else True
    async with Checks(clock, allow_private=allow_private) as checks:
        first = await checks.look(service)
        session, after = (Tick(name="session", ok=None, said="not tried"), None)
        if first.failure is None:
            session, after = await _session(service, checks, clock)
    told = await asking
    seen = [after, first] if after is not None else [first]
    problems = problems_of(told, service, fleet, _running(asked))
    facts = facts_of_service(service, seen, told, problems, fleet, _running(asked))
    if session.ok is False and after is None:
        facts = _with_session(facts, service, session)
    diagnosis = diagnose(facts)
    ticks = (
        _platform_tick(told),
        _deploy_tick(told, facts, clock.now()),
        _variables_tick(told, problems),
        _health_tick(service, seen[0]),
        session,
    )
    return Why(
        service=service,
        ticks=ticks,
        diagnosis=diagnosis,
        facts=facts,
        at=clock.now(),
        since=_since(service, asked, fleet),
        excerpts={
            (one.problem.key, one.problem.problem): one.excerpt
            for one in (problems.findings if problems else ())
            if one.excerpt is not None
        },
        lines=tuple(lines_judged(told.lines, told.deploys)),
        variables=told.variables,
        out_of_reach=told.problem if told.is_out_of_reach else "",
    )


def _fleet_of(asked: Asked) -> Fleet | None:
    """The fleet file; without one, the file that a running `everwake up` has written."""
    for path in (asked.fleet, asked.data / "everwake.toml"):
        if path.exists():
            return load(path, asked.environ, specs())
    return None


def _service(name: str, fleet: Fleet | None, told: Told | None, asked: Asked) -> Service | None:
    """The service of that name: of the fleet file; of the platform, when that was asked already; else of a live `up.json`."""
    if fleet is not None:
        with suppress(KeyError):
            return fleet.service(name)
    if told is None:
        return None
    if (found := told.service) is not None and found.url:
        health, expect = looked_at(found)
        return Service(name=found.name, url=found.url.rstrip("/"), health=health, expect=expect)
    one = _running(asked).get(name)
    if isinstance(one, dict) and isinstance(one.get("url"), str):
        return Service(name=name, url=one["url"].rstrip("/"))
    return None


def _running(asked: Asked) -> Mapping[str, object]:
    known = (simulated(asked.data) or {}).get("services")
    return known if isinstance(known, dict) else {}


def _nobody(name: str, fleet: Fleet | None, asked: Asked) -> Misused:
    names = [service.name for service in fleet.services] if fleet else sorted(_running(asked))
    if names:
        return no_service(name, names)
    return Misused(
        f"no service is called {name[:60]}", hint=f"{asked.fleet} is not there; everwake check URL looks at any URL"
    )


async def _ask_platform(name: str, asked: Asked) -> Told:
    """What the platform of a service tells, however it is to be reached."""

    async def ask() -> Told:
        async with reach(asked.fleet, asked.data, asked.environ, name) as reached:
            return await ask_platform(reached.platform, reached.find(name))

    return await or_why_not(ask())


async def ask_platform(door: Platform, finding: Awaitable[PlatformService]) -> Told:
    """All that a platform tells of one service. Raises OutOfReach, Finding."""
    now, found = SystemClock().now(), await finding
    found = await door.service(found.id) if "service" in door.verbs else found
    deploys = await door.deploys(found.id, DEPLOYS_MOST) if "deploys" in door.verbs else ()
    events = await door.events(found.id, None, EVENTS_MOST) if "events" in door.verbs else ()
    lines = await door.logs(found.id, now - LOG_WINDOW, None, LINES_MOST) if "logs" in door.verbs else ()
    variables = await door.variables(found.id) if "variables" in door.verbs else None
    return Told(
        platform="render" if door.name == "sim" else door.name, service=found, deploys=tuple(deploys), events=tuple(events),
        lines=tuple(lines), variables=variables,
    )  # fmt: skip


async def or_why_not(telling: Awaitable[Told]) -> Told:
    """That a platform cannot be asked is told too, and costs a diagnosis only this place."""
    try:
        async with asyncio.timeout(PLATFORM_S):
            return await telling
    except (Misused, Finding) as problem:
        return Told(problem=problem.message)
    except OutOfReach as problem:
        return Told(problem=problem.message, is_out_of_reach=True)
    except TimeoutError:
        return Told(problem=f"its platform did not answer within {PLATFORM_S:g} s", is_out_of_reach=True)


def facts_of_service(
    service: Service, seen: Sequence[Observation], told: Told, problems: Study | None, fleet: Fleet | None,
    running: Mapping[str, object] | None = None,
) -> Facts:  # fmt: skip
    """Everything that is known of a service, as facts. seen: the newest look first.   running: services of a live `up.json`."""
    return facts_of_observation(
        seen, url=f"{service.url}{service.health}", platform=told.platform or service.platform or "", service=told.service,
        deploys=told.deploys, events=told.events, lines=told.lines, has_log=bool(told.lines),
        problems=problems.problems if problems else (), has_variables=problems is not None,
        variables=(told.variables or {}).values(),
        siblings=list(_others(service, fleet, running).values()),
    )  # fmt: skip


def _others(service: Service, fleet: Fleet | None, running: Mapping[str, object] | None) -> dict[str, str]:
    """Name -> URL of the services beside this one: of the fleet file, else of a live `up.json`."""
    if fleet is not None:
        return {one.name: one.url for one in fleet.services if one.name != service.name}
    found = {
        name: one.get("url") for name, one in (running or {}).items() if isinstance(one, dict) and name != service.name
    }
    return {name: url for name, url in found.items() if isinstance(url, str)}


def problems_of(
    told: Told, service: Service, fleet: Fleet | None, running: Mapping[str, object] | None = None
) -> Study | None:
    """What the doctor says of its variables; None when those are not known."""
    if told.variables is None:
        return None
    is_here = urlsplit(service.url).hostname in ("127.0.0.1", "localhost", "::1")
    # What runs on this machine finds the others there, whatever its variables say about production.
    known = {"service": service.name, "url": service.url, "siblings": _others(service, fleet, running)}
    context = Context.of(known, "" if is_here else told.platform)
    if fleet is not None and any(one.name == service.name for one in fleet.services):
        context = in_variables_of(service.name, fleet, context)
    found = study(told.variables, context)
    return replace(
        found, findings=tuple(one for one in found.findings if not is_here or one.problem.problem not in _AT_HOME)
    )


# --- a session ------------------------------------------------------------------------------------------------------------


async def _session(service: Service, checks: Checks, clock: SystemClock) -> tuple[Tick, Observation | None]:
    """Make a session, wait a moment, and look whether the service is still up. The look after it, when there was one."""
    path, headers, user = _session_path(service)
    if path is None:
        return Tick(name="session", ok=None, said="it is no chat service"), None
    manner = Manner(
        method="POST",
        headers=("Accept: application/json", "Content-Type: application/json", *headers),
        redirects=0,
        body=json.dumps({"user_id": user, "personality_id": "general-assistant"}).encode(),
        body_limit_bytes=BODY_BYTES,
        keep_bytes=BODY_BYTES,
    )
    answer = await checks.looker.ask(service.url + path, manner, SESSION_S)
    if answer.status in (404, 405) and not any(check.kind == "chat" for check in service.checks):
        return Tick(name="session", ok=None, said="it is no chat service"), None
    if answer.failure is not None or not 200 <= answer.status <= 299:
        why = (
            answer.failure.kind.value
            if answer.failure is not None
            else f"{answer.status} {_title(answer.body)}".strip()
        )
        return Tick(name="session", ok=False, said=f"none was made: {why}"), None
    await clock.sleep(AFTER_SESSION_S)
    after = await checks.look(service)
    if after.failure is None:
        return Tick(name="session", ok=True, said="made, and still up after it"), after
    return Tick(
        name="session", ok=False, said=f"made, and then down: {after.status or after.failure.kind.value}"
    ), after


def _session_path(service: Service) -> tuple[str | None, tuple[str, ...], str]:
    """Where a session is made: as its chat check says, else as the chatbot does when it has its keep-alive line."""
    for check in service.checks:
        if check.kind == "chat":
            through = "/api/v1/chat/sessions" if check.spec.through == "backend" else "/api/v1/chatbot/session"
            sent = tuple(
                f"{name}: {value if isinstance(value, str) else value.reveal()}"
                for name, value in (check.spec.headers or {}).items()
            )
            return check.spec.session_path or through, sent, check.spec.user_id
    is_chatbot = service.heartbeat is not None or "chatbot" in service.name
    return ("/api/v1/chatbot/session" if is_chatbot else None), (), "everwake"


def _title(body: bytes) -> str:
    with suppress(ValueError, RecursionError):
        found = json.loads(body)
        if isinstance(found, dict):
            return redact(str(found.get("code") or found.get("title") or found.get("detail") or ""))[:120]
    return ""


def _with_session(facts: Facts, service: Service, session: Tick) -> Facts:
    """A health path that answers while no session can be made: the refused session is what matters."""
    path = _session_path(service)[0] or "/"
    word = session.said.removeprefix("none was made: ")
    status = int(word[:3]) if word[:3].isdigit() else None
    failure = None if status is not None else Failure(kind=FailureKind.CLOSED_EARLY, phase=Phase.SESSION, detail=word)
    look = Look(
        url=f"{service.url}{path}",
        method="POST",
        status=status,
        body=json.dumps({"error": word}),
        failure=failure,
        check="chat",
        source="session",
    )
    return replace(facts, looks=(look, *facts.looks))


# --- ticks ----------------------------------------------------------------------------------------------------------------


def _platform_tick(told: Told) -> Tick:
    if told.service is None:
        return Tick(name="platform", ok=None, said=told.problem or "not asked")
    stopped = ", ".join(told.service.suspenders)
    plan = f"plan {told.service.plan}, " if told.service.plan else ""
    return Tick(
        name="platform", ok=not stopped, said=f"{plan}{f'suspended by {stopped}' if stopped else 'not suspended'}"
    )


def _deploy_tick(told: Told, facts: Facts, now: datetime) -> Tick:
    if told.service is None:
        return Tick(name="deploy", ok=None, said="not asked")
    if not told.deploys:
        return Tick(name="deploy", ok=None, said="it was never deployed")
    newest = told.deploys[0]
    when = newest.finished_at or newest.created_at
    ago = f" {span(now - when)} ago" if when is not None else ""
    root = facts.root()
    end = root or (facts.log.last(SignKind.EXIT, SignKind.BUILD, SignKind.PORT_TIMEOUT) if facts.log else None)
    if end is not None and facts.log is not None and _announces(end.text):
        # What a command is called may hold the words of an error: it is what it said that tells.
        end = next((one for one in facts.log.all(end.kind) if not _announces(one.text)), end)
    quoted = f', "{end.text[:80]}"' if end is not None and newest.has_failed else ""
    ok = None if newest.is_running else newest.status == "live"
    return Tick(name="deploy", ok=ok, said=f"{newest.id} {newest.status.replace('_', ' ')}{ago}{quoted}")


def _announces(line: str) -> bool:
    return line.startswith("==> Running ")


def _variables_tick(told: Told, found: Study | None) -> Tick:
    if found is None:
        return Tick(name="variables", ok=None, said="not asked")
    errors = [one for one in found.problems if one.is_error]
    if errors:
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        return Tick(name="variables", ok=False, said=f"{errors[0].key}: {errors[0].problem.replace('_', ' ')}{more}")
    advice = len(found.problems)
    count = len(told.variables or {})
    return Tick(name="variables", ok=True, said=f"{count} are right{f', advice on {advice}' if advice else ''}")


def _health_tick(service: Service, seen: Observation) -> Tick:
    routing = seen.headers.get("x-render-routing")
    ms = f"{seen.took_s * 1000:.0f} ms"
    if seen.failure is None:
        return Tick(name=service.health, ok=True, said=f"{seen.status} after {ms}")
    what = str(seen.status) if seen.status is not None else seen.failure.kind.value.replace("_", " ")
    return Tick(
        name=service.health, ok=False, said=f"{what}{f' x-render-routing: {routing}' if routing else f' after {ms}'}"
    )


def span(gone: timedelta) -> str:
    """A time that went by, in the largest unit that fits."""
    seconds = max(0, round(gone.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _since(service: Service, asked: Asked, fleet: Fleet | None) -> datetime | None:
    """When it left `up`, as a running keeper knows it."""
    keeper = running_keeper(asked.data, fleet.keeper.token if fleet else None)
    if keeper is None:
        return None
    with suppress(EverwakeError, ValueError):
        known = keeper.service(service.name) or {}
        since = known.get("since")
        if isinstance(since, str) and known.get("state") != State.UP.value:
            return datetime.fromisoformat(since)
    return None
