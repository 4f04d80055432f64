"""A platform to rehearse on: one workspace, tiny services as real processes, waits of a second or less."""

import asyncio
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from everwake.clock import SystemClock
from everwake.sim.books import new_id
from everwake.sim.edge.routes import Refusal, Upstream
from everwake.sim.life import Rules
from everwake.sim.pace import Pace
from everwake.sim.platform import Platform, Settings
from everwake.sim.processes.group import Group
from everwake.sim.records import Commit, Deploy, DeployStatus, Owner, Service, ServiceType
from everwake.sim.store import Store
from everwake.sim.verbs import LogQuery
from tests.everwake.sim import a_service
from tests.support.processes import free_port

KEY = "key-of-the-rehearsal"
QUICK = Rules(
    idle_s=600, wake_gives_up_s=20, start_window_s=20, health_every_s=0.1, health_timeout_s=2.0, out_after_s=0.4,
    restart_after_s=1.2, rollover_s=0.5, queue_s=0.05, first_restart_s=0.1, longest_restart_s=0.4, lasting_s=30,
    scan_every_s=0.4, shutdown_s=3.0, flap_every_s=0.5,
)  # fmt: skip


def command(*words: str) -> str:
    """The command line of the tiny service."""
    return " ".join((sys.executable, a_service.__file__, *words))


class Rehearsal:
    """A platform with what a test wants to know of it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    @property
    def owner(self) -> Owner:
        owner = self.platform.owner(KEY)
        assert owner is not None
        return owner

    async def service(self, name: str = "one", *words: str, live: bool = True, **changes: object) -> str:
        """A new free web service of the tiny kind; its id, once it is live."""
        now = self.platform.house.clock.now()
        service = Service(
            id=new_id("srv"), owner_id=self.owner.id, name=name, type=ServiceType.WEB, plan="free",
            created_at=now, updated_at=now, port=free_port(), start_command=command(*words), health_check_path="/health",
            commits=(Commit(id="a" * 40, message="First", created_at=now),), ours=True,
        )  # fmt: skip
        await self.platform.add(replace(service, **changes))  # type: ignore[arg-type]
        if live:
            await self.live(service.id)
        return service.id

    async def live(self, service_id: str) -> Deploy:
        """The newest deploy, once it is live."""
        deploy = await self.ended(service_id)
        assert deploy.status is DeployStatus.LIVE, (deploy.status, self.log(service_id))
        return deploy

    async def ended(self, service_id: str) -> Deploy:
        """The newest deploy, once it has ended."""
        await until(lambda: not self.platform.deploys(service_id)[0].status.is_running)
        return self.platform.deploys(service_id)[0]

    async def commit(self, service_id: str, *words: str, build_command: str | None = None) -> Deploy:
        """Push a commit with another start command and deploy it."""
        service = self.platform.service(service_id)
        now = self.platform.house.clock.now()
        start = command(*words) if words else None
        new = Commit(
            id=f"{len(service.commits):040d}", message="Next", created_at=now, start_command=start, build_command=build_command
        )  # fmt: skip
        self.platform.books.put(replace(service, commits=(new, *service.commits)))
        return await self.platform.create_deploy(service_id)

    def log(self, service_id: str, instance: str = "") -> list[str]:
        """All its lines, of one instance where it is named."""
        those = (instance,) if instance else ()
        page = self.platform.logs(
            LogQuery(services=(service_id,), instances=those, newest_first=False, limit=1000)
        )  # fmt: skip
        return [each.text for each in page.entries]

    def events(self, service_id: str, type_: str = "") -> list[dict[str, object]]:
        """Details of its events, oldest first."""
        return [dict(each.details) for each in reversed(self.platform.events(service_id)) if type_ in ("", each.type)]

    def event_types(self, service_id: str) -> list[str]:
        """Types of its events, oldest first."""
        return [each.type for each in reversed(self.platform.events(service_id))]

    async def ask(self, service_id: str, path: str = "/", *, html: bool = False) -> tuple[int, str]:
        """(status, routing value or body) of a request, as the edge would carry it."""
        to = await self.platform.route(service_id, wants_html=html)
        if isinstance(to, Refusal):
            return to.status, to.routing
        return await asyncio.to_thread(fetched, to, path)


def fetched(to: Upstream, path: str) -> tuple[int, str]:
    """Status and body of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{to.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def until(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def rehearsal(
    folder: Path, rules: Rules = QUICK, speed: float = 1.0, *, deploys_on_write: bool = False
) -> AsyncIterator[Rehearsal]:
    """A platform that runs, on what an earlier one left in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    surroundings = {"PATH": os.environ["PATH"]}
    settings = Settings(
        data=folder, source=folder, pace=Pace(speed), real=rules, surroundings=surroundings, deploys_on_write=deploys_on_write
    )  # fmt: skip
    with Store(folder / "platform.sqlite3") as store, Group() as group:
        if not store.read(Owner):
            owner = Owner(id=new_id("own"), name="Rehearsal", email="owner@example.com", key=KEY)
            store.write([owner])
        with no_task_fails():
            async with Platform(store, group, SystemClock(), settings) as platform:
                yield Rehearsal(platform)


@contextmanager
def no_task_fails() -> Iterator[None]:
    """A task of the platform that fails is logged and ends alone; in a test it is a failure."""
    failed: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = failed.append  # type: ignore[method-assign]
    log = logging.getLogger("everwake.sim.platform")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
    assert not failed, [each.exc_info for each in failed]
