"""What the chatbot leans on and may be without for a while: opened after the port, again and again until it works."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, Literal, TypeVar

from chatify.masking import conceal
from chatify.problems import Problem

__all__ = ["Dependency"]

log = logging.getLogger(__name__)

T = TypeVar("T")
State = Literal["starting", "ready", "failed"]

_FIRST_WAIT_S = 5.0  # a call that comes while the first attempt is under way waits this long for it
_OPEN_WITHIN_S = 30.0
_RETRY_S = (0.25, 0.5, 1.0, 2.0, 5.0)
# Seldom: free Redis plans count commands, and every call is a look of its own.
_LOOK_EVERY_S = 60.0


class Dependency(Generic[T]):
    """One thing somewhere else, and what is known about it.

    open: makes it ready or raises.   look: raises when it does not work (any more).   said: the log line once it works.
    required: /health/ready fails with it.
    """

    def __init__(
        self,
        name: str,
        open: Callable[[], Awaitable[T]],
        *,
        said: str,
        required: bool,
        look: Callable[[T], Awaitable[object]] | None = None,
    ) -> None:
        self.name, self.required, self._open, self._look, self._said = name, required, open, look, said
        self.state: State = "starting"
        self.note: str | None = None
        self.value: T | None = None
        self.decided = asyncio.Event()  # the first attempt is over
        self._wake = asyncio.Event()  # somebody saw it fail: look at once

    @property
    def view(self) -> dict[str, Any]:
        """As /health tells it."""
        return {"state": self.state} if self.note is None else {"state": self.state, "note": self.note}

    async def get(self) -> T:
        """The thing itself; waits a bounded time while it is opened for the first time.

        Raises:
            Problem: 503 `dependency_unavailable` with Retry-After.
        """
        if self.value is None:
            await self._first_attempt()
        if self.value is None:
            raise self.problem(self.note or "it is still starting")
        return self.value

    def problem(self, reason: str, retry_after_s: int = 5) -> Problem:
        """What a client is told when it does not work: a word, and no host or port."""
        return Problem(
            503, f"{self.name}_unavailable", f"The {self.name} is not available: {reason}.",
            retry_after_s=retry_after_s,
        )  # fmt: skip

    def saw_failure(self, reason: str, detail: str = "") -> None:
        """A call failed: tell the reason in /health, the detail in the log, and look again soon."""
        self._became("failed", reason, detail)
        self._wake.set()

    def saw_success(self) -> None:
        """A call worked."""
        if self.state == "failed":
            self._became("ready", None)

    async def _first_attempt(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_WAIT_S):
                await self.decided.wait()

    async def look(self) -> State:
        """Look now; what was seen."""
        await self._first_attempt()
        if self.value is not None and self._look is not None:
            try:
                async with asyncio.timeout(_FIRST_WAIT_S):
                    await self._look(self.value)
                self._became("ready", None)
            except Exception as failure:  # whatever a library raises: it does not work
                self._became("failed", *_told(failure))
        return self.state

    async def keep(self) -> None:
        """Open it and keep an eye on it, for ever; the lifespan owns this."""
        failures = 0
        while True:
            self._wake.clear()
            if self.value is None:
                await self._try_to_open()
            else:
                await self.look()
            failures = failures + 1 if self.state == "failed" else 0
            pause_s = _RETRY_S[min(failures, len(_RETRY_S)) - 1] if failures else _LOOK_EVERY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    # While it is failed the pauses decide; a call that fails must not turn them into a busy loop.
                    await (asyncio.Event() if failures else self._wake).wait()

    async def _try_to_open(self) -> None:
        try:
            async with asyncio.timeout(_OPEN_WITHIN_S):
                self.value = await self._open()
            self._became("ready", None)
        except Exception as failure:  # the outermost frame of an attempt: it is told and tried again
            self._became("failed", *_told(failure))
            log.debug("%s failed", self.name, exc_info=True)
        self.decided.set()

    def _became(self, state: State, note: str | None, detail: str = "") -> None:
        before, self.state, self.note = self.state, state, note
        if before == state:
            return
        if state == "ready":
            log.info("%s", self._said if before == "starting" or self.value is None else f"{self.name} is back")
        else:
            log.warning("%s does not work: %s", self.name, f"{note} ({detail})" if detail else note)


def _told(failure: Exception) -> tuple[str, str]:
    """The reason, which anybody may read, and the detail, which only the log does: it may name hosts."""
    said = _line(str(failure) or type(failure).__name__)
    if isinstance(failure, TimeoutError):
        return "timeout", ""
    if isinstance(failure, OSError):
        return type(failure).__name__, said
    reason = getattr(failure, "reason", None)
    if reason is None:
        return said, ""
    return _line(str(reason)), _line(str(getattr(failure, "detail", "")))


def _line(text: str) -> str:
    return conceal(text.partition("\n")[0])[:300]
