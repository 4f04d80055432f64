"""Render: services, deploys, events, logs and variables through its public API, by the official `render` package.

One adapter for the real Render and for the stand-in that `everwake up` and `everwake sim` run: only the address differs.
Facts: api-docs.render.com and Render's OpenAPI description, read 2026-11.
"""

import asyncio
import math
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from everwake.errors import Finding, OutOfReach
from everwake.model import DeployRecord, PlatformEvent, PlatformLine, PlatformService
from everwake.platforms import _intentions, _reading
from everwake.platforms._door import Answer, Door, Manners, NoSuch, Unclear
from everwake.platforms._following import Following
from everwake.platforms._kind import Access, PlatformKind
from everwake.platforms._pages import PAGE, pages
from everwake.platforms._variables import Variables
from everwake.ports import Clock

__all__ = ["API", "KEY_VARIABLE", "PLATFORM", "VERBS", "Render"]

API = "https://api.render.com/v1"
KEY_VARIABLE = "RENDER_API_KEY"
VERBS = frozenset(
    {
        "services", "find", "service", "deploys", "deploy", "cancel", "rollback", "follow", "restart", "suspend", "resume",
        "events", "logs", "follow_logs", "instance_counts", "variables", "set_variables",
    }
)  # fmt: skip

LOG_PAGES = 200
CALLS_PER_DEPLOY = 30
CUSTOM_DOMAINS_OF = 25  # services that are asked for their own domains when no address fits
REMEMBERED = 1_000  # intentions

# Looks at a deploy: after 0.5 s, then each a third later than the one before, at most two minutes. 24 of them reach 17 minutes,
# longer than the 15 that a health check may take; 6 more are for hints that something has happened.
STEP_FIRST_S, STEP_GROWTH, STEP_MOST_S = 0.5, 0.35, 120.0
HINTED_LOOKS = 6
TROUBLED_LOOKS = 6  # in a row


class Render:
    """`ports.Platform`. Every call ends within `Manners.patience_s` of waiting and `answer_s` for each answer.

    An intention (of `deploy` and `rollback`) is `<id>@<time>`: see `_intentions`.   name: "render", or "sim" for the stand-in.

    Raises: Misused for a key or an address that cannot be one.
    """

    verbs = VERBS

    def __init__(
        self,
        access: Access,
        clock: Clock,
        *,
        name: str = "render",
        manners: Manners | None = None,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._clock = clock
        self._door = Door(name, access.url or API, access.key, KEY_VARIABLE, clock, manners or Manners(), roll)
        self._variables = Variables(self._door)
        self._owners: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._fulfilled: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._intended_at: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._nudges: dict[str, set[asyncio.Event]] = {}

    def __repr__(self) -> str:
        return f"Render({self.name}, {self._door.url})"

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._door.calls

    async def aclose(self) -> None:
        """Let its connections go."""
        await self._door.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- services -----------------------------------------------------------------------------------------------------

    async def services(self) -> Sequence[PlatformService]:
        """All that the key can see."""
        return await self._services()

    async def _services(self, **filters: Any) -> Sequence[PlatformService]:
        rows = await pages(self._door, "services.list_services", "service", **filters)
        return [self._door.read(_reading.service, row) for row in rows]

    async def find(self, *, id: str | None, name: str, host: str | None) -> PlatformService:
        """One service by its id, else by name, else by the host (`host[:port]`, or a URL) of its address or its own domain.

        Raises:
            Finding: there is none, or there are several (they are listed).
        """
        if id:
            try:
                return await self.service(id)
            except NoSuch:
                raise Finding(
                    f"{self.name} has no service {id}", hint="`everwake init` lists those that the key sees"
                ) from None
        named = [each for each in await self._services(name=[name]) if each.name == name] if name else []
        wanted = host or ""
        if len(named) > 1 and wanted:
            named = [each for each in named if _reading.is_at(each.url, wanted)] or named
        if not named and wanted:
            everyone = await self._services()
            named = [each for each in everyone if _reading.is_at(each.url, wanted)] or await self._by_domain(
                everyone, wanted
            )
        if not named:
            asked = " or ".join(filter(None, [f"named {name}" if name else "", f"at {wanted}" if wanted else ""]))
            raise Finding(
                f"{self.name} has no service {asked}", hint="set platform_id, or see what the key's workspace holds"
            )
        if len(named) > 1:
            candidates = ", ".join(f"{each.id} ({each.name}, {each.url or each.type})" for each in named[:10])
            raise Finding(
                f"{len(named)} services could be meant: {candidates}", hint="set platform_id to one of these ids"
            )
        return named[0]

    async def _by_domain(self, services: Sequence[PlatformService], host: str) -> list[PlatformService]:
        """Custom domains, which only the service itself tells."""
        found = []
        for each in [one for one in services if one.url][:CUSTOM_DOMAINS_OF]:
            rows = await pages(self._door, "custom_domains.list_custom_domains", "customDomain", each.id, most=PAGE)
            if any(_reading.is_at(_reading.text(row, "name").lower(), host) for row in rows):
                found.append(each)
        return found

    async def service(self, id: str) -> PlatformService:
        """One service as it stands now, with its instances (None where the platform does not tell)."""
        found = self._door.read(_reading.service, (await self._door.ask("services.retrieve_service", id)).data)
        self._owners[found.id] = found.owner_id
        try:
            running = self._door.read(_reading.instances, (await self._door.ask("services.list_instances", id)).data)
        except Finding:
            return found  # a static site has none to list
        return replace(found, instances=running)

    async def restart(self, id: str) -> None:
        """New instances of the same deploy. Not repeated when its answer is lost: that is told instead."""
        try:
            await self._door.ask("services.restart_service", id)
        except Unclear as lost:
            raise OutOfReach(
                f"{lost.message}; it is not known whether {id} was restarted", hint="look at its events"
            ) from None

    async def suspend(self, id: str) -> None:
        """Stop it until `resume`."""
        await self._settled("services.suspend_service", id, lambda service: "user" in service.suspenders)

    async def resume(self, id: str) -> None:
        """Undo the owner's `suspend`."""
        await self._settled("services.resume_service", id, lambda service: "user" not in service.suspenders)

    async def _settled(self, operation: str, id: str, is_done: Callable[[PlatformService], bool]) -> None:
        """A write whose effect can be seen: when its answer is lost, that is looked at."""
        try:
            await self._door.ask(operation, id)
        except Unclear as lost:
            if not is_done(await self.service(id)):
                raise OutOfReach(f"{lost.message}; it was not done", hint="try again") from None

    async def instance_counts(self, id: str, since: datetime, until: datetime) -> Sequence[tuple[datetime, float]]:
        """How many instances ran, oldest first, in steps of at most an hour and at most 1,000 of them."""
        span_s = max(1.0, (until - since).total_seconds())
        answer = await self._door.ask(
            "metrics.get_instance_count", start_time=since, end_time=until, resource=id,
            resolution_seconds=float(min(3_600, max(60, math.ceil(span_s / 1_000)))),
        )  # fmt: skip
        return self._door.read(_reading.counts, answer.data)

    # --- deploys ------------------------------------------------------------------------------------------------------

    async def deploys(self, id: str, most: int = 20) -> Sequence[DeployRecord]:
        """The newest first."""
        rows = await pages(self._door, "deploys.list_deploys", "deploy", id, most=most)
        found = [self._door.read(_reading.deploy, row, id) for row in rows]
        return sorted(found, key=lambda each: each.created_at.timestamp() if each.created_at else 0.0, reverse=True)

    async def _one(self, id: str, deploy_id: str, tries: int | None = None) -> DeployRecord:
        answer = await self._door.ask("deploys.retrieve_deploy", id, deploy_id, tries=tries)
        return self._door.read(_reading.deploy, answer.data, id)

    async def deploy(self, id: str, *, intention: str, clear_cache: bool = False) -> DeployRecord:
        """Deploy the latest commit; once for one intention.

        Before anything is created, a deploy that was made since the intention's time is looked for, by the API or by a variable
        that was written, and adopted. An answer that got lost is looked for likewise and never simply asked for again.
        """
        body = (await self._door.model("CreateDeployBody"))()
        if clear_cache:
            body.clear_cache = (await self._door.model("CreateDeployBodyClearCache")).CLEAR
        triggers = ("api",) if clear_cache else ("api", "service_updated")
        return await self._once(id, intention, triggers, lambda: self._door.ask("deploys.create_deploy", id, body=body))

    async def rollback(self, id: str, deploy_id: str, *, intention: str) -> DeployRecord:
        """Deploy again what `deploy_id` had deployed; once for one intention."""
        target = await self._one(id, deploy_id)
        body = (await self._door.model("RollbackDeployBody"))(deploy_id=deploy_id)
        return await self._once(
            id,
            intention,
            ("rollback",),
            lambda: self._door.ask("deploys.rollback_deploy", id, body=body),
            lambda each: each.commit_id == target.commit_id,
        )

    async def _once(
        self,
        id: str,
        words: str,
        triggers: Collection[str],
        create: Callable[[], Awaitable[Answer]],
        is_it: Callable[[DeployRecord], bool] = lambda _: True,
    ) -> DeployRecord:
        async with self._locks.setdefault(id, asyncio.Lock()):
            if (known := self._fulfilled.get((id, words))) is not None:
                return await self._one(id, known)
            others = {deploy for (service, _), deploy in self._fulfilled.items() if service == id}
            made_at = _intentions.read(words).made_at or self._intended_at.setdefault((id, words), self._clock.now())

            async def made(not_these: Collection[str]) -> tuple[DeployRecord | None, Sequence[DeployRecord]]:
                listed = await self.deploys(id, PAGE)
                # Asked first: the difference between the clocks is known only after an answer.
                since = self._door.platform_time(made_at) - _intentions.TOLERANCE
                if (written_at := self._variables.written_at(id)) is not None:
                    since = max(since, written_at - _intentions.TOLERANCE)
                return _intentions.adoptable(
                    listed, since=since, triggers=triggers, not_these=not_these, is_it=is_it
                ), listed

            found, before = await made(others)
            for n in range(2):
                if found is not None:
                    break
                try:
                    answer = await create()
                except Unclear as lost:
                    found = await self._appeared(made, others | {each.id for each in before})
                    # After nothing at all was said it may still be on its way; only what was answered is tried once more.
                    if found is None and (n or not lost.answered):
                        hint = "call again with the same intention: it finds the deploy if there is one"
                        raise OutOfReach(f"{lost.message}; no deploy has appeared", hint=hint) from None
                    continue
                # 202 is "queued": the deploy is there, or will be, but is not told.
                found = (
                    self._door.read(_reading.deploy, answer.data, id)
                    if answer.data is not None
                    else await self._appeared(made, others | {each.id for each in before})
                )
                break
            if found is None:
                raise OutOfReach(
                    f"{self.name} queued a deploy that has not appeared", hint="call again with the same intention"
                )
            self._fulfilled[id, words] = found.id
            for memory in (self._fulfilled, self._intended_at):
                while len(memory) > REMEMBERED:
                    memory.popitem(last=False)
            return found

    async def _appeared(
        self,
        made: Callable[[Collection[str]], Awaitable[tuple[DeployRecord | None, Sequence[DeployRecord]]]],
        before: Collection[str],
    ) -> DeployRecord | None:
        for wait_s in self._door.manners.settle_s:
            await self._clock.sleep(wait_s)
            if (found := (await made(before))[0]) is not None:
                return found
        return None

    async def cancel(self, id: str, deploy_id: str) -> DeployRecord:
        """Stop a deploy that is under way."""
        try:
            answer = await self._door.ask("deploys.cancel_deploy", id, deploy_id)
        except Unclear as lost:
            found = await self._one(id, deploy_id)
            if found.is_running:
                raise OutOfReach(f"{lost.message}; {deploy_id} still runs", hint="try again") from None
            return found
        return self._door.read(_reading.deploy, answer.data, id)

    async def follow(self, id: str, deploy_id: str) -> AsyncIterator[DeployRecord]:
        """Its status, each time it changes, until it has ended; at most 30 calls.

        The step between looks grows with the time that the deploy takes. While `follow_logs` of the same service is read, a
        line of the platform's own (`==> `) brings the next look forward, six times at most.

        Raises:
            OutOfReach: six looks in a row had no answer, or it still runs after the last one.
        """
        nudge, last, troubles, hints = asyncio.Event(), "", 0, HINTED_LOOKS
        self._nudges.setdefault(id, set()).add(nudge)
        began_s = self._clock.monotonic()
        try:
            for n in range(CALLS_PER_DEPLOY):
                try:
                    found = await self._one(id, deploy_id, tries=1)
                except OutOfReach:
                    troubles += 1
                    if troubles == TROUBLED_LOOKS:
                        raise
                else:
                    troubles = 0
                    if found.status != last:
                        last = found.status
                        yield found
                    if not found.is_running:
                        return
                if n < CALLS_PER_DEPLOY - 1:
                    gone_s = self._clock.monotonic() - began_s
                    step_s = min(STEP_FIRST_S + STEP_GROWTH * gone_s, STEP_MOST_S)
                    hints -= await self._pause(step_s, nudge if hints else None)
        finally:
            self._nudges[id].discard(nudge)
        minutes = math.ceil((self._clock.monotonic() - began_s) / 60)
        raise OutOfReach(
            f"deploy {deploy_id} still runs after {minutes} min of looking", hint="follow it again, or cancel it"
        )

    async def _pause(self, seconds: float, nudge: asyncio.Event | None) -> bool:
        """Wait that long, or for a hint; whether there was one."""
        if nudge is None:
            await self._clock.sleep(seconds)
            return False
        nudge.clear()
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(nudge.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return nudge.is_set()

    def _heard(self, id: str, line: PlatformLine) -> None:
        """A hint to look, nothing more: what a line says is never taken for the status."""
        if line.text.startswith("==>"):
            for nudge in self._nudges.get(id, ()):
                nudge.set()

    # --- what happened ------------------------------------------------------------------------------------------------

    async def events(self, id: str, since: datetime | None = None, most: int = 100) -> Sequence[PlatformEvent]:
        """The newest first; without `since`, those of the last 30 days (Render itself would give one hour)."""
        start = since or self._clock.now() - timedelta(days=30)
        rows = await pages(self._door, "services.list_events", "event", id, most=most, start_time=start)
        found = [self._door.read(_reading.event, row) for row in rows]
        return sorted((each for each in found if each.at >= start), key=lambda each: each.at, reverse=True)

    async def logs(
        self, id: str, since: datetime, until: datetime | None = None, most: int = 1_000
    ) -> Sequence[PlatformLine]:
        """Lines of a window, oldest first, each once; the newest `most` where there are more."""
        query: dict[str, Any] = {"owner_id": await self._owner(id), "resource": [id], "limit": PAGE}
        query["direction"] = (await self._door.model("LogDirection")).BACKWARD
        window: tuple[datetime, datetime | None] = (since, until)
        lines: dict[str, PlatformLine] = {}
        for _ in range(min(math.ceil(most / PAGE) + 10, LOG_PAGES)):
            query["start_time"] = window[0]
            if window[1] is not None:
                query["end_time"] = window[1]
            page = self._door.read(_reading.record, (await self._door.ask("logs.list_logs", **query)).data)
            known = len(lines)
            for row in self._door.read(_reading.records, page.get("logs")):
                line = self._door.read(_reading.line, row)
                lines.setdefault(line.id, line)
            start, end = _reading.moment(page.get("nextStartTime")), _reading.moment(page.get("nextEndTime"))
            following = (start or window[0], end or window[1])
            # A page that brought nothing new and leads nowhere else would be asked for for ever.
            if page.get("hasMore") is not True or len(lines) >= most or (len(lines) == known and following == window):
                break
            window = following
        # Pages come newest first: turned round, lines of one moment stand as they were written.
        ordered = list(lines.values())[::-1]
        ordered.sort(key=lambda line: line.at)
        return ordered[-most:] if most > 0 else []

    async def follow_logs(self, id: str) -> AsyncIterator[PlatformLine]:
        """New lines as they come, each once, over a WebSocket with reconnecting, or by asking where there is none."""
        owner = await self._owner(id)
        following = Following(
            self._door,
            owner_id=owner,
            service_id=id,
            since=self._door.platform_time(self._clock.now()),
            fetch=lambda since: self.logs(id, since, most=500),
            said=lambda line: self._heard(id, line),
        )
        async for line in following.lines():
            yield line

    # --- variables ----------------------------------------------------------------------------------------------------

    async def variables(self, id: str) -> Mapping[str, str]:
        """All of them with their values; those of its env groups too, where it has none of its own by that name."""
        return await self._variables.all_of(id, await self._owner(id))

    async def set_variables(self, id: str, values: Mapping[str, str | None]) -> None:
        """Write some (None removes one) and leave the others; read back and compared. Deploys nothing by itself.

        Raises:
            Finding: what was read back is not what was written, or an env group gives what was to be removed; the error names
                the variables, never a value.
        """
        await self._variables.write(id, await self._owner(id), values)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _owner(self, id: str) -> str:
        if id not in self._owners:
            found = self._door.read(_reading.service, (await self._door.ask("services.retrieve_service", id)).data)
            self._owners[id] = found.owner_id
        return self._owners[id]


def _connect(access: Access, clock: Clock) -> Render:
    return Render(access, clock)


PLATFORM = PlatformKind(
    name="render",
    about="Render (render.com), through its public API",
    verbs=VERBS,
    key_variable=KEY_VARIABLE,
    connect=_connect,
)
