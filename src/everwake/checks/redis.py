"""Redis: does it answer PING, over TLS and with a password where the URL says so?"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from everwake.checks import tls
from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.fleet.schema import Secret, Service, setting
from everwake.model import Failure, FailureKind, Phase

__all__ = ["KIND", "Spec", "observe", "settled"]

LINE_BYTES: Final = 4_096
PORT: Final = 6_379
# Error codes with which Redis refuses a login (redis.io/docs, ACL and AUTH, read 2026-11). The first word of an error is its
# code and part of the protocol, unlike the text behind it.
_LOGIN_CODES: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Where the server is: one URL, or a host and a port without a password."""

    url: Secret | None = setting(
        default=None, reads="secret", help="redis://[[user]:password@]host[:port][/db], rediss:// for TLS"
    )
    host: str = setting(
        default="", reads="host", help="instead of url: name or address; the service's own when left out"
    )
    port: int = setting(
        default=0, ge=0, le=65_535, help="instead of url: TCP port; the service's own when left out or 0"
    )
    ca_file: str | None = setting(default=None, reads="path", help="authorities to trust instead of the machine's")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with the service's own host and port where no URL is given."""
    own = urlsplit(service.url)
    return replace(spec, host=spec.host or own.hostname or "", port=spec.port or own.port or PORT)


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Connect, log in, select the database, PING; everything in the protocol's first version, which every server speaks."""
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    url = urlsplit(spec.url.reveal() if spec.url else f"redis://{host}:{spec.port or PORT}")
    # `ssl_ca_certs` in the URL is how redis-py is told, so a service's own REDIS_URL works here unchanged.
    ca_file = spec.ca_file or next(iter(parse_qs(url.query).get("ssl_ca_certs", ())), None)
    context = tls.trust(ca_file) if url.scheme == "rediss" else None
    reader, writer = await tape.dialer.dial(
        tape, url.hostname or "localhost", url.port or PORT, context, limit_bytes=LINE_BYTES
    )
    try:
        if url.password is not None:
            user = (unquote(url.username),) if url.username else ()
            with tape.phase(Phase.LOGIN):
                await _say(reader, writer, Phase.LOGIN, "AUTH", *user, unquote(url.password))
        with tape.phase(Phase.COMMAND):
            if (database := url.path.strip("/")) not in ("", "0"):
                await _say(reader, writer, Phase.COMMAND, "SELECT", database)
            answer = await _say(reader, writer, Phase.COMMAND, "PING")
        if answer != "PONG":
            raise Unmet(FailureKind.BAD_PROTOCOL, Phase.COMMAND, "PING was not answered with PONG")
    finally:
        writer.transport.abort()
    return None


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, phase: Phase, *words: str) -> str:
    """Send one command and read its one-line answer. Raises Unmet for an error of the server or an answer that is none."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    writer.write(b"".join(parts))
    await writer.drain()
    line = await reader.readuntil(b"\r\n")
    text = line[1:-2].decode("utf-8", "replace")
    if line[:1] == b"+":
        return text
    if line[:1] != b"-":
        raise Unmet(FailureKind.BAD_PROTOCOL, phase, "the answer is not one of Redis")
    code = text.partition(" ")[0]
    if code in _LOGIN_CODES or phase is Phase.LOGIN:
        # The text may quote the user name, never the password; the code alone says enough.
        raise Unmet(FailureKind.AUTH, Phase.LOGIN, code)
    raise Unmet(FailureKind.ANSWER, phase, text[:300])


KIND = CheckKind(name="redis", help=__doc__, spec=Spec, observe=observe, settled=settled)
