"""Heads of requests and answers: checked, understood, and written again for the other side with as little changed as can be.

llhttp (httptools) checks the grammar; lines are then passed on byte for byte, in their order, those of the hop excepted
(RFC 9110 section 7.6.1).
"""

import re
from dataclasses import dataclass

import httptools

from everwake.sim.edge.framing import Chunked, Counted, Framing, Malformed, NoBody, UntilClose

__all__ = ["AnswerHead", "RequestHead", "parse_answer", "parse_request"]

REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
OTHER_VERSION = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9](?:\.[0-9])?")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?")
HOST = re.compile(rb"[^\x00-\x20\x7f/?#@\\,]*")
AUTHORITY = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)
LENGTH = re.compile(rb"[0-9]{1,18}")

Lines = tuple[tuple[bytes, bytes], ...]
Values = dict[bytes, list[bytes]]

READ = frozenset((
    b"accept", b"connection", b"content-length", b"host", b"te", b"transfer-encoding", b"upgrade", b"x-forwarded-for",
))  # fmt: skip

# Of one hop only, besides whatever `Connection` names.
HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"upgrade")
)
# Whatever `Connection` says: without these the other side would see another message, or another service, than we did.
NEVER_OF_THE_HOP = frozenset((b"host", b"content-length", b"transfer-encoding"))
SAID_BY_THE_EDGE = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"rndr-id"))
ADDED_TO_ANSWERS = frozenset((b"rndr-id", b"x-render-origin-server"))
HTML = (b"text/html", b"application/xhtml+xml")


class _Check:
    """What llhttp tells: that the head ended where we say it does."""

    __slots__ = ("heads",)

    def __init__(self) -> None:
        self.heads = 0

    def on_headers_complete(self) -> None:
        self.heads += 1


def _checked(raw: bytes, kind: type[httptools.HttpRequestParser] | type[httptools.HttpResponseParser]) -> None:
    check = _Check()
    try:
        kind(check).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an upgrade is asked for or granted: not an error
    except httptools.HttpParserError as error:
        raise Malformed(str(error)) from None
    if check.heads != 1:
        raise Malformed("that is not one head")


def _split(raw: bytes) -> tuple[bytes, Lines]:
    """The first line, and (lower-case name, whole line) of every header."""
    first, *lines = raw[:-4].split(b"\r\n")
    return first, tuple((line[: line.find(b":")].lower(), line) for line in lines)


def _found(lines: Lines) -> Values:
    """The values of the headers that say something to us, in their order."""
    found: Values = {}
    for name, line in lines:
        if name in READ:
            found.setdefault(name, []).append(line[len(name) + 1 :].strip(b" \t"))
    return found


def _tokens(found: Values, name: bytes) -> frozenset[bytes]:
    """The comma-separated values of a header, in lower case."""
    values = found.get(name)
    if values is None:
        return frozenset()
    return frozenset(part.strip(b" \t") for value in values for part in value.lower().split(b","))


def _kept(lines: Lines, hop: frozenset[bytes], ours: frozenset[bytes]) -> list[bytes]:
    """What the other side gets to see of them."""
    drops = HOP | ours | (hop - NEVER_OF_THE_HOP)
    return [line for name, line in lines if name not in drops]


# --- requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """A request, understood. host: lower case, without port; "" for none.   minor: of its HTTP version, 0 or 1.

    body: how it is framed; follows one body, this one.   keeps: the client wants to go on after the answer.
    wants_html: it would rather have a page than data, as a browser that navigates.
    """

    method: bytes
    minor: int
    host: str
    body: Framing
    keeps: bool
    is_websocket: bool
    wants_html: bool
    first: bytes
    lines: Lines
    found: Values
    hop: frozenset[bytes]

    def towards_app(self, *, peer: str, request_id: str) -> bytes:
        """The head as the instance gets it. peer: the client's address.   request_id: value of `rndr-id`."""
        lines = [self.first, *_kept(self.lines, self.hop, SAID_BY_THE_EDGE | {b"te"})]
        if b"trailers" in _tokens(self.found, b"te"):
            lines.append(b"TE: trailers")
        if self.is_websocket:
            lines += (b"Connection: Upgrade", b"Upgrade: websocket")
        came_through = b", ".join([*self.found.get(b"x-forwarded-for", ()), peer.encode("ascii")])
        lines += (b"X-Forwarded-For: " + came_through, b"X-Forwarded-Proto: http")
        lines += [b"X-Forwarded-Host: " + host for host in self.found.get(b"host", ())]
        lines += (b"Rndr-Id: " + request_id.encode("ascii"), b"", b"")
        return b"\r\n".join(lines)


def parse_request(raw: bytes) -> RequestHead:
    """Understand a head, blank line included.

    Raises:
        Malformed: with the status that tells the client: 400, 405, 501 or 505.
    """
    first, lines = _split(raw)
    asked = REQUEST_LINE.fullmatch(first)
    if asked is None:
        if OTHER_VERSION.fullmatch(first):
            raise Malformed("only HTTP/1.1 and HTTP/1.0 are spoken here", 505)
        raise Malformed("the first line is not METHOD target HTTP/1.1")
    _checked(raw, httptools.HttpRequestParser)
    method, target, minor = asked[1], asked[2], int(asked[3])
    if method == b"CONNECT":
        raise Malformed("this is no forward proxy", 405)
    found = _found(lines)
    hosts = found.get(b"host", [])
    if len(hosts) > 1 or (minor and not hosts) or not all(HOST.fullmatch(host) for host in hosts):
        raise Malformed("a request has one Host, a name or an address with or without a port")
    hop = _tokens(found, b"connection")
    body = _request_body(found, minor)
    is_websocket = method == b"GET" and minor == 1 and b"upgrade" in hop and b"websocket" in _tokens(found, b"upgrade")
    if is_websocket and not body.is_done:
        raise Malformed("a request for a WebSocket has no body")
    absolute = AUTHORITY.match(target)  # RFC 9112 section 3.2.2: it goes before Host
    return RequestHead(
        method=method, minor=minor, host=_name(absolute[1] if absolute else b"".join(hosts)), body=body,
        keeps=b"close" not in hop and (minor == 1 or b"keep-alive" in hop), is_websocket=is_websocket,
        wants_html=_prefers_html(b",".join(found.get(b"accept", ()))), first=first, lines=lines, found=found, hop=hop,
    )  # fmt: skip


def _request_body(found: Values, minor: int) -> Framing:
    codings, lengths = found.get(b"transfer-encoding"), found.get(b"content-length")
    if codings:
        if lengths or minor == 0:
            raise Malformed("Transfer-Encoding beside Content-Length, or in HTTP/1.0, is what smugglers send")
        if b",".join(codings).lower() != b"chunked":
            raise Malformed("the only transfer coding known here is chunked", 501)
        return Chunked()
    if not lengths:
        return NoBody()
    if len(lengths) > 1 or not LENGTH.fullmatch(lengths[0]):
        raise Malformed("a request has one Content-Length, in digits")
    return Counted(int(lengths[0]))


def _name(authority: bytes) -> str:
    """Host of `host:port`, in lower case."""
    text = authority.decode("latin-1").rpartition("@")[2].lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def _prefers_html(accept: bytes) -> bool:
    """Whether a page ranks first of the types that it names outright; of equals, the first (RFC 9110 section 12.5.1)."""
    if b"text/html" not in accept.lower():
        return False
    best, is_html = 0.0, False
    for part in accept.lower().split(b","):
        kind, *parameters = (piece.strip(b" \t") for piece in part.split(b";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith(b"q="):
                quality = _quality(parameter[2:])
        if quality > best and b"*" not in kind:
            best, is_html = quality, kind in HTML
    return is_html


def _quality(text: bytes) -> float:
    return float(text) if re.fullmatch(rb"[01](?:\.[0-9]{0,3})?", text) else 0.0


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """An answer, understood. status: 100-999, 1xx are interim ones.   ends_with_connection: for the client, its body does.

    raw: as it came.
    """

    status: int
    body: Framing
    ends_with_connection: bool
    reason: bytes
    lines: Lines
    found: Values
    raw: bytes

    @property
    def is_interim(self) -> bool:
        """Another head follows. 101 is the last that is HTTP."""
        return self.status < 200 and self.status != 101

    def towards_client(self, to: RequestHead, *, keeps: bool, request_id: str) -> bytes:
        """The head as the client gets it. keeps: the connection goes on after the answer."""
        hop = _tokens(self.found, b"connection")
        lines = [b"HTTP/1.1 %d %b" % (self.status, self.reason)]
        lines += _kept(
            self.lines, hop, ADDED_TO_ANSWERS | {b"transfer-encoding"} if self._unwraps(to) else ADDED_TO_ANSWERS
        )
        if self.status in (101, 426):  # RFC 9110 section 7.8
            lines += [line for name, line in self.lines if name == b"upgrade"]
            lines.append(b"Connection: Upgrade")
        elif not keeps:
            lines.append(b"Connection: close")
        elif to.minor == 0:
            lines.append(b"Connection: keep-alive")
        lines += (b"x-render-origin-server: Render", b"rndr-id: " + request_id.encode("ascii"), b"", b"")
        return b"\r\n".join(lines)

    def _unwraps(self, to: RequestHead) -> bool:
        return to.minor == 0 and isinstance(self.body, Chunked)


def parse_answer(raw: bytes, to: RequestHead) -> AnswerHead:
    """Understand the head of an answer to that request. Raises Malformed."""
    first, lines = _split(raw)
    said = STATUS_LINE.fullmatch(first)
    if said is None:
        raise Malformed("the first line is not HTTP/1.1 status reason")
    _checked(raw, httptools.HttpResponseParser)
    status, found = int(said[1]), _found(lines)
    if status == 101 and not (to.is_websocket and b"websocket" in _tokens(found, b"upgrade")):
        raise Malformed("it switches to a protocol that nobody asked for")
    body = _answer_body(found, status, to)
    ends_with_connection = isinstance(body, UntilClose) or (to.minor == 0 and isinstance(body, Chunked))
    return AnswerHead(
        status=status,
        body=body,
        ends_with_connection=ends_with_connection,
        reason=said[2] or b"",
        lines=lines,
        found=found,
        raw=raw,
    )


def _answer_body(found: Values, status: int, to: RequestHead) -> Framing:
    if to.method == b"HEAD" or status < 200 or status in (204, 304):
        return NoBody()
    codings, lengths = found.get(b"transfer-encoding"), found.get(b"content-length")
    if codings:
        is_chunked = b",".join(codings).lower().rpartition(b",")[2].strip(b" \t") == b"chunked"
        return Chunked(unwraps=to.minor == 0) if is_chunked else UntilClose()
    if not lengths:
        return UntilClose()
    if len(lengths) > 1 or not LENGTH.fullmatch(lengths[0]):
        raise Malformed("an answer has one Content-Length, in digits")
    return Counted(int(lengths[0]))
