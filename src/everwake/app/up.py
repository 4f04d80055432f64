"""`everwake up`: the chat fleet as real processes on this machine, and the keeper that watches it."""

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from everwake.errors import DidNotStart, Finding, MissingExtra, Misused
from everwake.sim import ports, redis
from everwake.sim.claim import Claim
from everwake.sim.processes import ready
from everwake.sim.processes.fleet import Fleet, Patience, Witness
from everwake.sim.processes.group import Group
from everwake.sim.processes.process import Program
from everwake.sim.signals import Stopped, ToldToStop

__all__ = ["PASSED_ON", "Running", "Screen", "Up", "environment", "fleet_file", "run_up", "up"]

SERVICES = ("chatbot", "backend", "redis-service")
KEEPER = "keeper"
NEEDED = ("fastapi", "uvicorn", "websockets", "redis", "aiohttp", "pycurl", "jinja2")
PORT_RACES = 3

# What any process needs to run, find its libraries and reach the Internet as its user does.
SURROUNDINGS = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PYTHONPATH",
        "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "USERPROFILE",
        "APPDATA", "LOCALAPPDATA", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    }
)  # fmt: skip
_OF_ALL = ("BACKEND_CORS_ORIGINS", "DEBUG", "LOG_LEVEL", "PYTHON_VERSION")
_OF_SIGN_IN = (
    "REQUIRE_SIGN_IN", "FIREBASE_PROJECT_ID", "FIREBASE_CLIENT_EMAIL", "FIREBASE_CREDENTIALS", "FIREBASE_CREDENTIALS_FILE",
    "FIREBASE_PRIVATE_KEY", "SERVICE_TOKEN",
)  # fmt: skip
# The user's variables that each service reads; the others of docs/settings.md are for `up` to decide (a test compares).
PASSED_ON: Mapping[str, tuple[str, ...]] = {
    "chatbot": (
        *_OF_ALL, *_OF_SIGN_IN, "AI_PROVIDER", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_TIMEOUT",
        "SESSION_RESPONSE_LIMIT", "SESSION_TTL", "RATE_LIMIT", "MAX_REPLIES", "BODY_LIMIT", "PERSONALITIES_DIR",
    ),
    "backend": (*_OF_ALL, *_OF_SIGN_IN, "KEEPER_URL", "REPLY_WAIT", "RATE_LIMIT", "BODY_LIMIT"),
    "redis-service": _OF_ALL,
}  # fmt: skip
DECIDED = ("CHATBOT_URL", "DATA_DIR", "ENVIRONMENT", "HOST", "PORT", "REDIS_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What `everwake up` was asked for. port: the dashboard's; the services take the free ones behind it.   data: its folder."""

    port: int
    data: Path
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs, for a person. document: `up.json`.   urls: of the services; dashboard: the keeper's.

    redis, provider: a sentence each.
    """

    document: Mapping[str, Any]
    urls: Mapping[str, str]
    dashboard: str
    redis: str
    provider: str
    logs: Path


class Screen(Witness, Protocol):
    """Where a person looks."""

    def ready(self, running: Running) -> None:
        """Everything answers."""


def environment(environ: Mapping[str, str], names: tuple[str, ...] = ()) -> dict[str, str]:
    """What of `environ` a process is given: its surroundings, and the variables `names` when they are set."""
    return {
        name: value for name, value in environ.items()
        if name.upper() in SURROUNDINGS or name.startswith("LC_") or (name in names and value)
    }  # fmt: skip


async def up(asked: Up, environ: Mapping[str, str], screen: Screen) -> None:
    """Run the chat fleet until somebody says stop; returns when nothing of it is left.

    Raises:
        DidNotStart: a service did not become ready (Misused when its variables are why).
        AlreadyRunning, MissingExtra, Misused: before anything was started.
        Finding: the guardian was ended, so all was stopped.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra("the chat fleet", *missing)
    data = asked.data.resolve()
    with ToldToStop() as told, Claim(data) as claim, Group(claim.fileno) as group:
        for race in range(1, PORT_RACES + 1):
            plan = _plan(asked.port, data, environ, screen)
            try:
                async with Fleet(group, data / "logs", screen, asked.patience, told.hurry) as fleet:
                    await _run(plan, fleet, claim, told, screen)
                return
            except DidNotStart as failure:
                port = plan.port_of(failure.name)
                if ports.is_free(port) or race == PORT_RACES:
                    raise _explained(failure, data / "logs") from None
                screen.warn(f"port {port} was taken by somebody else meanwhile; starting over with others")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    services: tuple[Program, ...]
    keeper: Program
    redis: redis.OwnRedis | None
    data: Path

    def port_of(self, name: str) -> int:
        every = (*self.services, self.keeper, *([self.redis.program] if self.redis else []))
        return next(program.port for program in every if program.name == name)


def _plan(port: int, data: Path, environ: Mapping[str, str], screen: Screen) -> _Plan:
    """Who listens where and with which variables."""
    free = ports.free_from(port)
    names = (KEEPER, *SERVICES, *(() if environ.get("REDIS_URL") else ("redis",)))
    taken = dict(zip(names, free, strict=False))
    if len(taken) < len(names):
        raise Misused(f"there are not enough free ports from {port} on", hint="name a lower one with --port")
    for wanted in range(port, max(taken.values())):
        if wanted not in taken.values():
            screen.say(f"port {wanted} is taken, so it is skipped")
    own = redis.own(taken["redis"], data, environment(environ)) if "redis" in taken else None
    redis_url = own.url if own else environ["REDIS_URL"]

    def service(name: str, **decided: str) -> Program:
        url = f"http://{ports.HOST}:{taken[name]}"
        env = {
            **environment(environ, PASSED_ON[name]), **decided,
            "PORT": str(taken[name]), "HOST": ports.HOST, "ENVIRONMENT": "development", "REDIS_URL": redis_url,
            "DATA_DIR": str(data / name), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1",
        }  # fmt: skip
        # -P: a file of the folder `up` was called in must not pass for a module.
        argv = (sys.executable, "-P", "-m", "chatify", name)
        return Program(name=name, argv=argv, env=env, port=taken[name], ready=ready.http(f"{url}/health"))

    chatbot_url = f"http://{ports.HOST}:{taken['chatbot']}"
    services = (service("chatbot"), service("backend", CHATBOT_URL=chatbot_url), service("redis-service"))
    return _Plan(services=services, keeper=_keeper(taken[KEEPER], data, environ), redis=own, data=data)


def _keeper(port: int, data: Path, environ: Mapping[str, str]) -> Program:
    """The keeper as a process of its own: it must not fall with what it watches."""
    file = data / "everwake.toml"
    argv = (
        sys.executable, "-P", "-m", "everwake", "watch", "--fleet", str(file), "--data", str(data), "--port", str(port),
    )  # fmt: skip
    env = {**environment(environ), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    return Program(name=KEEPER, argv=argv, env=env, port=port, ready=ready.http(f"http://{ports.HOST}:{port}/health"))


def fleet_file(urls: Mapping[str, str]) -> str:
    """The `everwake.toml` of a run. urls: by service."""
    needs = {"backend": ["chatbot"]}
    services = "".join(
        f"""
[[service]]
name = "{name}"
url = "{url}"
expect = {{ status = 200, json = {{ status = "healthy" }} }}
heartbeat = "/ws/keepalive"
depends_on = {json.dumps(needs.get(name, []))}
repair = "auto"
"""
        for name, url in urls.items()
    )
    return (
        f'# Written by `everwake up` at every start, for its ports may change.\n\n[fleet]\nname = "chatify"\n{services}'
    )


async def _run(plan: _Plan, fleet: Fleet, claim: Claim, told: ToldToStop, screen: Screen) -> None:
    """From nothing to the word stop. Leaving the fleet's `async with` is what stops the processes."""
    try:
        if plan.redis:
            screen.say(f"REDIS_URL is not set: starting {plan.redis.said} on port {plan.redis.program.port}")
            await told.unless(fleet.start([plan.redis.program]))
        screen.say(f"starting {', '.join(SERVICES[:-1])} and {SERVICES[-1]}")
        await told.unless(fleet.start(plan.services))
        health = await ready.document(f"http://{ports.HOST}:{plan.services[0].port}/health")
        running = _running(plan, health)
        (plan.data / "everwake.toml").write_text(fleet_file(running.urls), encoding="utf-8")
        screen.say("starting the keeper")
        await told.unless(fleet.start([plan.keeper]))
        claim.publish(running.document)
        screen.ready(running)
        await told.unless(fleet.unguarded())
    except Stopped:
        claim.withdraw()
        screen.say("stopping; Ctrl-C again ends everything at once")
        return
    raise Finding("the guardian process was ended from outside, so everything is being stopped", hint="start again")


def _running(plan: _Plan, health: Mapping[str, Any]) -> Running:
    urls = {program.name: f"http://{ports.HOST}:{program.port}" for program in plan.services}
    dashboard = f"http://{ports.HOST}:{plan.keeper.port}"
    document = {
        "pid": os.getpid(),
        "dashboard": dashboard,
        "services": {name: {"id": f"srv-{name}", "url": url} for name, url in urls.items()},
    }
    redis_text = f"{plan.redis.said}" if plan.redis else "yours (REDIS_URL)"
    return Running(
        document=document, urls=urls, dashboard=dashboard, redis=redis_text, provider=_provider(health),
        logs=plan.data / "logs",
    )  # fmt: skip


def _provider(health: Mapping[str, Any]) -> str:
    """Who answers the chats, in a sentence, from the chatbot's /health: `{"provider": {"name", "note"}}`."""
    provider = health.get("provider")
    provider = provider if isinstance(provider, dict) else {}
    if provider.get("name", "offline") == "offline":
        note = f" ({provider['note']})" if provider.get("note") else ""
        return f"offline, a small talker of its own{note}; set OPENAI_API_KEY and start again for a model"
    return str(provider["name"])


def _explained(failure: DidNotStart, logs: Path) -> Finding | Misused:
    """The failure as a person needs it: wrong variables (a service's exit status 2) are theirs to mend."""
    said = "\n".join(f"    {line}" for line in failure.said)
    message = f"{failure.message}; its last lines:\n{said}" if said else failure.message
    if failure.status == 2:
        return Misused(message, hint="mend the variables named above and start again")
    return Finding(message, hint=f"its whole log is {logs / failure.name}.log")


def run_up(asked: Up, screen: Screen) -> None:
    """`up` from a program without an event loop, with this process's variables."""
    asyncio.run(up(asked, os.environ, screen))
