"""Heartbeat: a persistent WebSocket with beats both ways; a drop is news at once."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from everwake.checks import _failures
from everwake.checks._addresses import Dialer
from everwake.checks._kind import CheckKind, Unmet
from everwake.fleet.schema import Secret, Service, setting
from everwake.keepalive import client
from everwake.model import Beat, BeatKind, Failure, FailureKind, Phase
from everwake.ports import Clock

__all__ = ["KIND", "Spec", "follow", "of_service", "settled"]

# A line that the fleet's rule forbids is asked about again, for the name may come to mean something else.
REFUSED_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Which line to hold, and how patiently."""

    url: str = setting(default="", reads="url", help="whole ws:// or wss:// address; the service's own when left out")
    path: str = setting(default="", reads="route", help="path at the service; its heartbeat path when left out")
    every_s: float = setting(
        default=30.0, ge=1, le=3_600, reads="seconds", key="beat_every", help="time between two beats"
    )
    late_s: float = setting(default=2.0, ge=0.05, le=600, reads="seconds", key="late", help="how late a beat may be")
    token: Secret | None = setting(default=None, reads="secret", help="bearer token of the line")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with its address filled in from the service; http becomes ws."""
    if spec.url and not spec.path:
        return spec
    base = spec.url or service.url
    base = base.replace("http", "ws", 1) if base.startswith("http") else base
    return replace(spec, url=base + (spec.path or service.heartbeat or "/ws/keepalive"))


def of_service(service: Service) -> Spec:
    """The line that `heartbeat = ".."` of a service asks for."""
    return settled(Spec(every_s=service.heartbeat_every_s), service)


async def follow(spec: Spec, service: str, dialer: Dialer, clock: Clock) -> AsyncGenerator[Beat, None]:
    """Hold the line and say what happens on it, for ever; closing the generator hangs up.

    CLOSED and FAILED say why, MISSED that a beat stayed away; a beat that came after it was late is LATE, not BEAT.
    """

    async def wait_and_check(seconds: float) -> None:
        await clock.sleep(seconds)
        await _check_rule(spec.url, dialer)

    while True:
        try:
            await _check_rule(spec.url, dialer)
            line = client.KeepAliveClient(
                spec.url, every_s=spec.every_s, late_s=spec.late_s, now=clock.monotonic, sleep=wait_and_check,
                token=None if spec.token is None else spec.token.reveal(),
            )  # fmt: skip
            was_late = False
            async with line:
                async for event in line:
                    if isinstance(event, client.Late):
                        was_late = True
                        continue
                    yield _beat(event, service, clock, was_late=was_late)
                    was_late = False
        except Unmet as unmet:
            yield Beat(service=service, kind=BeatKind.FAILED, at=clock.now(), failure=unmet.failure)
            yield Beat(service=service, kind=BeatKind.RECONNECTING, at=clock.now(), again_s=REFUSED_AGAIN_S)
            await clock.sleep(REFUSED_AGAIN_S)


async def _check_rule(url: str, dialer: Dialer) -> None:
    """Before every try, where the fleet forbids private addresses. Raises Unmet.

    The library resolves once more by itself: a name whose answer changes between the two gets past this.
    """
    if dialer.allow_private:
        return
    # A name that does not resolve now: the client finds out by itself, and says so.
    with suppress(OSError):
        dialer.check_rule(await dialer.resolve(urlsplit(url).hostname or ""))


def _beat(event: client.Event, service: str, clock: Clock, *, was_late: bool) -> Beat:
    """One event of the line as the keeper knows it."""
    at = clock.now()
    match event:
        case client.Connected(took_s):
            return Beat(service=service, kind=BeatKind.CONNECTED, at=at, took_s=took_s)
        case client.Beat(_, gap_s):
            return Beat(service=service, kind=BeatKind.LATE if was_late else BeatKind.BEAT, at=at, took_s=gap_s)
        case client.Missed(count):
            failure = _failure(FailureKind.BEAT_MISSED, f"{count} in a row")
            return Beat(service=service, kind=BeatKind.MISSED, at=at, failure=failure)
        case client.Closed(code, reason, lasted_s, by_us):
            kind = FailureKind.BEAT_MISSED if by_us else FailureKind.LINE_CLOSED
            failure = _failure(kind, f"code {code} {reason}")
            return Beat(service=service, kind=BeatKind.CLOSED, at=at, took_s=lasted_s, code=code, failure=failure)
        case client.Failed(error, _):
            return Beat(service=service, kind=BeatKind.FAILED, at=at, failure=_failures.of_websocket(error))
        case client.Reconnecting(in_s, _):
            return Beat(service=service, kind=BeatKind.RECONNECTING, at=at, again_s=in_s)
        case client.Late():
            raise AssertionError("a beat that is late has not come yet")


def _failure(kind: FailureKind, text: str) -> Failure:
    return Failure(kind=kind, phase=Phase.BEAT, detail=_failures.detail(text))


KIND = CheckKind(name="heartbeat", help=__doc__, spec=Spec, follow=follow, settled=settled)
