"""Gathers what the seven criteria are judged from: looks, the keeper's word, a line of its own, a chat, the platform's log.

Everything is looked at anew and beside the keeper; what the keeper knows counts only for its own criterion, and for how long the
service has been up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from everwake.app.diagnosing import Doors
from everwake.checks import Checks, specs
from everwake.checks.heartbeat import follow, of_service
from everwake.errors import EverwakeError, OutOfReach
from everwake.fleet.schema import Check, Expect, Fleet, Service
from everwake.model import Beat, Criterion, DeployRecord, Observation, PlatformLine
from everwake.ports import Clock, Platform
from everwake.verify.criteria import (
    ROLLOVER,
    TALKS,
    Evidence,
    KeeperSaid,
    is_shutdown,
    judge,
    lacking,
    least_s,
    progress,
    seconds_left,
    title,
    tolerance_s,
)

__all__ = ["AskKeeper", "News", "Verified", "gathered"]

TICK_S = 0.5
LOOK_EVERY_S = 10.0
LOG_EVERY_S = 15.0
LINES_MOST = 5_000
SHUTDOWNS_MOST = 1_000
DEPLOYS_MOST = 10
EVENTS_MOST = 100
# Names of Render's event types.
_REPLACES = ("server_restarted", "service_suspended", "service_resumed", "plan_changed", "instance_count_changed")
TALK_S = 60.0
# Nobody waits for a platform that does not answer; the criterion is then not shown.
PLATFORM_S = 30.0
_BACKEND, _CHATBOT = "/api/v1/chat/personalities", "/api/v1/chatbot/personalities"

AskKeeper = Callable[[], Awaitable[KeeperSaid | None]]
"""How a keeper says the service stands; None: it does not watch it. Raises OutOfReach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """How far one service has come. titles: of its criteria.   left_s: how long it still takes if nothing goes wrong."""

    service: str
    criteria: tuple[Criterion, ...]
    progress: Mapping[str, float]
    titles: Mapping[str, str]
    left_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One service. titles: of all criteria.   lacking: those that are none of its, and why.   out_of_reach: something that was to
    be asked did not answer, so that a criterion could not be shown."""

    service: str
    at: datetime
    took_s: float
    criteria: tuple[Criterion, ...]
    titles: Mapping[str, str]
    lacking: Mapping[str, str]
    out_of_reach: tuple[str, ...] = ()

    @property
    def is_proved(self) -> bool:
        """Whether every criterion is met."""
        return bool(self.criteria) and all(criterion.met for criterion in self.criteria)


async def gathered(
    service: Service, fleet: Fleet, soak_s: float, checks: Checks, doors: Doors, keeper: AskKeeper | None, clock: Clock,
    told: Callable[[News], None], log_since: datetime | None = None,
) -> Verified:  # fmt: skip
    """Look at one service until everything that can be known is: as long as the soak takes, or shorter where one is not met.

    told: called about twice a second.   log_since: from when on the log counts; None: for the soak before now.
    """
    chat = await _chat_of(service, fleet, checks)
    return await _Scene(service, chat, soak_s, checks, doors, keeper, clock, log_since).run(told)


# --- whom to talk to --------------------------------------------------------------------------------------------------


async def _chat_of(service: Service, fleet: Fleet, checks: Checks) -> tuple[Service, str] | None:
    """The service with one check, which talks; and through whom. None where there is no chat.

    A fleet's chat goes through the backend, as a user's would: that of the service itself, or of one that depends on it.
    """
    written = next((check.spec for check in service.checks if check.kind == "chat"), None)
    if written is not None and not _is_straight(written, service):
        return _talking(service, written), ""
    spec = specs()["chat"]
    for other in (service, *(one for one in fleet.services if service.name in one.depends_on)):
        if await _offers(other, _BACKEND, checks):
            made = spec(url=other.url, through="backend", user_id="everwake-verify", poll_s=0.5)
            return _talking(service, made), other.name
    if written is not None:
        return _talking(service, written), ""
    if await _offers(service, _CHATBOT, checks):
        return _talking(service, spec(url=service.url, through="chatbot", user_id="everwake-verify")), ""
    return None


def _is_straight(spec: Any, service: Service) -> bool:
    """Whether a chat that is written for a service only goes to itself, in the usual way."""
    is_usual = not (spec.session_path or spec.message_path or spec.headers)
    return bool(spec.through == "chatbot" and is_usual and spec.url in ("", service.url))


def _talking(service: Service, spec: Any) -> Service:
    return replace(service, checks=(Check(kind="chat", spec=spec, every_s=TALK_S, timeout_s=TALK_S),), heartbeat=None)


async def _offers(service: Service, path: str, checks: Checks) -> bool:
    """Whether it answers that path with a list, which a page that answers everything does not."""
    asked = replace(service, health=path, expect=Expect(status=(200,)), checks=(), heartbeat=None)
    seen = await checks.look(asked)
    return seen.failure is None and '"items"' in seen.excerpt


# --- one service ------------------------------------------------------------------------------------------------------


class _Scene:
    """Everything that is seen of one service, as it comes."""

    def __init__(
        self, service: Service, chat: tuple[Service, str] | None, soak_s: float, checks: Checks, doors: Doors,
        keeper: AskKeeper | None, clock: Clock, log_since: datetime | None,
    ) -> None:  # fmt: skip
        self._service, self._chat, self._soak_s = service, chat, soak_s
        self._checks, self._doors, self._keeper, self._clock = checks, doors, keeper, clock
        self._began_at = clock.now()
        self._looks: list[Observation] = []
        self._said: list[KeeperSaid] | None = None if keeper is None else []
        self._beats: list[Beat] = []
        self._talks: list[Observation] = []
        # Of a log that may be long only what counts is kept, and which lines of its newest moment were read.
        self._lines: dict[str, PlatformLine] | None = None
        self._log_since = log_since or self._began_at - timedelta(seconds=soak_s)
        self._log_read, self._newest_at, self._newest_ids = 0, self._log_since, frozenset[str]()
        self._deploys: tuple[DeployRecord, ...] = ()
        self._replaced: tuple[datetime, ...] = ()
        self._instances: tuple[str, ...] = ()
        self._missing: dict[str, str] = {}
        self._out_of_reach: dict[str, str] = {}

    async def run(self, told: Callable[[News], None]) -> Verified:
        """Until all that can be known is known."""
        began_s = self._clock.monotonic()
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(one) for one in (self._look(), self._ask_keeper(), self._talk(), self._read())]
            if self._service.heartbeat:
                working.append(tasks.create_task(self._hold()))
            while True:
                await self._clock.sleep(TICK_S)
                seen = self._evidence()
                told(self._news(seen))
                if seconds_left(seen) <= 0 and not self._is_talking(seen):
                    break
            for task in working:
                task.cancel()
        await self._look_last()
        seen = self._evidence()
        told(self._news(seen))
        return Verified(
            service=self._service.name, at=self._began_at, took_s=self._clock.monotonic() - began_s, criteria=judge(seen),
            titles={name: title(name, seen) for name in _names(seen)}, lacking=lacking(seen),
            out_of_reach=tuple(self._out_of_reach.values()),
        )  # fmt: skip

    def _is_talking(self, seen: Evidence) -> bool:
        """Whether a conversation is still to come; where something is not met already it is not waited for."""
        return self._chat is not None and len(self._talks) < TALKS and all(one.met is not False for one in judge(seen))

    def _evidence(self) -> Evidence:
        lines = None if self._lines is None else tuple(sorted(self._lines.values(), key=lambda line: line.at))
        return Evidence(
            service=self._service.name, since=self._began_at, until=self._clock.now(), soak_s=self._soak_s,
            looks=tuple(self._looks), keeper=None if self._said is None else tuple(self._said),
            beat_every_s=self._service.heartbeat_every_s if self._service.heartbeat else None, beats=tuple(self._beats),
            has_chat=self._chat is not None, talks=tuple(self._talks), through=self._chat[1] if self._chat else "",
            log=lines, log_read=self._log_read, log_since=self._log_since, deploys=self._deploys, replaced=self._replaced,
            instances=self._instances, missing=self._missing,
        )  # fmt: skip

    def _news(self, seen: Evidence) -> News:
        return News(
            service=self._service.name,
            criteria=judge(seen),
            progress=progress(seen),
            titles={name: title(name, seen) for name in _names(seen)},
            left_s=seconds_left(seen),
        )

    @property
    def _least_s(self) -> float:
        return least_s(self._evidence())

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        every_s = max(1.0, min(LOOK_EVERY_S, self._least_s / 5))
        while True:
            self._looks.append(await self._checks.look(self._service))
            await self._clock.sleep(every_s)

    async def _look_last(self) -> None:
        """After the last conversation, and the log once more: what came of it shows now."""
        self._looks.append(await self._checks.look(self._service))
        await self._read_once()

    async def _ask_keeper(self) -> None:
        while self._keeper is not None and self._said is not None:
            try:
                said = await self._keeper()
            except OutOfReach as wrong:
                self._missing["keeper"] = self._out_of_reach["keeper"] = wrong.message
                self._said = None
                return
            if said is None:
                self._missing["keeper"] = "the keeper does not watch it"
                self._said = None
                return
            self._said.append(said)
            await self._clock.sleep(max(1.0, min(LOOK_EVERY_S, self._least_s / 5)))

    async def _hold(self) -> None:
        # A server whose own period is longer is asked, and its answer is a beat; within the tolerance, so that it counts.
        asked = of_service(self._service)
        spec = replace(asked, late_s=tolerance_s(asked.every_s) / 2)
        async with aclosing(follow(spec, self._service.name, self._checks.dialer, self._clock)) as beats:
            async for beat in beats:
                self._beats.append(beat)

    async def _talk(self) -> None:
        if self._chat is None:
            return
        pause_s = self._least_s / TALKS
        for _ in range(TALKS):
            self._talks.append(await self._checks.look(self._chat[0], "chat:0"))
            await self._clock.sleep(pause_s)

    # --- the platform -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while await self._read_once():
            await self._clock.sleep(LOG_EVERY_S)

    async def _read_once(self) -> bool:
        """Whether it is worth to ask once more."""
        try:
            async with asyncio.timeout(PLATFORM_S):
                platform = await self._doors.of(self._service)
                if platform is None:
                    named = self._service.platform
                    self._missing["log"] = f"there is no key for {named}" if named else "it names no platform"
                    return False
                await self._read_from(platform)
        except TimeoutError:
            self._missing["log"] = self._out_of_reach["log"] = "its platform does not answer"
            return False
        except EverwakeError as wrong:
            self._missing["log"] = wrong.message
            if isinstance(wrong, OutOfReach):
                self._out_of_reach["log"] = wrong.message
            return False
        return True

    async def _read_from(self, platform: Platform) -> None:
        found = await platform.find(
            id=self._service.platform_id, name=self._service.name, host=urlsplit(self._service.url).hostname
        )
        found = await platform.service(found.id)
        # With deploys of before: the shutdown that one of them brought may come minutes later.
        self._deploys = tuple(await platform.deploys(found.id, DEPLOYS_MOST))
        self._instances = found.instances or ()
        if "events" in platform.verbs:
            happened = await platform.events(found.id, self._log_since - ROLLOVER, EVENTS_MOST)
            self._replaced = tuple(one.at for one in happened if one.type in _REPLACES)
        lines = await platform.logs(found.id, self._newest_at, None, LINES_MOST)
        with suppress(KeyError):
            del self._missing["log"]
        fresh = [line for line in lines if line.type in ("app", "") and line.id not in self._newest_ids]
        self._log_read += len(fresh)
        known = self._lines or {}
        more = {line.id: line for line in fresh if is_shutdown(line)}
        self._lines = known if len(known) >= SHUTDOWNS_MOST else known | more
        newest_at = max((line.at for line in lines), default=self._newest_at)
        before = self._newest_ids if newest_at == self._newest_at else frozenset()
        self._newest_at, self._newest_ids = newest_at, before | {line.id for line in lines if line.at == newest_at}


def _names(seen: Evidence) -> Sequence[str]:
    return [*(criterion.name for criterion in judge(seen)), *lacking(seen)]
