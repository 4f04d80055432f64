"""HTTP: is the answer to one GET, on a connection of its own, the expected one?"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import urlsplit

from everwake.checks import _expect
from everwake.checks._kind import CheckKind, Tape
from everwake.checks._transfer import Answer, Manner, header_lines
from everwake.fleet.schema import Expect, Secret, Service, setting
from everwake.model import Failure, Phase

__all__ = ["KIND", "Spec", "judge", "observe", "settled", "waking", "why_no_address", "write_down"]

EXCERPT_CHARS = 2_000
# What tells who answered: the service, its edge, or a bot check in front of it.
CHOSEN = frozenset({"server", "retry-after", "location", "via", "cf-mitigated", "ngrok-error-code"})
CHOSEN_MOST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to ask for and what to expect. Private addresses are a rule of the fleet, not of one check."""

    url: str = setting(default="", reads="url", help="whole address; the service's own when left out")
    path: str = setting(default="", reads="route", help="path at the service; its health path when left out")
    headers: Mapping[str, str | Secret] | None = setting(
        default=None, reads="map", help='headers to send, such as Authorization = { env = "TOKEN" }'
    )
    expect: Expect = setting(default=Expect(), help="status, headers, json, text, below_ms of a good answer")
    connect_s: float = setting(
        default=10.0, ge=0.1, le=300, reads="seconds", key="connect", help="most for name, connection and TLS"
    )
    first_byte_s: float | None = setting(
        default=None, ge=0.1, le=600, reads="seconds", key="first_byte",
        help="most until the answer begins; the timeout when left out",
    )  # fmt: skip
    transfer_s: float = setting(
        default=15.0, ge=0.1, le=600, reads="seconds", key="transfer", help="most from first byte to last"
    )
    redirects: int = setting(default=5, ge=0, le=20, help="how many redirects are followed")
    body_limit_bytes: int = setting(
        default=2_097_152, ge=1_024, le=67_108_864, help="most of a body, on the wire and again when unpacked"
    )
    ca_file: str | None = setting(default=None, reads="path", help="authorities to trust instead of the machine's")
    manner: Manner = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "manner", _manner(self))


def _manner(spec: Spec) -> Manner:
    """Equal specs share one manner, so that a handle keeps its options from look to look."""
    keep_bytes = spec.body_limit_bytes if _expect.needs_body(spec.expect) else EXCERPT_CHARS * 4
    return _shared(
        Manner(
            headers=header_lines(spec.headers, accept="application/json"),
            connect_s=spec.connect_s,
            first_byte_s=spec.first_byte_s,
            transfer_s=spec.transfer_s,
            redirects=spec.redirects,
            body_limit_bytes=spec.body_limit_bytes,
            keep_bytes=keep_bytes,
            ca_file=spec.ca_file,
        )
    )


@lru_cache(maxsize=4_096)
def _shared(manner: Manner) -> Manner:
    return manner


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with its address filled in from the service."""
    return (
        spec
        if spec.url and not spec.path
        else replace(spec, url=(spec.url or service.url) + (spec.path or service.health))
    )


def waking(spec: Spec) -> Spec:
    """The look that wakes a sleeping service: the same one GET, which may be held for as long as the runner allows.

    Render's edge holds a request that accepts JSON until the service answers (19-90 s, seen 2026-07); it is asked once,
    and how long it took is no fault.
    """
    return replace(spec, first_byte_s=None, expect=replace(spec.expect, below_ms=None))


def excerpt(body: bytes) -> str:
    """The first characters of a body as text, whatever it is. Untrusted."""
    if len(body) <= EXCERPT_CHARS and body.isascii() and b"\x00" not in body:
        return body.decode("ascii")
    return body[: EXCERPT_CHARS * 4].decode("utf-8", "replace").replace("\x00", "\ufffd")[:EXCERPT_CHARS]


def chosen(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers worth remembering, at most 40 of them."""
    found = {name: value for name, value in headers.items() if name[:2] == "x-" or name in CHOSEN}
    return found if len(found) <= CHOSEN_MOST else dict(list(found.items())[:CHOSEN_MOST])


def write_down(answer: Answer, tape: Tape) -> None:
    """Put what came back onto the tape."""
    tape.phases = answer.phases
    tape.status = answer.status or None
    tape.headers = chosen(answer.headers)
    tape.excerpt = excerpt(answer.body)
    tape.certificate_expires_at = answer.certificate_expires_at
    tape.redirects = answer.redirects


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Ask once; the failure of the transfer, else the first expectation that is not met."""
    answer = await tape.looker.ask(spec.url, spec.manner, tape.left_s)
    write_down(answer, tape)
    return await why_no_address(spec.url, answer, tape) if answer.no_such_host else judge(spec, answer)


def judge(spec: Spec, answer: Answer) -> Failure | None:
    """What is wrong with an answer; of one with `no_such_host` ask `why_no_address`."""
    if answer.failure is not None:
        return answer.failure
    return _expect.judge(spec.expect, answer.status, answer.headers, answer.body, answer.took_s)


async def why_no_address(url: str, answer: Answer, tape: Tape) -> Failure | None:
    """libcurl does not tell a name that does not exist from a resolver that does not answer; the system's resolver does.

    Only the host that was asked for is looked up again, so after a redirect the answer stays the general one.
    """
    host = urlsplit(url).hostname
    if answer.redirects == 0 and host:
        tape.now = Phase.DNS
        try:
            async with asyncio.timeout(min(2.0, tape.left_s)):
                await tape.dialer.resolve(host)
        except TimeoutError:
            return answer.failure
    return answer.failure


KIND = CheckKind(name="http", help=__doc__, spec=Spec, observe=observe, settled=settled, keeps_deadline=True)
