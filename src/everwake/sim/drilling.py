"""Drills carried out on a platform, and undone. What is broken is written down first, so it outlasts a restart."""

import asyncio
import secrets
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from everwake.fleet.naming import near
from everwake.sim.drills import BAD_HEALTH_PATH, DRILLS, HEAL, Changes, Drill, Places, changed_variables, faulty_command
from everwake.sim.instance import Box, free_port
from everwake.sim.platform import Platform
from everwake.sim.ports import HOST
from everwake.sim.records import Broken, Commit, DeployStatus, Service, ServiceType, Suspender
from everwake.sim.verbs import Refused

__all__ = ["Drilling", "rows"]

READ_S = 5.0
# How long a drill waits for what it is fired over to be healed: shorter than who asked for it waits (`app.drilling`).
HEALED_S, LOOK_S = 45.0, 0.05
RESUMED = frozenset({Suspender.USER, Suspender.CRASHLOOPING})  # what an owner's own resume lifts
FREE_ONLY, ONLY_FREE = ("sleep", "hours-exhausted"), "only a free web service sleeps and has hours that run out"
CANNOT_FREEZE = "this system cannot freeze a process"
BUILD_THAT_FAILS = "echo 'ERROR: No matching distribution found for chatify-extras==9.9.9' && exit 1"


def rows() -> Sequence[Mapping[str, object]]:
    """Every drill, and `heal`, as JSON."""
    every: list[Mapping[str, object]] = [
        {
            "how": each.how, "changes": each.changes.value, "what": each.says, "cause": each.cause,
            "remedy": each.remedy or None, "person": each.person or None,
        }
        for each in DRILLS.values()
    ]  # fmt: skip
    heal = {
        "how": HEAL, "changes": None, "what": "undoes the drill", "cause": "healthy", "remedy": None, "person": None,
    }  # fmt: skip
    return [*every, heal]


class Drilling:
    """`async with` it beside the platform: what drills lead to answers while the block runs. edge_port: the shared one."""

    def __init__(self, platform: Platform, edge_port: int = 0) -> None:
        self._platform = platform
        self._edge_port = edge_port
        self._servers: dict[int, asyncio.Server] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __aenter__(self) -> Self:
        for broken in self._platform.books.broken.values():
            await self._stand_in(broken)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    # --- what the control API asks (`api.drills.Drills`) ---------------------------------------------------------------------

    def listed(self) -> Sequence[Mapping[str, object]]:
        """`Drills.listed`."""
        return rows()

    def broken(self, owner_id: str) -> Mapping[str, str]:
        """`Drills.broken`."""
        mine = {each.id for each in self._platform.services(owner_id)}
        return {each.service_id: each.how for each in self._platform.books.broken.values() if each.service_id in mine}

    def state(self, owner_id: str) -> Mapping[str, object]:
        """`Drills.state`."""
        house = self._platform.house
        now, books = house.clock.now(), self._platform.books
        asleep = [each.name for each in self._platform.services(owner_id) if books.standing(each.id).is_asleep]
        return {
            "speed": house.pace.speed, "calendar": self._platform.calendar.shows(now).isoformat(),
            "free_hours": house.rules.free_hours, "broken": dict(self.broken(owner_id)),
            "asleep": asleep,
        }  # fmt: skip

    async def fire(self, service_id: str, how: str) -> Mapping[str, object]:
        """`Drills.fire`. One that is refused changes nothing; before one that is fired over another, the other is healed."""
        async with self._turns[service_id]:
            service = self._platform.service(service_id)
            if how == HEAL:
                said = await self._heal(service)
                return {"service": service.name, "how": how, "said": said}
            drill = DRILLS.get(how)
            if drill is None:
                raise Refused(404, f"no drill {how[:64]!r}: {near(how, (*DRILLS, HEAL))}")
            if (former := self._platform.books.broken.get(service_id)) is not None:
                self._refuse_over(former, drill, service)
                restarts = former.how in DRILLS and DRILLS[former.how].changes in (Changes.PROCESS, Changes.SETTING)
                before = self._platform.hosted(service_id).box if restarts else None
                await self._heal(service)
                await self._served(former, drill, before)
            said = await self._break(drill, self._platform.service(service_id))
        return {
            "service": service.name, "how": how, "said": said, "cause": drill.cause, "remedy": drill.remedy or None,
            "person": drill.person or None,
        }  # fmt: skip

    def _refuse_over(self, former: Broken, drill: Drill, service: Service) -> None:
        """Refuse what could not be fired once the former drill is healed, as long as nothing is changed."""
        healed = self._undone(former, service)
        if drill.how != "suspend-by-owner":
            self._must_run(healed)
        if drill.changes is Changes.VARIABLE:
            self._changed(drill, healed, Places(closed=1, tls=1, refuser=1, siblings=self._siblings(service)))
        if drill.how in FREE_ONLY and not service.is_free:
            raise Refused(409, ONLY_FREE)
        if drill.changes is Changes.PROCESS and sys.platform == "win32":
            raise Refused(409, CANNOT_FREEZE)

    async def _served(self, former: Broken, drill: Drill, before: Box | None) -> None:
        """Until the healed service serves: a drill needs something that is well. before: the instance that is replaced.

        Raises:
            Refused: it does not within `HEALED_S`; it is healed, and nothing else is broken.
        """
        books, hosted, id_ = self._platform.books, self._platform.hosted(former.service_id), former.service_id
        with suppress(TimeoutError):
            async with asyncio.timeout(HEALED_S):
                while True:
                    is_new = hosted.is_ready and (before is None or hosted.box is not before)
                    if not self._is_deploying(id_) and (is_new or books.service(id_).suspenders):
                        return
                    await asyncio.sleep(LOOK_S)
        raise Refused(
            409, f"{former.how} is undone, and the service does not serve yet; {drill.how} can be fired when it does"
        )

    # --- breaking --------------------------------------------------------------------------------------------------------------

    async def _break(self, drill: Drill, service: Service) -> str:
        match drill.changes:
            case Changes.VARIABLE:
                await self._break_variables(drill, service)
            case Changes.COMMIT:
                await self._break_commit(drill, service)
            case Changes.SETTING:
                broken = replace(self._row(drill, service), health_check_path=service.health_check_path)
                changed = self._platform.books.touched(service, health_check_path=BAD_HEALTH_PATH)
                self._platform.books.put(changed, broken)
            case Changes.PROCESS:
                await self._hang(drill, service)
            case Changes.PLATFORM:
                await self._break_platform(drill, service)
        return drill.says

    async def _break_variables(self, drill: Drill, service: Service) -> None:
        books = self._platform.books
        places = Places(
            closed=free_port(), tls=free_port(), refuser=free_port(), edge=self._edge_port,
            siblings=self._siblings(service),
        )  # fmt: skip
        changes = self._changed(drill, service, places)
        self._must_run(service)
        broken = replace(self._row(drill, service), variables={key: service.env.get(key) for key in changes})
        books.put(books.touched(service, env={**service.env, **changes}), broken)
        await self._stand_in(broken)
        await self._deployed(drill, service)

    def _changed(self, drill: Drill, service: Service, places: Places) -> Mapping[str, str]:
        try:
            return changed_variables(drill.how, self._platform.books.env_of(service), places)
        except LookupError as lacks:
            raise Refused(409, str(lacks.args[0])) from None

    def _siblings(self, service: Service) -> tuple[str, ...]:
        return tuple(
            url for each in self._platform.services(service.owner_id)
            if each.id != service.id and (url := self._platform.url(each.id))
        )  # fmt: skip

    async def _break_commit(self, drill: Drill, service: Service) -> None:
        self._must_run(service)
        books = self._platform.books
        python = subprocess.list2cmdline([sys.executable]) if sys.platform == "win32" else shlex.quote(sys.executable)
        is_build = drill.how == "build-fails"
        bad = Commit(
            id=secrets.token_hex(20), message=f"A bad commit: {drill.says}", created_at=books.now(),
            start_command=None if is_build else faulty_command(drill.how, service.start_command, python),
            build_command=BUILD_THAT_FAILS if is_build else None,
        )  # fmt: skip
        broken = replace(self._row(drill, service), commit_id=bad.id)
        books.put(books.touched(service, commits=(bad, *service.commits)), broken)
        await self._deployed(drill, service)

    async def _deployed(self, drill: Drill, service: Service) -> None:
        """Bring the change into service."""
        books = self._platform.books
        if drill.takes_down:
            live, standing = books.live(service.id), books.standing(service.id)
            if live is not None:
                retired = replace(live, status=DeployStatus.DEACTIVATED, updated_at=books.now())
                books.put(retired, replace(standing, live="", is_asleep=False, crashes=0))
            self._platform.hosted(service.id).halt()
        await self._platform.create_deploy(service.id)

    async def _hang(self, drill: Drill, service: Service) -> None:
        box = self._platform.hosted(service.id).box
        if box is None or box.has_ended:
            raise Refused(409, "no instance runs that could be frozen")
        if not box.freeze():
            raise Refused(409, CANNOT_FREEZE)
        self._platform.books.put(self._row(drill, service))

    async def _break_platform(self, drill: Drill, service: Service) -> None:
        platform, row = self._platform, self._row(drill, service)
        if drill.how in FREE_ONLY and not service.is_free:
            raise Refused(409, ONLY_FREE)
        if drill.how != "suspend-by-owner":
            self._must_run(service)
        if drill.how == "sleep":
            if platform.books.live(service.id) is None:
                raise Refused(409, "nothing is live that could sleep")
            platform.books.put(row)
            platform.hosted(service.id).sleep()
        elif drill.how == "suspend-by-owner":
            platform.books.put(row)
            await platform.suspend(service.id)
        elif drill.how == "hours-exhausted":
            platform.books.put(row)
            await platform.exhaust_hours(service.owner_id)
        elif drill.how == "deploy-superseded":
            platform.books.put(row)
            await platform.create_deploy(service.id)
            await asyncio.sleep(platform.house.rules.queue_s)
            await platform.create_deploy(service.id)
        else:
            platform.books.put(row)

    # --- undoing ------------------------------------------------------------------------------------------------------

    async def _heal(self, service: Service) -> str:
        broken = await self._undo(service)
        platform, how = self._platform, broken.how if broken else ""
        changes = DRILLS[how].changes if how in DRILLS else Changes.PLATFORM
        service = platform.service(service.id)
        is_resumed = False
        if broken is not None and service.suspenders & RESUMED:
            # Resumed, it deploys the commit that was live; where that was the drill's, the newest is deployed below.
            with suppress(Refused):
                await platform.resume(service.id)
                is_resumed = True
            service = platform.service(service.id)
        if service.suspenders:
            by = ", ".join(sorted(service.suspenders))
            return f"{how or 'nothing'} is undone; the service is still suspended by {by}"
        if self._serves_nothing(service) or (changes in (Changes.VARIABLE, Changes.COMMIT) and not is_resumed):
            # Also where no drill is written down: a simulator that was killed between the undoing and this deploy.
            await platform.create_deploy(service.id)
            return f"{how} is undone" if broken else "no drill is on; nothing was live, so the service is deployed"
        if broken is None:
            return "nothing is broken"
        if platform.books.standing(service.id).is_asleep:
            platform.hosted(service.id).wake()
        elif changes in (Changes.PROCESS, Changes.SETTING) and platform.books.live(service.id) is not None:
            await platform.restart(service.id)
        return f"{how} is undone"

    def _serves_nothing(self, service: Service) -> bool:
        """Whether nothing is live of what should be, and nothing is on its way."""
        is_due = service.type is ServiceType.WEB and bool(service.commits)
        return is_due and not self._platform.books.live(service.id) and not self._is_deploying(service.id)

    def _is_deploying(self, service_id: str) -> bool:
        return any(each.status.is_running for each in self._platform.books.deploys(service_id))

    async def _undo(self, service: Service) -> Broken | None:
        """Put back what the service's drill has changed; the drill, or None. What runs is left as it is."""
        books = self._platform.books
        broken = books.broken.get(service.id)
        if broken is None:
            return None
        env, path, commits = (healed := self._undone(broken, service)).env, healed.health_check_path, healed.commits
        books.put(books.touched(service, env=env, health_check_path=path, commits=commits), gone=[broken])
        if broken.how == "hours-exhausted":
            await self._platform.renew_hours(service.owner_id)
        return broken

    def _undone(self, broken: Broken, service: Service) -> Service:
        """The service as its heal leaves it."""
        env = {key: value for key, value in service.env.items() if key not in broken.variables}
        env |= {key: value for key, value in broken.variables.items() if value is not None}
        path = service.health_check_path if broken.health_check_path is None else broken.health_check_path
        commits = tuple(each for each in service.commits if each.id != broken.commit_id)
        lifted = RESUMED | ({Suspender.BILLING} if broken.how == "hours-exhausted" else frozenset())
        left = service.suspenders - lifted
        return replace(service, env=env, health_check_path=path, commits=commits, suspenders=left)

    def _row(self, drill: Drill, service: Service) -> Broken:
        return Broken(service_id=service.id, how=drill.how, at=self._platform.books.now())

    def _must_run(self, service: Service) -> None:
        if service.suspenders:
            raise Refused(409, "the service is suspended; heal or resume it first")
        if service.type is not ServiceType.WEB:
            raise Refused(409, f"drills are for web services, not for a {service.type}")

    # --- what drills lead to ------------------------------------------------------------------------------------------

    async def _stand_in(self, broken: Broken) -> None:
        """Somebody answers where the drill's variables lead; after a restart on the same port."""
        service = self._platform.books.services.get(broken.service_id)
        key, serve = {
            "redis-needs-tls": ("REDIS_URL", _tls_only), "provider-rejects-key": ("OPENAI_BASE_URL", _refuses_the_key),
        }.get(broken.how, ("", None))  # fmt: skip
        if service is None or serve is None:
            return
        port = urlsplit(service.env.get(key, "")).port or 0
        if port and port not in self._servers:
            with suppress(OSError):  # somebody else has it by now: then nobody answers there as the drill wants
                self._servers[port] = await asyncio.start_server(serve, HOST, port)


async def _tls_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a TLS-only Redis does with plain text: it waits for a handshake, gets none, and hangs up."""
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(reader.read(1024), READ_S)
    writer.close()


_REFUSED = (
    b'{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","code":"invalid_api_key"}}'
)


async def _refuses_the_key(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An OpenAI-compatible server that does not know the key."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(READ_S):
            await reader.readuntil(b"\r\n\r\n")
            head = (
                b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
            )
            writer.write(head + str(len(_REFUSED)).encode() + b"\r\n\r\n" + _REFUSED)
            await writer.drain()
    writer.close()
