"""Runs checks: a deadline around each look, and one observation from whatever ends it."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from everwake.checks import _failures, heartbeat, http
from everwake.checks._addresses import Dialer
from everwake.checks._curl import Looker
from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.checks._registry import kinds
from everwake.checks._transfer import Answer
from everwake.fleet.redact import redact_header, redact_with
from everwake.fleet.schema import Secret, Service
from everwake.model import Beat, Failure, FailureKind, Observation, Phase
from everwake.ports import Clock

__all__ = ["Checks"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One check of one service, with everything filled in. waking: its spec for the look that wakes.   known: its secrets."""

    kind: CheckKind
    spec: Any
    waking: Any
    timeout_s: float
    known: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class _Look:
    """One look under way. stop: what ends it now.   late_s: how late it was begun."""

    service: str
    check: str
    known: tuple[str, ...]
    at: datetime
    began_s: float
    late_s: float = 0.0
    stop: Callable[[], object] = field(default=lambda: None)

    def end(self) -> None:
        """End it, wherever it stands."""
        self.stop()


class Checks:
    """All looking of one keeper. Made inside a running loop and closed with `close`, or used with `async with`.

    allow_private: whether private addresses may be connected to (`[keeper] allow_private`).
    looker: how HTTP is asked; one of its own when left out.
    """

    def __init__(self, clock: Clock, *, allow_private: bool = True, looker: Looker | None = None) -> None:
        self._clock = clock
        self.looker = looker or Looker(allow_private=allow_private)
        self.dialer = Dialer(allow_private=allow_private)
        self._wanted: dict[str, tuple[Service, dict[str, _Wanted]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End every look that is under way and release sockets and threads."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.looker.close()
        self.dialer.close()

    async def __aenter__(self) -> "Checks":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- for the keeper -----------------------------------------------------------------------------------------------

    def begin(
        self, service: Service, check: str, patience_s: float | None, late_s: float, done: Callable[[Observation], None]
    ) -> Callable[[], None]:
        """Look once: `done` is called from the loop, once, within the check's deadline. The answer ends the look without it.

        check: "http", the primary one, or "KIND:N" for the N-th of `service.checks`.   late_s: goes into the observation.
        patience_s: instead of the timeout; longer for the one GET that wakes a sleeping service, shorter for one that confirms.
        """
        wanted = self._settled(service)[check]
        timeout_s = wanted.timeout_s if patience_s is None else patience_s
        spec = wanted.waking if timeout_s > wanted.timeout_s else wanted.spec
        look = _Look(service.name, check, wanted.known, self._clock.now(), self._clock.monotonic(), late_s)
        if wanted.kind is http.KIND:
            self._ask(look, spec, timeout_s, done)
        else:
            self._in_task(look, lambda: self._observe(look, wanted.kind, spec, timeout_s), done)
        return look.end

    async def look(self, service: Service, check: str = "http", patience_s: float | None = None) -> Observation:
        """Look once, as `begin` does, and wait for what is seen. Cancelling it ends the look."""
        seen: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
        end = self.begin(service, check, patience_s, 0.0, seen.set_result)
        try:
            return await seen
        except asyncio.CancelledError:
            end()
            raise

    async def follow(self, service: Service) -> AsyncGenerator[Beat, None]:
        """Hold the service's heartbeat for ever; closing the generator lets go of the line."""
        spec = heartbeat.of_service(service)
        async with aclosing(heartbeat.follow(spec, service.name, self.dialer, self._clock)) as beats:
            async for beat in beats:
                yield beat

    def _settled(self, service: Service) -> dict[str, _Wanted]:
        known = self._wanted.get(service.name)
        if known is not None and known[0] is service:
            return known[1]
        primary = http.settled(http.Spec(expect=service.expect), service)
        wanted = {"http": _Wanted(http.KIND, primary, http.waking(primary), service.timeout_s)}
        for n, check in enumerate(service.checks):
            kind = kinds()[check.kind]
            spec = kind.settled(check.spec, service)
            wanted[f"{check.kind}:{n}"] = _Wanted(kind, spec, spec, check.timeout_s, tuple(_secrets_of(spec)))
        self._wanted[service.name] = (service, wanted)
        return wanted

    # --- one look -----------------------------------------------------------------------------------------------------

    async def run(
        self,
        kind: CheckKind,
        spec: Any,
        *,
        service: str,
        timeout_s: float,
        check: str | None = None,
        known: Sequence[str] = (),
    ) -> Observation:
        """Look once and say what was seen. Never raises but CancelledError; ends within `timeout_s`.

        check: what the observation is filed under, the kind's name when left out.   known: secrets that a server may echo.
        """
        look = _Look(service, check or kind.name, tuple(known), self._clock.now(), self._clock.monotonic())
        return await self._observe(look, kind, spec, timeout_s)

    async def _observe(self, look: _Look, kind: CheckKind, spec: Any, timeout_s: float) -> Observation:
        if kind.observe is None:
            raise ValueError(f"{kind.name} is followed, not observed")
        tape = self._tape(look, timeout_s)
        return await self._ended(look, tape, kind.observe(spec, tape), None if kind.keeps_deadline else timeout_s)

    def _ask(self, look: _Look, spec: http.Spec, timeout_s: float, done: Callable[[Observation], None]) -> None:
        """HTTP without a task: nearly all looks are these, and a task costs as much as judging the answer it waited for."""

        def answered(answer: Answer) -> None:
            if answer.no_such_host:
                tape = self._tape(look, timeout_s)
                http.write_down(answer, tape)
                self._in_task(look, lambda: self._ended(look, tape, http.why_no_address(spec.url, answer, tape)), done)
                return
            try:
                failure = http.judge(spec, answer)
            except Exception as error:
                failure = self._fault(look, Phase.EXPECT, error)
            done(
                self._seen(
                    look, failure, answer.status or None, answer.phases, http.chosen(answer.headers),
                    http.excerpt(answer.body), answer.certificate_expires_at, answer.redirects,
                )
            )  # fmt: skip

        look.stop = self.looker.start(spec.url, spec.manner, timeout_s, answered)

    def _in_task(
        self, look: _Look, observe: Callable[[], Awaitable[Observation]], done: Callable[[Observation], None]
    ) -> None:
        async def work() -> None:
            done(await observe())

        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        look.stop = task.cancel

    async def _ended(
        self, look: _Look, tape: Tape, observing: Awaitable[Failure | None], limit_s: float | None = None
    ) -> Observation:
        try:
            async with asyncio.timeout(limit_s):
                failure = await observing
        except Unmet as unmet:
            failure = unmet.failure
        except Exception as error:
            failure = self._fault(look, tape.now, error)
        return self._seen(
            look,
            failure,
            tape.status,
            tape.phases,
            tape.headers,
            tape.excerpt,
            tape.certificate_expires_at,
            tape.redirects,
        )

    def _tape(self, look: _Look, timeout_s: float) -> Tape:
        return Tape(looker=self.looker, dialer=self.dialer, clock=self._clock, deadline_s=look.began_s + timeout_s)

    @staticmethod
    def _fault(look: _Look, phase: Phase, error: Exception) -> Failure:
        failure = _failures.of_exception(error, phase)
        if failure is None:
            log.error("check.broken", extra={"service": look.service, "check": look.check}, exc_info=error)
            failure = Failure(kind=FailureKind.INTERNAL, phase=phase, detail=type(error).__name__)
        return failure

    def _seen(
        self, look: _Look, failure: Failure | None, status: int | None, phases: Mapping[Phase, float],
        headers: Mapping[str, str], excerpt: str, certificate_expires_at: datetime | None, redirects: int,
    ) -> Observation:  # fmt: skip
        """What was seen is masked here, so nobody further on ever holds a secret of somebody else's answer."""
        known = look.known
        if failure is not None and failure.detail:
            failure = replace(failure, detail=redact_with(failure.detail, known))
        is_over = certificate_expires_at is not None and certificate_expires_at < look.at
        if failure is not None and failure.kind is FailureKind.CERTIFICATE_UNTRUSTED and is_over:
            # OpenSSL names the first fault it finds, and who signed comes before when it ended: the end is what is to be mended.
            failure = replace(failure, kind=FailureKind.CERTIFICATE_EXPIRED)
        return Observation(
            service=look.service,
            check=look.check,
            at=look.at,
            took_s=self._clock.monotonic() - look.began_s,
            failure=failure,
            status=status,
            phases=phases,
            headers={name: _shown_header(name, value, known) for name, value in headers.items()},
            excerpt=_shown(excerpt, known),
            certificate_expires_at=certificate_expires_at,
            redirects=redirects,
            late_s=look.late_s,
        )


# Most services say the same again and again, and masking costs more than all else that is done with an answer.
@lru_cache(maxsize=1_024)
def _shown(text: str, known: tuple[str, ...]) -> str:
    return redact_with(text, known)


@lru_cache(maxsize=4_096)
def _shown_header(name: str, value: str, known: tuple[str, ...]) -> str:
    return redact_header(name, redact_with(value, known) if known else value)


def _secrets_of(spec: Any) -> Iterator[str]:
    """What a check's settings hold that must never be shown, should a server send it back."""
    for setting in fields(spec):
        value = getattr(spec, setting.name)
        for one in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(one, Secret):
                yield one.reveal()
                # Of a URL the password alone may come back, of a header the token without its scheme.
                yield from (piece for piece in re.split(r"[/:@?&=\s]+", one.reveal()) if len(piece) >= 6)
