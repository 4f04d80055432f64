"""`everwake watch`: keeper, history, page and messages in one process, until somebody says stop."""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from everwake.app.collecting import collect_rarely
from everwake.app.diagnosing import Diagnoser, Doors
from everwake.app.door import Door, Listeners
from everwake.app.evidence import gathered
from everwake.app.eyes import CheckEyes
from everwake.app.holder import has_ended, new_holder
from everwake.app.own_line import OwnLineProbe
from everwake.app.past import Past
from everwake.app.recording import Recording
from everwake.app.repairing import Repairer
from everwake.app.saving import Saving
from everwake.app.soaking import Soaker
from everwake.app.telling import channels_of
from everwake.checks import Checks, specs
from everwake.clock import SystemClock
from everwake.errors import AlreadyRunning, MissingExtra
from everwake.fleet import schema
from everwake.fleet.load import BadFleet, load
from everwake.fleet.reload import Reloader
from everwake.fleet.schema import Fleet
from everwake.history.steps import StepStore
from everwake.history.undo import SealedUndo
from everwake.model import Diagnosis, Incident, Level, LogLine, RemedyRun, State
from everwake.notify.channel import Channel, NotSent, in_thread
from everwake.notify.deliver import Deliverer, per_channel
from everwake.sim.claim import Claim
from everwake.sim.signals import ToldToStop
from everwake.watch.keeper import Keeper
from everwake.web.app import create
from everwake.web.auth import require_safe
from everwake.web.serving import listen, serving

__all__ = ["Asked", "Screen", "pass_on", "run_watch", "watch"]

log = logging.getLogger(__name__)

LAST_SENDS_S = 2.0
CHECK_CHANNEL_S = 20.0
KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `everwake watch` was asked for. port: None takes the fleet file's; 0 any free one."""

    fleet: Path
    data: Path
    port: int | None = None


class Screen(Protocol):
    """Where a person looks. No call may block."""

    def say(self, text: str) -> None:
        """A sentence about what goes on."""

    def warn(self, text: str) -> None:
        """A sentence about what went wrong."""

    def activity(self, line: LogLine) -> None:
        """A line of the activity log."""

    def ready(self, url: str, fleet: Fleet, document: Mapping[str, object]) -> None:
        """The page answers. document: `up.json`."""
        ...


async def watch(asked: Asked, environ: Mapping[str, str], screen: Screen) -> None:
    """Keep the fleet until somebody says stop; then everything is written down and let go of within 5 s.

    Raises:
        BadFleet, Misused: the fleet file, the port or the data folder cannot be used.
        AlreadyRunning: another keeper has the data folder.
    """
    fleet = load(asked.fleet, environ, specs())
    settings = fleet.keeper if asked.port is None else replace(fleet.keeper, port=asked.port)
    require_safe(settings)
    data = asked.data.resolve()
    with ToldToStop(hangup=False) as told, Claim(data, "keeper"):
        listener = listen(settings.host, settings.port)
        url = _address(settings, listener.getsockname()[1])
        async with AsyncExitStack() as stack:
            stack.callback(listener.close)
            clock = SystemClock()
            past = await stack.enter_async_context(Past(data / "history.sqlite3", clock))
            checks = await stack.enter_async_context(Checks(clock, allow_private=settings.allow_private))
            doors = await stack.enter_async_context(Doors(fleet, environ))
            running = _Running(fleet, settings, url, environ, screen, past, checks, clock, doors)
            await stack.enter_async_context(serving(create(running.door, settings, key=_cookie_key(data)), listener))
            stack.enter_context(running.hangups())
            stack.enter_context(_published(data, {"pid": os.getpid(), "dashboard": url}))
            screen.ready(url, fleet, {"pid": os.getpid(), "dashboard": url})
            await running.run(told)


class _Running:
    """One keeper with everything it is made of, and what happens when its fleet file changes."""

    def __init__(
        self, fleet: Fleet, settings: schema.Keeper, url: str, environ: Mapping[str, str], screen: Screen, past: Past,
        checks: Checks, clock: SystemClock, doors: Doors,
    ) -> None:  # fmt: skip
        self._settings, self._url, self._screen, self._past, self._clock = settings, url, screen, past, clock
        self._file_settings = fleet.keeper
        self._listeners = Listeners()
        self._probe = OwnLineProbe(fleet, clock, checks.dialer.resolve)
        self._deliverer = Deliverer(past.outbox, channels_of(fleet), clock, told=self._told_of_messages)
        self._recording = Recording(past.history, self._deliverer.channels, self._deliverer.nudge)
        self._doors = doors
        self._diagnoser = Diagnoser(
            clock, doors, fleet=lambda: self._keeper.fleet, seen=lambda name: self._keeper.seen(name),
            found=self._diagnosed, told=lambda name, told: self._repairer.told(name, told),
        )  # fmt: skip
        self._keeper = Keeper(
            fleet, CheckEyes(checks, self._probe), self._recording, clock, standings=past.standings,
            said=self._said, changed=self._listeners.changed, told=self._incident, link=self._link,
        )  # fmt: skip
        self._repairer = Repairer(
            clock, doors, StepStore(past.history), self._keeper, holder=new_holder("keeper"), has_ended=has_ended,
            undo=SealedUndo(past.history, clock, doors.key_of),
            ask=self._diagnoser.ask, outgoing=lambda notices: per_channel(notices, self._recording.channels),
            noticed=self._deliverer.nudge, say=self._say, link=self._link_to,
            changed=self._remedied,
        )  # fmt: skip
        self._soaker = Soaker(
            clock, StepStore(past.history), self._keeper,
            lambda service, said, told, log_since: gathered(
                service, self._keeper.fleet, settings.soak_s, checks, doors, said, clock, told, log_since
            ),
            soak_s=settings.soak_s, outgoing=lambda notices: per_channel(notices, self._recording.channels),
            noticed=self._deliverer.nudge, say=self._say, link=self._link_to, changed=self._repairer.soaked,
        )  # fmt: skip
        for incident in self._keeper.open_incidents:
            self._diagnoser.told(incident)
            self._repairer.incident(incident)
        self.door = Door(self._keeper, past, self._recording, self._listeners, self._repairer)
        self._saving = self.door.saving = Saving(
            clock, doors, environ, fleet=lambda: self._keeper.fleet, moves=past.moves,
            resting=lambda: self._keeper.resting, stands=self._keeper.platform_says, say=self._say,
            notify=self._keeper.notify, link=self._settings.public_url or url,
        )  # fmt: skip
        self._reloader = Reloader(fleet, clock, environ=environ, kinds=specs(), taken=self._take, refused=self._refuse)

    async def run(self, told: ToldToStop) -> None:
        """Until somebody says stop."""
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(self._keeper.run())
            reloading = tasks.create_task(self._reloader.run())
            delivering = tasks.create_task(self._deliver())
            diagnosing = tasks.create_task(self._diagnoser.run())
            repairing = tasks.create_task(self._repairer.run())
            saving = tasks.create_task(self._saving.run())
            soaking = tasks.create_task(self._soaker.run())
            collect_rarely()
            await told.stop.wait()
            self._screen.say("stopping")
            for task in (keeping, reloading, diagnosing, repairing, saving, soaking):
                task.cancel()
            await asyncio.wait((keeping,))
            # A message on its way is given a moment, for one that was sent and not marked would be sent again.
            self._deliverer.stop()
            await asyncio.wait((delivering,), timeout=LAST_SENDS_S)
            delivering.cancel()

    async def _deliver(self) -> None:
        for channel in self._deliverer.channels:
            await self._try_out(channel)
        await self._deliverer.run()

    async def _try_out(self, channel: Channel) -> None:
        """Say at the start, not at the first incident, that a channel cannot work."""
        try:
            await in_thread(channel.check, CHECK_CHANNEL_S)
        except (NotSent, MissingExtra, TimeoutError) as error:
            self._told_of_messages(f"Messages cannot be sent to {channel.name}: {error}", True)

    # --- the fleet file -----------------------------------------------------------------------------------------------

    @contextmanager
    def hangups(self) -> Iterator[None]:
        """SIGHUP reads the fleet file again, where there is such a signal."""
        if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reloader.now)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    def _take(self, fleet: Fleet) -> None:
        self.door.own_trouble.pop("fleet file", None)
        self._probe.fleet = fleet
        self._doors.use(fleet)
        channels = channels_of(fleet)
        self._recording.channels = channels
        self._deliverer.use(channels)
        self._keeper.reload(fleet)
        self._listeners.reloaded()
        self._say(Level.INFO, f"{fleet.path} was read again: {len(fleet.services)} services")
        if fleet.keeper != self._file_settings:
            self._file_settings = fleet.keeper
            self._say(Level.WARNING, "What changed under [keeper] counts from the next start")

    def _refuse(self, bad: BadFleet) -> None:
        first, *others = bad.mistakes
        more = f" (and {len(others)} more)" if others else ""
        what = f"line {first.line}: {first.where} {first.message}{more}"
        text = f"The fleet file has mistakes, so the one of before goes on: {what}"
        self.door.own_trouble["fleet file"] = text
        self._say(Level.ERROR, text)
        self._screen.warn(bad.message)

    # --- saying -------------------------------------------------------------------------------------------------------

    def _said(self, line: LogLine) -> None:
        self._listeners.said(line)
        self._screen.activity(line)

    def _say(self, level: Level, text: str, service: str = "") -> None:
        line = LogLine(at=self._clock.now(), level=level, text=text, service=service or None)
        self._recording.said(line)
        self._said(line)

    def _told_of_messages(self, text: str, is_bad: bool) -> None:
        if is_bad:
            self.door.own_trouble["messages"] = text
        else:
            self.door.own_trouble.pop("messages", None)
        self._say(Level.ERROR if is_bad else Level.SUCCESS, text)

    def _incident(self, incident: Incident) -> None:
        self._listeners.told(incident)
        self._diagnoser.told(incident)
        self._repairer.incident(incident)

    def _remedied(self, run: RemedyRun) -> None:
        self._listeners.changed(run.service)
        self._soaker.seen(run)

    def _diagnosed(self, which: str, diagnosis: Diagnosis) -> None:
        pass_on(which, diagnosis, self._keeper, self._repairer)

    def _link(self, incident: Incident) -> str:
        return self._link_to(incident.service)

    def _link_to(self, service: str) -> str:
        return f"{self._settings.public_url or self._url}/#/service/{service}"


def pass_on(which: str, diagnosis: Diagnosis, keeper: Keeper, repairer: Repairer) -> None:
    """Somebody found out why: the keeper is told, and who repairs. which: as in `Keeper.diagnosed`."""
    known = next((one for one in keeper.open_incidents if one.id == which and one.diagnosis), None)
    # What is seen while we mend it, or once it is well again, does not say why it fell.
    if known is not None and (repairer.is_busy(known.service) or keeper.service_view(known.service).state is State.UP):
        return
    incident = keeper.diagnosed(which, diagnosis)
    if incident is not None:
        repairer.diagnosed(incident.service)


def _address(settings: schema.Keeper, port: int) -> str:
    """Where somebody on this machine reaches the page."""
    host = settings.host
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    elif host == "::":
        host = "[::1]"
    elif ":" in host:
        host = f"[{host.strip('[]')}]"
    return f"http://{host}:{port}"


@contextmanager
def _published(data: Path, document: Mapping[str, object]) -> Iterator[None]:
    """`up.json`, unless the folder belongs to an `everwake up` or `sim`, which writes its own."""
    with ExitStack() as held:
        try:
            claim = held.enter_context(Claim(data))
            claim.publish(document)
        except AlreadyRunning:
            pass
        yield


def _cookie_key(data: Path) -> bytes:
    """Signs the page's cookies; kept, so that nobody has to sign in again after a restart."""
    file = data / "cookie.key"
    with suppress(OSError):
        key = file.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    key = secrets.token_bytes(KEY_BYTES)
    with suppress(OSError):  # a folder that cannot be written is the history's to complain about
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:
            kept.write(key)
    return key


def run_watch(asked: Asked, screen: Screen) -> None:
    """`watch` from a program without an event loop, with this process's variables; on uvloop where it is installed."""
    factory = None
    with suppress(ModuleNotFoundError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(watch(asked, os.environ, screen))
