"""`everwake up`: the chat fleet on a simulated platform on this machine, and the keeper that watches it."""

import asyncio
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from everwake.app.fleet_file import Kept, kept, text_of
from everwake.app.rehearsing import KEY_FILE, Shown, environment, failed, keep_key, said_by, show
from everwake.errors import DidNotStart, Finding, MissingExtra, Misused
from everwake.model import PlatformService
from everwake.sim import ports
from everwake.sim.claim import Claim
from everwake.sim.processes import ready
from everwake.sim.processes.fleet import Fleet, Patience
from everwake.sim.processes.group import Group
from everwake.sim.processes.process import Program
from everwake.sim.records import Deploy, DeployStatus, Service, ServiceType
from everwake.sim.signals import Stopped, ToldToStop
from everwake.sim.simulator import Asked, Simulator

__all__ = ["CALM", "DECIDED", "FAST", "PASSED_ON", "Haste", "Running", "Screen", "Up", "run_up", "up"]

KEEPER = "keeper"
TALKERS = ("chatbot", "backend")
NEEDED = ("fastapi", "uvicorn", "websockets", "redis", "aiohttp", "pycurl", "jinja2", "yaml")
ANSWER_S = 5.0
# How far behind the dashboard's port the platform's begin.
PLATFORM_PORTS = 100

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
    "backend": (*_OF_ALL, *_OF_SIGN_IN, "REPLY_WAIT", "RATE_LIMIT", "BODY_LIMIT"),
    "redis-service": _OF_ALL,
}  # fmt: skip
DECIDED = ("CHATBOT_URL", "DATA_DIR", "ENVIRONMENT", "HOST", "KEEPER_TOKEN", "KEEPER_URL", "PORT", "REDIS_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Haste:
    """How fast the rehearsal runs. speed: of the platform's time.   every, heartbeat_every, chat_every, soak: of the keeper."""

    speed: float = 1.0
    every: str = "3m"
    heartbeat_every: str = "30s"
    chat_every: str = "15m"
    soak: str = "15m"


CALM = Haste()
# 15 min without anything inbound become 30 s: whoever stops the keeper sees the services fall asleep within a minute.
FAST = Haste(speed=30.0, every="5s", heartbeat_every="5s", chat_every="10s", soak="30s")
# As long as a slow model may think about it.
TALK = "60s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What `everwake up` was asked for. port: the dashboard's; the platform's begin 100 behind it.   data: its folder.

    blueprint: a render.yaml to rehearse; None for the chat fleet's own.
    """

    port: int
    data: Path
    haste: Haste = CALM
    blueprint: Path | None = None
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs, for a person. document: `up.json`.   urls: of the services; dashboard: the keeper's.

    down: services that do not serve, and what their last deploy came to.   redis, provider: a sentence each, "" where there is
    nothing to say.
    """

    document: Mapping[str, Any]
    urls: Mapping[str, str]
    dashboard: str
    down: Mapping[str, str]
    redis: str
    provider: str
    speed: float


class Screen(Shown, Protocol):
    """Where a person looks."""

    def ready(self, running: Running) -> None:
        """Everything answers."""


async def up(asked: Up, environ: Mapping[str, str], screen: Screen) -> None:
    """Run the fleet until somebody says stop; returns when nothing of it is left.

    Raises:
        DidNotStart: a service that never ran before did not come to run (Misused when its variables are why).
        AlreadyRunning, MissingExtra, BadBlueprint, Misused: before anything was started.
        Finding: the guardian was ended, so all was stopped.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra("the chat fleet", *missing)
    data = asked.data.resolve()
    with ToldToStop() as told, Claim(data) as claim, Group(claim.fileno) as group:
        port = next(ports.free_from(asked.port))
        if port != asked.port:
            screen.say(f"port {asked.port} is taken, so the dashboard takes {port}")
        dashboard = f"http://{ports.HOST}:{port}"
        wanted = _wanted(asked, data, dashboard, environ)
        try:
            async with (
                Simulator(wanted, group, screen) as simulator,
                # Left first: a keeper that outlives its platform would call everybody down.
                Fleet(group, data / "logs", screen, asked.patience, told.hurry) as fleet,
            ):
                await _Run(asked, data, dashboard, environ, screen).go(fleet, simulator, claim, told)
        except DidNotStart as failure:
            raise _explained(failure) from None


def _wanted(asked: Up, data: Path, dashboard: str, environ: Mapping[str, str]) -> Asked:
    """The simulator of this run."""
    names = PASSED_ON if asked.blueprint is None else {}
    decided = {
        name: {
            **{key: environ[key] for key in passed if environ.get(key)},
            "ENVIRONMENT": "development", "DATA_DIR": str(data / name),
        }
        for name, passed in names.items()
    }  # fmt: skip
    redis_url = environ.get("REDIS_URL", "")
    return Asked(
        data=data, blueprint=asked.blueprint, port=asked.port + PLATFORM_PORTS, speed=asked.haste.speed,
        surroundings=environment(environ), given=environ if asked.blueprint else {}, decided=decided,
        stores={"*": redis_url} if redis_url else {}, elsewhere={KEEPER: dashboard},
    )  # fmt: skip


class _Run:
    """One run: what it was asked for, and the steps from a platform that answers to the word stop."""

    def __init__(self, asked: Up, data: Path, dashboard: str, environ: Mapping[str, str], screen: Screen) -> None:
        self._asked, self._data, self._dashboard = asked, data, dashboard
        self._environ, self._screen = environ, screen

    async def go(self, fleet: Fleet, simulator: Simulator, claim: Claim, told: ToldToStop) -> None:
        """Leaving the fleet's and the simulator's `async with` is what stops the processes."""
        screen = self._screen
        for each in simulator.missing:
            if self._asked.blueprint is not None:
                screen.warn(f"{each.where}: {each.key} is not set: {each.why}")
        showing = asyncio.create_task(show(simulator, screen))
        try:
            screen.say(f"deploying {_listed([each.name for each in _run_here(simulator)])}")
            newest = await told.unless(self._deployed(simulator))
            self._describe(simulator)
            screen.say("starting the keeper")
            await told.unless(fleet.start([self._keeper()]))
            running = await self._running(simulator, newest)
            claim.publish(running.document)
            screen.ready(running)
            await told.unless(fleet.unguarded())
        except Stopped:
            screen.say("stopping; Ctrl-C again ends everything at once")
            return
        finally:
            claim.withdraw()
            showing.cancel()
        raise Finding("the guardian process was ended from outside, so everything is being stopped", hint="start again")

    async def _deployed(self, simulator: Simulator) -> Mapping[str, Deploy]:
        """Every service's newest deploy, once all have ended. One that never was live is tried again at every start.

        Raises:
            DidNotStart: such a one failed.
        """
        platform = simulator.platform
        for each in _run_here(simulator):
            deploys = platform.deploys(each.id)
            if not each.suspenders and deploys and not any(_was_live(one) or one.status.is_running for one in deploys):
                await platform.create_deploy(each.id)
        newest = await simulator.settled()
        for each in _run_here(simulator):
            if each.name in failed(newest) and not any(_was_live(one) for one in platform.deploys(each.id)):
                entries = said_by(simulator, each.id)
                exits = [one.details.get("reason") for one in platform.events(each.id) if one.type == "server_failed"]
                raise DidNotStart(
                    f"{each.name} did not come to run: its deploy is {newest[each.name].status.value}",
                    name=each.name, status=_exit_status(exits), said=tuple(one.text for one in entries),
                )  # fmt: skip
        return newest

    def _describe(self, simulator: Simulator) -> None:
        """The keeper's fleet file, and the platform's key beside it."""
        keep_key(self._data, simulator.owner.key)
        platform = simulator.platform
        described = [
            PlatformService(
                id=each.id, name=each.name, url=platform.url(each.id), type=each.type.value, plan=each.plan,
                health_path=each.health_check_path,
            )
            for each in platform.services(simulator.owner.id)
        ]  # fmt: skip
        variables = {each.name: platform.env(each.id) for each in platform.services(simulator.owner.id)}
        text = text_of(
            "chatify" if self._asked.blueprint is None else self._asked.blueprint.resolve().parent.name or "fleet",
            [self._watched(one) for one in kept(described, variables)],
            platform="sim", repair="auto", head="Written by `everwake up` at every start, for its ports may change.",
            access={"url": simulator.document["platform"]["url"], "api_key": {"file": KEY_FILE}},
            keeper={"soak": self._asked.haste.soak} if self._asked.haste != CALM else None,
        )  # fmt: skip
        (self._data / "everwake.toml").write_text(text, encoding="utf-8")

    def _watched(self, one: Kept) -> Kept:
        haste = self._asked.haste
        more: dict[str, object] = {**(one.more or {}), **({"every": haste.every} if haste != CALM else {})}
        if self._asked.blueprint is None:
            more |= {"expect": {"status": 200, "json": {"status": "healthy"}}, "heartbeat": "/ws/keepalive"}
            more |= {"heartbeat_every": haste.heartbeat_every} if haste != CALM else {}
        return Kept(
            name=one.name,
            url=one.url,
            health=one.health,
            plan=one.plan,
            id=one.id,
            depends_on=one.depends_on,
            more=more,
            checks=self._talks(one.name),
        )

    def _talks(self, name: str) -> tuple[Mapping[str, object], ...]:
        """What no health path shows: whether the chatbot's provider answers, and whether a user's message comes that far through
        the backend. Rarely, for a real provider bills for each. Where people have to sign in, nobody of ours can talk."""
        signs_in = self._environ.get("REQUIRE_SIGN_IN", "").strip().lower() not in ("", "false", "0", "no", "off")
        if self._asked.blueprint is not None or name not in TALKERS or signs_in:
            return ()
        return ({"kind": "chat", "through": name, "every": self._asked.haste.chat_every, "timeout": TALK},)

    def _keeper(self) -> Program:
        """The keeper as a process of its own: it must not fall with what it watches."""
        port = self._dashboard.rpartition(":")[2]
        argv = (
            sys.executable, "-P", "-m", "everwake", "watch", "--fleet", str(self._data / "everwake.toml"),
            "--data", str(self._data), "--port", port,
        )  # fmt: skip
        env = {**environment(self._environ), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
        return Program(name=KEEPER, argv=argv, env=env, port=int(port), ready=ready.http(f"{self._dashboard}/health"))

    async def _running(self, simulator: Simulator, newest: Mapping[str, Deploy]) -> Running:
        document = {"pid": os.getpid(), "dashboard": self._dashboard, **simulator.document}
        urls = {name: each["url"] for name, each in document["services"].items() if each["url"]}
        provider = redis = ""
        if self._asked.blueprint is None:
            health = await ready.document(f"{urls['chatbot']}/health")
            provider = _provider(health)
            redis = "yours (REDIS_URL)" if self._environ.get("REDIS_URL") else "one of its own"
        down = {name: newest[name].status.value.replace("_", " ") for name in failed(newest)}
        answering = await asyncio.gather(*(self._answers(simulator, each) for each in _run_here(simulator)))
        for each, answers in zip(_run_here(simulator), answering, strict=True):
            if not answers:
                down.setdefault(each.name, "does not answer")
            if each.suspenders:
                down[each.name] = f"suspended by {', '.join(sorted(each.suspenders))}"
        return Running(
            document=document, urls=urls, dashboard=self._dashboard, down=down, redis=redis, provider=provider,
            speed=self._asked.haste.speed,
        )  # fmt: skip

    async def _answers(self, simulator: Simulator, service: Service) -> bool:
        """Whether a service answers through the edge, after a moment if need be; one without an address cannot be asked."""
        url = simulator.platform.url(service.id)
        if not url or service.suspenders:
            return not service.suspenders
        look, until_s = (
            ready.http(f"{url}{service.health_check_path or '/'}"),
            asyncio.get_running_loop().time() + ANSWER_S,
        )
        while not await look():
            if asyncio.get_running_loop().time() >= until_s:
                return False
            await asyncio.sleep(0.1)
        return True


def _run_here(simulator: Simulator) -> list[Any]:
    runs = (ServiceType.WEB, ServiceType.PRIVATE, ServiceType.WORKER)
    return [each for each in simulator.platform.services(simulator.owner.id) if each.type in runs]


def _was_live(deploy: Deploy) -> bool:
    return deploy.status in (DeployStatus.LIVE, DeployStatus.DEACTIVATED)


def _exit_status(reasons: list[object]) -> int | None:
    """The newest exit status that the platform's events tell."""
    for reason in reasons:
        if isinstance(reason, dict) and isinstance(reason.get("nonZeroExit"), int):
            return int(reason["nonZeroExit"])
    return None


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _provider(health: Mapping[str, Any]) -> str:
    """Who answers the chats, in a sentence, from the chatbot's /health: `{"provider": {"name", "note"}}`."""
    provider = health.get("provider")
    provider = provider if isinstance(provider, dict) else {}
    if provider.get("name", "offline") == "offline":
        note = f" ({provider['note']})" if provider.get("note") else ""
        return f"offline, a small talker of its own{note}; set OPENAI_API_KEY and start again for a model"
    return str(provider["name"])


def _explained(failure: DidNotStart) -> Finding | Misused:
    """The failure as a person needs it: wrong variables (a service's exit status 2) are theirs to mend."""
    said = "\n".join(f"    {line}" for line in failure.said)
    message = f"{failure.message}; its last lines:\n{said}" if said else failure.message
    if failure.status == 2:
        return Misused(message, hint="mend the variables named above and start again")
    return Finding(message, hint=f"start again, or look at `everwake logs {failure.name}` while it is tried")


def run_up(asked: Up, screen: Screen) -> None:
    """`up` from a program without an event loop, with this process's variables."""
    asyncio.run(up(asked, os.environ, screen))
