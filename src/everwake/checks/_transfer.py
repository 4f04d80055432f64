"""One HTTP transfer on libcurl: how to ask, what came back, and the handle between the two.

Nothing is shared between two looks but the name of the authority file: no connection is used again, no TLS session is
resumed, no name is remembered. A look sees what a stranger would see now.
"""

import os
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping
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
from everwake.fleet.schema import Secret
from everwake.model import Failure, FailureKind, Phase

__all__ = ["Answer", "Manner", "Slot", "answer_of", "authorities", "header_lines"]

HEADER_CHARS: Final = 500
HEADERS_KEPT: Final = 256
# libcurl's own buffer for one transfer; the default of 16 KiB is for downloads.
BUFFER_BYTES: Final = 4_096
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


def header_lines(headers: Mapping[str, str | Secret] | None, **usual: str) -> tuple[str, ...]:
    """Headers as libcurl takes them, one line each; `usual` ones (`content_type="text/plain"`) give way to equal names."""
    lines = {name.replace("_", "-"): f"{name.replace('_', '-').title()}: {value}" for name, value in usual.items()}
    for name, value in (headers or {}).items():
        text = value.reveal() if isinstance(value, Secret) else str(value)
        # A line break would begin another header.
        lines[name.lower()] = " ".join(f"{name}: {text}".split("\r")).replace("\n", " ")
    return tuple(lines.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to ask: everything of a request but its URL and its deadline. Looks with equal manners share their options.

    headers: whole lines, "Name: value".   connect_s: name, connection and TLS together.   first_byte_s, transfer_s: None
    leaves them to the deadline.   redirects: how many are followed.   body_limit_bytes: on the wire, and again decoded.
    keep_bytes: how much of the body is kept for whoever reads it.   ca_file: instead of the machine's authorities.
    """

    method: str = "GET"
    headers: tuple[str, ...] = field(default=("Accept: application/json",), repr=False)
    body: bytes | None = field(default=None, repr=False)
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


class Slot:
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
        # Of the body as it travels; what it unpacks to is counted by `Slot.sink`.
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
        # Most lines are the same from look to look.
        key, text = _read_line(line) if len(line) <= HEADER_CHARS else _header(line)
        if key is None:
            if line[:5] == b"HTTP/":
                found = {}
        elif key in found:
            found[key] = f"{found[key]}, {text}"[:HEADER_CHARS]
        elif len(found) < HEADERS_KEPT:
            found[key] = text
    return found


def _header(line: bytes) -> tuple[str | None, str]:
    """Name and value; no name where the line is no header."""
    name, colon, value = line.decode("latin-1").partition(":")
    if not colon or line[:5] == b"HTTP/":
        return None, ""
    return name.strip().lower(), value.strip()[:HEADER_CHARS]


_read_line = lru_cache(maxsize=4_096)(_header)


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


def answer_of(slot: Slot, code: int, message: str) -> Answer:
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


def _failure(slot: Slot, code: int, message: str) -> Failure:
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
