"""One HTTP call to Render's API: sent once or repeated where that is safe, paced by its rate limits, its key never shown.

The request is built by the official package (`render.public_api`), so paths, parameters and bodies are the vendor's own; the
answer is read by `_reading`, for the package's models raise on an enum value that is newer than they are, and `http.HTTPStatus`
on a proxy's status (520). Loaded when the first call is made: the package takes half a second to import.
"""

import asyncio
import importlib
import json
import logging
import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

from everwake.errors import EverwakeError, Finding, MissingExtra, Misused, OutOfReach
from everwake.fleet.schema import Secret
from everwake.platforms._reading import Unreadable
from everwake.ports import Clock

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "Door", "Manners", "NoSuch", "Unclear", "is_loopback"]

log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

# The package's modules import each other in circles: two threads amid them would see one half-made.
_IMPORTING = threading.Lock()
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Writes that may be repeated because twice is the same as once.
_REPEATABLE = ("GET", "PUT", "DELETE")
_EPOCH_S = 1_000_000_000
_OLD_DATE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How patient one call is. All in seconds but tries and bytes.

    answer_s: for one answer, connecting included.   patience_s: what one call may spend on waiting altogether, for rate limits
    and between tries.   first_s, most_s: waits between tries, growing, before jitter.   settle_s: waits between looks for what
    a lost answer may have done.
    """

    connect_s: float = 10.0
    answer_s: float = 30.0
    patience_s: float = 75.0
    tries: int = 5
    first_s: float = 0.5
    most_s: float = 15.0
    settle_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    body_limit_bytes: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """A good one. data: its JSON, None without a body."""

    status: int
    data: Any


class NoSuch(Finding):
    """The platform has nothing by that id (404)."""


class Unclear(OutOfReach):
    """A write that must not be repeated had no clear answer: it may have been done. answered: the platform did say something."""

    def __init__(self, message: str, *, hint: str | None, answered: bool) -> None:
        super().__init__(message, hint=hint)
        self.answered = answered


class _Kind(Enum):
    """How one try went wrong, which decides whether it is made again."""

    NO = auto()  # it said so, and would again
    BUSY = auto()  # not done, to be asked again later (429)
    UNSENT = auto()  # nothing left this machine
    LOST = auto()  # no answer: it may have been done
    FAILED = auto()  # an answer that does not tell: it may have been done


class _Trouble(Exception):  # noqa: N818
    """One try did not bring a good answer. wait_s: as long as the platform asks for."""

    def __init__(self, kind: _Kind, told: EverwakeError, wait_s: float = 0.0) -> None:
        super().__init__(told.message)
        self.kind, self.told, self.wait_s = kind, told, wait_s


class Door:
    """Calls to one API with one key. Has no readable key in its repr, its errors or its log lines."""

    def __init__(
        self,
        name: str,
        url: str,
        key: Secret,
        key_variable: str,
        clock: Clock,
        manners: Manners,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.name, self.url, self.clock, self.manners, self.roll = name, url.rstrip("/"), clock, manners, roll
        self.host = urlsplit(self.url).netloc.rpartition("@")[2]
        self._key, self._key_variable = key, key_variable
        self._operations: dict[str, Any] = {}
        self._http: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._spent: dict[str, float] = {}  # bucket -> monotonic time at which it may be asked again
        self._ahead_s = (-math.inf, math.inf)  # how far the platform's clock is ahead of ours: at least, at most
        self.calls = 0
        _require_sendable(key, key_variable)
        _require_private(self.url)

    def __repr__(self) -> str:
        return f"Door({self.name}, {self.url})"

    @property
    def authorization(self) -> str:
        """Value of the header that opens it."""
        return f"Bearer {self._key.reveal()}"

    def platform_time(self, at: datetime) -> datetime:
        """A time of our clock by the platform's, rather too early than too late: by a second or two, as `Date` headers tell."""
        ahead_s = self._ahead_s[0]
        return at if math.isinf(ahead_s) else datetime.fromtimestamp(at.timestamp() + ahead_s, UTC)

    async def aclose(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def ask(self, operation: str, *ids: str, tries: int | None = None, **arguments: Any) -> Answer:
        """One operation of the API. operation: module of `render.public_api.api`, e.g. "deploys.list_deploys".

        Raises:
            NoSuch: 404.
            Finding: the platform said no.
            Unclear: a POST or PATCH that may or may not have been done.
            OutOfReach: it did not answer, refused the key, or asks to wait longer than we do.
        """
        request = (await self._module(operation))._get_kwargs(*(quote(each, safe="") for each in ids), **arguments)
        method, left_s = str(request["method"]).upper(), self.manners.patience_s
        bucket = _bucket(method, request["url"], ids)
        most = tries or self.manners.tries
        for n in range(1, most + 1):
            wait_s = self._spent.get(bucket, -math.inf) - self.clock.monotonic()
            if wait_s > 0:
                left_s = await self._wait(wait_s, left_s)
            try:
                return await self._once(request, bucket)
            except _Trouble as trouble:
                if trouble.kind is _Kind.NO:
                    raise trouble.told from None
                if trouble.kind in (_Kind.LOST, _Kind.FAILED) and method not in _REPEATABLE:
                    answered = trouble.kind is _Kind.FAILED
                    raise Unclear(trouble.told.message, hint=trouble.told.hint, answered=answered) from None
                if trouble.wait_s:
                    # For whoever asks next, too; this call waits for it at the top of the loop.
                    self._spent[bucket] = self.clock.monotonic() + trouble.wait_s + self.roll() * 0.25
                if n == most:
                    raise trouble.told from None
                if not trouble.wait_s:
                    step_s = min(self.manners.first_s * 2.0 ** (n - 1), self.manners.most_s)
                    left_s = await self._wait(step_s * (0.5 + self.roll()), left_s)
                log.debug("platform.again", extra={"operation": operation, "tries": n})
        raise AssertionError("unreachable")

    def read(self, reader: Callable[_P, _T], *arguments: _P.args, **more: _P.kwargs) -> _T:
        """Read an answer. Raises OutOfReach when it has not the shape that was asked for."""
        try:
            return reader(*arguments, **more)
        except Unreadable as error:
            told = f"{self.name} answered with something else than was asked for: {error}"
            raise OutOfReach(told, hint=f"is {self.url} its API?") from None

    async def model(self, name: str) -> Any:
        """A class of the package's models, for the body of a request."""
        module = await self._import("render.public_api.models")
        return getattr(module, name)

    # --- one try ------------------------------------------------------------------------------------------------------

    async def _once(self, request: dict[str, Any], bucket: str) -> Answer:
        import httpx

        http = await self._client()
        sent_s = self.clock.now().timestamp()
        self.calls += 1
        try:
            async with asyncio.timeout(self.manners.answer_s):
                async with http.stream(**request) as response:
                    self._learn(response, bucket, sent_s)
                    body = await self._body(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _Trouble(_Kind.UNSENT, self._unreached(f"cannot connect: {_reason(error)}")) from None
        except TimeoutError:
            raise _Trouble(_Kind.LOST, self._unreached(f"no answer within {self.manners.answer_s:g} s")) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _Trouble(_Kind.LOST, self._unreached(f"the answer was cut off: {_reason(error)}")) from None
        if response.status_code // 100 != 2:
            raise self._refusal(response, body)
        if not body.strip():
            return Answer(response.status_code, None)
        try:
            return Answer(response.status_code, json.loads(body))
        except (ValueError, RecursionError):
            told = OutOfReach(f"{self.name} answered with something that is not JSON", hint=f"is {self.url} its API?")
            raise _Trouble(_Kind.FAILED, told) from None

    async def _body(self, response: "httpx.Response") -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self.manners.body_limit_bytes:
                limit = self.manners.body_limit_bytes // 2**20
                told = OutOfReach(f"{self.name} answered with more than {limit} MiB", hint=f"is {self.url} its API?")
                raise _Trouble(_Kind.FAILED, told)
        return bytes(body)

    def _refusal(self, response: "httpx.Response", body: bytes) -> _Trouble:
        status, said = response.status_code, self._said(body)
        reason = f"{status} {_phrase(status)}".strip() + (f": {said}" if said else "")
        if status == 401:
            return _Trouble(_Kind.NO, self.refused())
        if status == 429:
            told = OutOfReach(
                f"{self.name} is asked too often ({reason})", hint="wait a minute; others who use the key count too"
            )
            return _Trouble(_Kind.BUSY, told, self._asked_to_wait_s(response))
        if status >= 500 or status == 408:
            told = OutOfReach(f"{self.name} failed: {reason}", hint="see https://status.render.com, then try again")
            return _Trouble(_Kind.FAILED, told)
        if status // 100 == 3:
            told = OutOfReach(f"{self.name} answered {status} from {self.url}", hint="is that its API's address?")
            return _Trouble(_Kind.NO, told)
        return _Trouble(_Kind.NO, (NoSuch if status == 404 else Finding)(f"{self.name} said no: {reason}"))

    def refused(self) -> OutOfReach:
        """For a key that the platform does not take."""
        hint = f"put a key that works into {self._key_variable}"
        return OutOfReach(f"{self.name} refused the key ({self._key.source or 'API key'})", hint=hint)

    def _said(self, body: bytes) -> str:
        """The API's own words, on one line, bounded, the key struck out should it stand in them."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        said = data.get("message") if isinstance(data, dict) else None
        if not isinstance(said, str):
            return ""
        plain = "".join(each if each.isprintable() else " " for each in said[:1_000])
        return plain.replace(self._key.reveal(), "***")[:300].strip()

    def _unreached(self, why: str) -> OutOfReach:
        started = is_loopback(self.url)
        hint = "is `everwake up` or `everwake sim` running?" if started else "check the network, then try again"
        return OutOfReach(f"{self.name} at {self.host}: {why}", hint=hint)

    # --- pace ---------------------------------------------------------------------------------------------------------

    def _learn(self, response: "httpx.Response", bucket: str, sent_s: float) -> None:
        """What the headers tell: the platform's clock, and whether its window is used up."""
        now_s = self.clock.now().timestamp()
        try:
            said_s = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            pass
        else:
            # It was written between `sent_s` and now, and names a second that had begun: each answer narrows what the difference
            # can be. Servers write it once a second or so (uvicorn does), so that it may be a little old.
            found = (said_s - now_s, said_s + _OLD_DATE_S - sent_s)
            both = (max(self._ahead_s[0], found[0]), min(self._ahead_s[1], found[1]))
            a_clock_jumped = both[0] > both[1]
            self._ahead_s = found if a_clock_jumped else both
        if response.headers.get("ratelimit-remaining", "").strip() == "0" and response.status_code != 429:
            self._spent[bucket] = self.clock.monotonic() + self._reset_s(response)

    def _asked_to_wait_s(self, response: "httpx.Response") -> float:
        asked = response.headers.get("retry-after", "").strip()
        if asked.isdigit():
            return float(min(int(asked[:9]), 86_400)) or 0.1
        try:
            at = parsedate_to_datetime(asked)
            return max(0.1, at.timestamp() - self.platform_time(self.clock.now()).timestamp())
        except (ValueError, OverflowError):
            return self._reset_s(response)

    def _reset_s(self, response: "httpx.Response") -> float:
        """`Ratelimit-Reset`: said to be an epoch, and seconds in the example beside it (api-docs.render.com, read 2026-11)."""
        said = response.headers.get("ratelimit-reset", "").strip()[:12]
        if not said.isdigit():
            return 0.0
        reset = int(said)
        return max(0.0, reset - self.platform_time(self.clock.now()).timestamp()) if reset > _EPOCH_S else float(reset)

    async def _wait(self, seconds: float, left_s: float) -> float:
        """Wait, and say what is left of the patience. Raises OutOfReach at once when that is not enough."""
        if seconds > left_s:
            told = f"{self.name} asks to wait {math.ceil(seconds)} s, longer than one call waits"
            raise OutOfReach(told, hint="its rate limit is used up; try again then, others who use the key count too")
        await self.clock.sleep(seconds)
        return left_s - seconds

    # --- parts that are loaded late -----------------------------------------------------------------------------------

    async def _module(self, operation: str) -> Any:
        known = self._operations.get(operation)
        if known is None:
            known = self._operations[operation] = await self._import(f"render.public_api.api.{operation}")
        return known

    async def _import(self, name: str) -> Any:
        try:
            return await asyncio.to_thread(_imported, name)
        except ModuleNotFoundError as error:
            raise MissingExtra("what talks to Render", error.name or "render") from None

    async def _client(self) -> "httpx.AsyncClient":
        async with self._opening:
            if self._http is None:
                await self._import("render.public_api.client")
                self._http = await asyncio.to_thread(self._build)
            return self._http

    def _build(self) -> "httpx.AsyncClient":
        import httpx
        from render.public_api.client import Client

        class Bearer(httpx.Auth):
            """Opens the door. The package's own `AuthenticatedClient` shows its token in its repr."""

            def __init__(self, door: "Door") -> None:
                self._door = door

            def auth_flow(self, request: httpx.Request) -> Any:
                request.headers["Authorization"] = self._door.authorization
                yield request

        client = Client(
            base_url=self.url,
            timeout=httpx.Timeout(self.manners.answer_s, connect=self.manners.connect_s),
            headers={"Accept": "application/json", "User-Agent": "everwake"},
            # A proxy of the surroundings has no business between us and a stand-in on this machine.
            # A connection is let go before a server would: one that is hung up on just then looks like a lost answer.
            httpx_args={
                "auth": Bearer(self),
                "trust_env": not is_loopback(self.url),
                "limits": httpx.Limits(max_connections=20, keepalive_expiry=2.0),
            },
            verify_ssl=self.url.startswith("https"),
        )
        return client.get_async_httpx_client()


def is_loopback(url: str) -> bool:
    """Whether it is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def _require_private(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return
    if parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.username:
        return
    raise Misused(
        f"the platform's address {parts.scheme}://{parts.hostname or ''} would carry the key in the open",
        hint="use https://, or http:// of this machine",
    )


def _require_sendable(key: Secret, variable: str) -> None:
    """Here, for a library that refuses a header names its value in the error."""
    value = key.reveal()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise Misused(f"the key from {key.source or variable} cannot be one", hint=f"put the key alone into {variable}")


def _bucket(method: str, url: str, ids: tuple[str, ...]) -> str:
    """Which limit counts it: reads, writes, or those that are counted for each service (api-docs.render.com, read 2026-11)."""
    if method == "GET":
        return "read"
    last = url.rpartition("/")[2]
    return f"service {ids[0]}" if ids and last in ("deploys", "suspend", "resume") else "write"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _reason(error: Exception) -> str:
    """In words, of a library's exception; bounded."""
    said = str(error).strip() or type(error).__name__
    return "".join(each if each.isprintable() else " " for each in said)[:200]


def _imported(name: str) -> Any:
    with _IMPORTING:
        return importlib.import_module(name)
