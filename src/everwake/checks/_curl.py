"""HTTP for every check, on libcurl: one transfer, one connection, bounded in time and bytes, and what it saw.

Nothing is shared between two looks but the name of the authority file: no connection is used again, no TLS session is
resumed, no name is remembered. A look sees what a stranger would see now.
"""

import asyncio
import os
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pycurl  # type: ignore[import-untyped,unused-ignore]

from everwake.checks import _failures
from everwake.checks._addresses import is_private
from everwake.checks._sockets import Watch, watch_for
from everwake.model import Failure, FailureKind, Phase

__all__ = ["Answer", "Looker", "Manner"]

HEADER_CHARS: Final = 500
HEADERS_KEPT: Final = 256
WAITING_MOST: Final = 50_000
POOL_MOST: Final = 64
# libcurl's own buffer for one transfer; the default of 16 KiB is for downloads.
BUFFER_BYTES: Final = 4_096
SWEEP_S: Final = 0.2
# What can only have happened there, also after a redirect, when libcurl's times are those of all hops together.
_PHASE_OF: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: Phase.DNS,
    pycurl.E_COULDNT_CONNECT: Phase.CONNECT,
    pycurl.E_SSL_CONNECT_ERROR: Phase.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Phase.TLS,
}
# CURLOPT_SSL_EC_CURVES, for which pycurl has no name. The post-quantum share that OpenSSL 3.5 offers first costs 0.06 ms a
# handshake (bench/looks.py), for an exchange that holds no secret.
_SSL_EC_CURVES: Final = 10298
_CURVES: Final = "X25519:P-256:P-384"


def _user_agent() -> str:
    try:
        return f"everwake/{version('everwake')}"
    except PackageNotFoundError:
        return "everwake"


USER_AGENT: Final = _user_agent()


def authorities() -> str | None:
    """The file with the certificate authorities this machine trusts, None where libcurl must ask the system."""
    asked = os.environ.get("SSL_CERT_FILE")
    paths = ssl.get_default_verify_paths()
    usual = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    for path in (asked, paths.cafile, *usual):
        if path and Path(path).is_file():
            return path
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to ask: everything of a request but its URL and its deadline. Looks with equal manners share their options.

    headers: whole lines, "Name: value".   connect_s: name, connection and TLS together.   first_byte_s, transfer_s: None
    leaves them to the deadline.   redirects: how many are followed.   body_limit_bytes: on the wire, and again decoded.
    keep_bytes: how much of the body is kept for whoever reads it.   ca_file: instead of the machine's authorities.
    """

    method: str = "GET"
    headers: tuple[str, ...] = ("Accept: application/json",)
    body: bytes | None = None
    connect_s: float = 10.0
    first_byte_s: float | None = None
    transfer_s: float | None = 15.0
    redirects: int = 5
    body_limit_bytes: int = 2_097_152
    keep_bytes: int = 8_192
    ca_file: str | None = None


@dataclass(slots=True)
class Answer:
    """What came back. status 0: nothing that is HTTP. headers: of the last answer, lower-case names, bounded."""

    failure: Failure | None
    status: int
    headers: dict[str, str]
    body: bytes
    phases: dict[Phase, float]
    took_s: float
    redirects: int
    certificate_expires_at: datetime | None = None
    url: str = ""
    no_such_host: bool = field(default=False)


class _Slot:
    """A libcurl handle with the places its answer goes to; used again for other looks, never for two at once."""

    __slots__ = (
        "body", "curl", "done", "guards", "headers", "keep", "limit", "manner", "refused", "size", "started_s", "timed_out",
        "timeout_ms", "url",
    )  # fmt: skip

    def __init__(self) -> None:
        self.curl = pycurl.Curl()
        self.headers: list[bytes] = []
        self.body: list[bytes] = []
        self.manner: Manner | None = None
        self.guards = False
        self.size = self.limit = self.keep = 0
        self.timeout_ms = 0
        self.started_s = 0.0
        self.refused: str | None = None
        self.timed_out: Phase | None = None
        self.url = ""
        self.done: Callable[[Answer], None] | None = None

    def sink(self, data: bytes) -> int | None:
        """libcurl's write callback, after decompression. Any other number than the length ends the transfer."""
        self.size += len(data)
        if self.size > self.limit:
            return 0
        if self.keep > 0:
            self.body.append(data[: self.keep])
            self.keep -= len(data)
        return None

    def open_public_socket(self, purpose: int, address: tuple[int, int, int, tuple[Any, ...]]) -> Any:
        """libcurl's socket callback where private addresses are forbidden: it sees what is really connected to."""
        import socket

        family, kind, protocol, where = address
        host = where[0].decode() if isinstance(where[0], bytes) else str(where[0])
        if purpose != pycurl.SOCKTYPE_IPCXN or is_private(host):
            self.refused = host
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)

    def ready(self, url: str, manner: Manner, timeout_s: float, *, guards: bool, ca_file: str | None) -> None:
        """Make the handle ask for `url`; what it knew from its last look is set only where it differs."""
        curl = self.curl
        if self.manner is not manner or self.guards is not guards:
            curl.reset()
            self._apply(manner, guards=guards, ca_file=ca_file)
            self.manner, self.guards, self.timeout_ms = manner, guards, 0
        curl.setopt(pycurl.URL, url)
        timeout_ms = max(1, int(timeout_s * 1000))
        if timeout_ms != self.timeout_ms:
            curl.setopt(pycurl.TIMEOUT_MS, timeout_ms)
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, min(timeout_ms, int(manner.connect_s * 1000))))
            self.timeout_ms = timeout_ms
        self.size, self.limit, self.keep = 0, manner.body_limit_bytes, manner.keep_bytes
        self.refused = self.timed_out = None
        self.url = url

    def _apply(self, manner: Manner, *, guards: bool, ca_file: str | None) -> None:
        curl = self.curl
        for option, value in _options(manner, ca_file):
            curl.setopt(option, value)
        # A libcurl on the system's own TLS (Windows' Schannel) does not know it.
        with suppress(pycurl.error):
            curl.setopt(_SSL_EC_CURVES, _CURVES)
        curl.setopt(pycurl.HEADERFUNCTION, self.headers.append)
        curl.setopt(pycurl.WRITEFUNCTION, self.sink)
        if guards:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self.open_public_socket)

    def phase(self) -> Phase:
        """The phase a transfer is in, or ended in."""
        told = self.curl.getinfo
        # In this order: when a connection fails libcurl also fills in the times of the phases that never came (8.23).
        if not told(pycurl.NAMELOOKUP_TIME):
            return Phase.DNS
        if not told(pycurl.CONNECT_TIME):
            return Phase.CONNECT
        if self.url[:5].lower() == "https" and not told(pycurl.APPCONNECT_TIME):
            return Phase.TLS
        return Phase.TRANSFER if told(pycurl.STARTTRANSFER_TIME) else Phase.FIRST_BYTE


@lru_cache(maxsize=256)
def _options(manner: Manner, ca_file: str | None) -> tuple[tuple[int, Any], ...]:
    options: list[tuple[int, Any]] = [
        (pycurl.NOSIGNAL, 1),
        # A proxy of the environment would be looked at instead of the service.
        (pycurl.PROXY, ""),
        (pycurl.FRESH_CONNECT, 1),
        (pycurl.FORBID_REUSE, 1),
        (pycurl.SSL_SESSIONID_CACHE, 0),
        (pycurl.DNS_CACHE_TIMEOUT, 0),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.FOLLOWLOCATION, 1 if manner.redirects else 0),
        (pycurl.MAXREDIRS, manner.redirects),
        (pycurl.BUFFERSIZE, BUFFER_BYTES),
        # Of the body as it travels; what it unpacks to is counted by `_Slot.sink`.
        (pycurl.MAXFILESIZE_LARGE, manner.body_limit_bytes),
        (pycurl.ACCEPT_ENCODING, ""),
        (pycurl.USERAGENT, USER_AGENT),
        (pycurl.HTTPHEADER, list(manner.headers)),
        (pycurl.OPT_CERTINFO, 1),
    ]
    authority = manner.ca_file or ca_file
    if authority is not None:
        options.append((pycurl.CAINFO, authority))
    elif sys.platform == "win32" and hasattr(pycurl, "SSLOPT_NATIVE_CA"):
        options.append((pycurl.SSL_OPTIONS, pycurl.SSLOPT_NATIVE_CA))
    if manner.body is not None:
        options += [(pycurl.POSTFIELDS, manner.body), (pycurl.POSTFIELDSIZE, len(manner.body))]
    if manner.method == "HEAD":
        options.append((pycurl.NOBODY, 1))
    elif manner.method not in ("GET", "POST") or (manner.method == "POST" and manner.body is None):
        options.append((pycurl.CUSTOMREQUEST, manner.method))
    return tuple(options)


def _headers(lines: Iterable[bytes]) -> dict[str, str]:
    """The headers of the last answer among `lines`, those of redirects and 1xx before it left out. Doubles are joined."""
    found: dict[str, str] = {}
    for line in lines:
        if line[:5] == b"HTTP/":
            found = {}
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(found) >= HEADERS_KEPT:
            continue
        key, text = name.strip().lower(), value.strip()[:HEADER_CHARS]
        found[key] = f"{found[key]}, {text}"[:HEADER_CHARS] if key in found else text
    return found


@lru_cache(maxsize=4_096)
def _expiry(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _certificate_expires_at(curl: Any) -> datetime | None:
    """When the server's own certificate (the first of its chain) ends."""
    for name, value in next(iter(curl.getinfo(pycurl.INFO_CERTINFO)), ()):
        if name == "Expire date":
            return _expiry(value)
    return None


class Looker:
    """All HTTP of one keeper. Made inside a running loop; `close` ends what is under way and releases everything.

    allow_private: whether private addresses may be connected to.   at_once: transfers at a time, more of them wait their turn.
    watch: how sockets are watched. A loop that cannot watch sockets (Windows' proactor) is served from a thread with one
    that can.
    """

    def __init__(
        self,
        *,
        allow_private: bool = True,
        at_once: int = 10_000,
        watch: Callable[[asyncio.AbstractEventLoop, Callable[[list[tuple[int, int]]], None]], Watch] = watch_for,
        in_thread: bool | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        proactor = getattr(asyncio, "ProactorEventLoop", None)
        if in_thread is None:
            in_thread = proactor is not None and isinstance(self._loop, proactor)
        self._engine_loop = _loop_in_thread() if in_thread else self._loop
        self._engine = _Engine(self._engine_loop, allow_private=allow_private, at_once=at_once)
        self._in_thread = in_thread
        self._arrived: list[tuple[Callable[[Answer], None], Answer]] = []
        self._is_closed = False
        if in_thread:
            self._engine_loop.call_soon_threadsafe(self._engine.open, watch)
        else:
            self._engine.open(watch)

    def start(self, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]) -> Callable[[], None]:
        """Ask; `done` is called from the loop, once, within `timeout_s`. The answer cancels it: then it is not called."""
        if self._is_closed:
            raise RuntimeError("the looker is closed")
        if not self._in_thread:
            return self._engine.start(url, manner, timeout_s, done)
        ticket = _Ticket(done)
        self._engine_loop.call_soon_threadsafe(
            self._engine.start_for, ticket, url, manner, timeout_s, lambda answer: self._hand_over(ticket, answer)
        )
        return lambda: self._withdraw(ticket)

    async def ask(self, url: str, manner: Manner, timeout_s: float) -> Answer:
        """Ask and wait for the answer. Cancelling it ends the transfer."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        cancel = self.start(url, manner, timeout_s, future.set_result)
        try:
            return await future
        except asyncio.CancelledError:
            cancel()
            raise

    async def close(self) -> None:
        """End every transfer without an answer and release handles, sockets and the thread."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._in_thread:
            self._engine.close()
            return
        gone = asyncio.Event()

        def leave() -> None:
            self._engine.close()
            self._engine_loop.stop()
            self._loop.call_soon_threadsafe(gone.set)

        self._engine_loop.call_soon_threadsafe(leave)
        await gone.wait()

    # Both sides of the thread: answers come over in batches, one wake-up of the loop for all that arrived meanwhile.

    def _hand_over(self, ticket: "_Ticket", answer: Answer) -> None:
        self._arrived.append((ticket.finish, answer))
        if len(self._arrived) == 1:
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        arrived, self._arrived = self._arrived, []
        for finish, answer in arrived:
            finish(answer)

    def _withdraw(self, ticket: "_Ticket") -> None:
        ticket.done = None
        if not self._is_closed:
            self._engine_loop.call_soon_threadsafe(ticket.cancel)


class _Ticket:
    """One look whose transfer is in the other thread. `done` belongs to the asking thread, `stop` to the asked one."""

    __slots__ = ("done", "stop")

    def __init__(self, done: Callable[[Answer], None]) -> None:
        self.done: Callable[[Answer], None] | None = done
        self.stop: Callable[[], None] | None = None

    def finish(self, answer: Answer) -> None:
        if self.done is not None:
            self.done(answer)

    def cancel(self) -> None:
        if self.stop is not None:
            self.stop()


def _loop_in_thread() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()

    def work() -> None:
        loop.run_forever()
        loop.close()

    threading.Thread(target=work, name="everwake-looks", daemon=True).start()
    return loop


class _Engine:
    """libcurl's multi interface on one loop. Every method is called from that loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, allow_private: bool, at_once: int) -> None:
        self._loop = loop
        self._guards, self._at_once = not allow_private, at_once
        self._ca_file = authorities()
        self._pool: list[_Slot] = []
        self._flying: dict[Any, _Slot] = {}
        self._waiting: deque[tuple[str, Manner, float, Callable[[Answer], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self._kick_planned = False
        self._sweep: asyncio.TimerHandle | None = None

    def open(
        self, watch: Callable[[asyncio.AbstractEventLoop, Callable[[list[tuple[int, int]]], None]], Watch]
    ) -> None:
        self._multi = pycurl.CurlMulti()
        self._watch = watch(self._loop, self._act)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch.want)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def close(self) -> None:
        for handle in (self._timer, self._sweep):
            if handle is not None:
                handle.cancel()
        for curl in tuple(self._flying):
            self._multi.remove_handle(curl)
            curl.close()
        self._flying.clear()
        self._waiting.clear()
        # libcurl lets go of lines that are still being shut down: its callbacks must work until then.
        self._multi.close()
        self._watch.close()
        for slot in self._pool:
            slot.curl.close()
        self._pool.clear()

    # --- beginning and ending a transfer ------------------------------------------------------------------------------

    def start(self, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]) -> Callable[[], None]:
        if len(self._flying) >= self._at_once:
            return self._wait(url, manner, timeout_s, done)
        slot = self._pool.pop() if self._pool else _Slot()
        try:
            slot.ready(url, manner, timeout_s, guards=self._guards, ca_file=self._ca_file)
        except (pycurl.error, ValueError) as error:
            return self._refuse(f"libcurl cannot ask so: {error}", done)
        slot.done, slot.started_s = done, monotonic()
        self._flying[slot.curl] = slot
        self._multi.add_handle(slot.curl)
        if self._sweep is None:
            self._plan_sweep(min(1.0, manner.transfer_s or 1.0, manner.first_byte_s or 1.0))
        return lambda: self._cancel(slot, done)

    def _refuse(self, why: str, done: Callable[[Answer], None]) -> Callable[[], None]:
        failure = Failure(kind=FailureKind.INTERNAL, phase=Phase.DNS, detail=_failures.detail(why))
        return self._loop.call_soon(done, Answer(failure, 0, {}, b"", {}, 0.0, 0)).cancel

    def start_for(
        self, ticket: _Ticket, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]
    ) -> None:
        ticket.stop = self.start(url, manner, timeout_s, done)

    def _wait(self, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]) -> Callable[[], None]:
        if len(self._waiting) >= WAITING_MOST:
            return self._refuse("too many looks are waiting", done)
        entry = (url, manner, timeout_s, done)
        self._waiting.append(entry)

        def leave() -> None:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                for slot in self._flying.values():
                    if slot.done is done:
                        self._cancel(slot, done)
                        return

        return leave

    def _cancel(self, slot: _Slot, done: Callable[[Answer], None]) -> None:
        # The slot may have ended and be at work for somebody else by now.
        if slot.done is done:
            self._release(slot)

    def _release(self, slot: _Slot) -> None:
        self._multi.remove_handle(slot.curl)
        del self._flying[slot.curl]
        slot.done = None
        slot.headers.clear()
        slot.body.clear()
        if len(self._pool) < POOL_MOST:
            self._pool.append(slot)
        else:
            slot.curl.close()
        while self._waiting and len(self._flying) < self._at_once:
            self.start(*self._waiting.popleft())

    def _finish(self, slot: _Slot, code: int, message: str) -> None:
        done, answer = slot.done, _answer(slot, code, message)
        self._release(slot)
        if done is not None:
            done(answer)

    # --- libcurl's side -----------------------------------------------------------------------------------------------

    def _act(self, ready: list[tuple[int, int]]) -> None:
        act = self._multi.socket_action
        for fd, what in ready:
            act(fd, what)
        self._drain()

    def _drain(self) -> None:
        left = 1
        while left:
            left, good, bad = self._multi.info_read(100)
            for curl in good:
                if (slot := self._flying.get(curl)) is not None:
                    self._finish(slot, 0, "")
            for curl, code, message in bad:
                if (slot := self._flying.get(curl)) is not None:
                    self._finish(slot, code, message)

    def _set_timer(self, after_ms: int) -> None:
        """libcurl's timer callback. It moves its timer several times a look, so ours is moved only to come earlier."""
        if after_ms == 0:
            if not self._kick_planned:
                self._kick_planned = True
                self._loop.call_soon(self._kick)
            return
        if after_ms < 0:
            self._due_s = None
            return
        self._due_s = due_s = self._loop.time() + after_ms / 1000
        if self._timer is None or self._timer.when() > due_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._due_s is None:
            return
        if self._due_s > self._loop.time() + 0.001:
            self._timer = self._loop.call_at(self._due_s, self._ring)
            return
        self._kick()

    def _kick(self) -> None:
        self._kick_planned = False
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._drain()

    # --- limits that libcurl does not have ----------------------------------------------------------------------------

    def _plan_sweep(self, after_s: float) -> None:
        self._sweep = self._loop.call_later(after_s, self._sweep_now)

    def _sweep_now(self) -> None:
        """End the transfers whose first byte, or whose rest, takes too long: libcurl knows only the whole and the connection."""
        now_s = monotonic()
        for slot in tuple(self._flying.values()):
            late = _overdue(slot, now_s - slot.started_s)
            if late is not None:
                slot.timed_out = late
                self._finish(slot, pycurl.E_OPERATION_TIMEDOUT, f"{late} took longer than its limit")
        self._sweep = None
        if self._flying:
            self._plan_sweep(SWEEP_S)


def _overdue(slot: _Slot, age_s: float) -> Phase | None:
    manner = slot.manner
    if manner is None or (manner.transfer_s is None and manner.first_byte_s is None):
        return None
    if age_s < min(manner.transfer_s or age_s, manner.first_byte_s or age_s):
        return None
    told = slot.curl.getinfo
    began_s = told(pycurl.STARTTRANSFER_TIME)
    if began_s:
        return Phase.TRANSFER if manner.transfer_s is not None and age_s - began_s > manner.transfer_s else None
    asked_s = told(pycurl.PRETRANSFER_TIME)
    if asked_s and manner.first_byte_s is not None and age_s - asked_s > manner.first_byte_s:
        return Phase.FIRST_BYTE
    return None


def _answer(slot: _Slot, code: int, message: str) -> Answer:
    told = slot.curl.getinfo
    named_s, connected_s = told(pycurl.NAMELOOKUP_TIME), told(pycurl.CONNECT_TIME)
    secured_s = told(pycurl.APPCONNECT_TIME)
    phases = {Phase.DNS: named_s}
    if connected_s:
        phases[Phase.CONNECT] = max(0.0, connected_s - named_s)
    if secured_s:
        phases[Phase.TLS] = max(0.0, secured_s - connected_s)
    if not code:
        failure, first_s, total_s = None, told(pycurl.STARTTRANSFER_TIME), told(pycurl.TOTAL_TIME)
        phases[Phase.FIRST_BYTE] = max(0.0, first_s - (secured_s or connected_s))
        phases[Phase.TRANSFER] = max(0.0, total_s - first_s)
    else:
        failure, total_s = _failure(slot, code, message), monotonic() - slot.started_s
        if failure.phase is Phase.TRANSFER:
            phases[Phase.FIRST_BYTE] = max(0.0, told(pycurl.STARTTRANSFER_TIME) - (secured_s or connected_s))
        # What is not in the phases before belongs to the one that failed.
        spent_s = sum(lasted_s for phase, lasted_s in phases.items() if phase is not failure.phase)
        phases[failure.phase] = max(0.0, total_s - spent_s)
    return Answer(
        failure,
        told(pycurl.RESPONSE_CODE),
        _headers(slot.headers),
        b"".join(slot.body),
        phases,
        total_s,
        told(pycurl.REDIRECT_COUNT),
        _certificate_expires_at(slot.curl) if secured_s or code == pycurl.E_PEER_FAILED_VERIFICATION else None,
        slot.url,
        code == pycurl.E_COULDNT_RESOLVE_HOST,
    )


def _failure(slot: _Slot, code: int, message: str) -> Failure:
    if slot.refused is not None:
        text = f"{slot.refused} is not a public address"
        return Failure(kind=FailureKind.ADDRESS_REFUSED, phase=Phase.CONNECT, detail=text)
    if slot.size > slot.limit:
        text = f"more than {slot.limit} bytes"
        return Failure(kind=FailureKind.TOO_LARGE, phase=Phase.TRANSFER, detail=text)
    told = slot.curl.getinfo
    return _failures.of_curl(
        code,
        message,
        phase=slot.timed_out or _PHASE_OF.get(code) or slot.phase(),
        os_errno=told(pycurl.OS_ERRNO),
        verify_code=told(pycurl.SSL_VERIFYRESULT),
    )
