"""Redis: does it answer PING, over TLS and with a password where the URL says so?"""

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from everwake.checks import tls
from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.fleet.schema import Secret, setting
from everwake.model import Failure, FailureKind, Phase

__all__ = ["KIND", "Spec", "observe"]

LINE_BYTES: Final = 4_096
# Error codes with which Redis refuses a login (redis.io/docs, ACL and AUTH, read 2026-11). The first word of an error is its
# code and part of the protocol, unlike the text behind it.
_LOGIN_CODES: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Where the server is, as one URL: redis://[[user]:password@]host[:port][/db], rediss:// for TLS."""

    url: str | Secret = setting(reads="url", help='redis:// or rediss:// URL; with a password as { env = "REDIS_URL" }')
    ca_file: str | None = setting(default=None, reads="path", help="authorities to trust instead of the machine's")


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Connect, log in, select the database, PING; everything in the protocol's first version, which every server speaks."""
    url = urlsplit(spec.url.reveal() if isinstance(spec.url, Secret) else spec.url)
    # `ssl_ca_certs` in the URL is how redis-py is told, so a service's own REDIS_URL works here unchanged.
    ca_file = spec.ca_file or next(iter(parse_qs(url.query).get("ssl_ca_certs", ())), None)
    context = tls.trust(ca_file) if url.scheme == "rediss" else None
    reader, writer = await tape.dialer.dial(
        tape, url.hostname or "localhost", url.port or 6379, context, limit_bytes=LINE_BYTES
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


KIND = CheckKind(name="redis", help=__doc__, spec=Spec, observe=observe)
