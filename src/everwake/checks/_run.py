"""Runs checks: a deadline around each look, and one observation from whatever ends it."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, fields, replace
from typing import Any

from everwake.checks import _failures, heartbeat, http
from everwake.checks._addresses import Dialer
from everwake.checks._curl import Looker
from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.checks._registry import kinds
from everwake.fleet.redact import redact_header, redact_with
from everwake.fleet.schema import Secret, Service
from everwake.model import Beat, Failure, FailureKind, Observation
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

    async def close(self) -> None:
        """End every look that is under way and release sockets and threads."""
        await self.looker.close()
        self.dialer.close()

    async def __aenter__(self) -> "Checks":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- for the keeper -----------------------------------------------------------------------------------------------

    async def look(self, service: Service, check: str = "http", patience_s: float | None = None) -> Observation:
        """Look once. check: "http", the primary one, or "KIND:N" for the N-th of `service.checks`.

        patience_s: instead of the timeout, for the one GET that wakes a sleeping service.
        """
        wanted = self._settled(service)[check]
        spec, timeout_s = (wanted.spec, wanted.timeout_s) if patience_s is None else (wanted.waking, patience_s)
        return await self.run(
            wanted.kind, spec, service=service.name, timeout_s=timeout_s, check=check, known=wanted.known
        )

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
        What was seen is masked here, so nobody further on ever holds a secret of somebody else's answer.
        """
        if kind.observe is None:
            raise ValueError(f"{kind.name} is followed, not observed")
        at, began_s = self._clock.now(), self._clock.monotonic()
        tape = Tape(looker=self.looker, dialer=self.dialer, clock=self._clock, deadline_s=began_s + timeout_s)
        limit = nullcontext() if kind.keeps_deadline else asyncio.timeout(timeout_s)
        try:
            async with limit:
                failure = await kind.observe(spec, tape)
        except Unmet as unmet:
            failure = unmet.failure
        except Exception as error:
            failure = _failures.of_exception(error, tape.now)
            if failure is None:
                log.exception("check.broken", extra={"service": service, "check": kind.name})
                failure = Failure(kind=FailureKind.INTERNAL, phase=tape.now, detail=type(error).__name__)
        if failure is not None and failure.detail:
            failure = replace(failure, detail=redact_with(failure.detail, known))
        return Observation(
            service=service,
            check=check or kind.name,
            at=at,
            took_s=self._clock.monotonic() - began_s,
            failure=failure,
            status=tape.status,
            phases=tape.phases,
            headers={
                name: redact_header(name, redact_with(value, known) if known else value)
                for name, value in tape.headers.items()
            },
            excerpt=redact_with(tape.excerpt, known),
            certificate_expires_at=tape.certificate_expires_at,
            redirects=tape.redirects,
        )


def _secrets_of(spec: Any) -> Iterator[str]:
    """What a check's settings hold that must never be shown, should a server send it back."""
    for setting in fields(spec):
        value = getattr(spec, setting.name)
        for one in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(one, Secret):
                yield one.reveal()
                # Of a URL the password alone may come back, of a header the token without its scheme.
                yield from (piece for piece in re.split(r"[/:@?&=\s]+", one.reveal()) if len(piece) >= 6)
