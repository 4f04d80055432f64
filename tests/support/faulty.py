"""Loopback servers that misbehave in one way each: real sockets, port 0, one handler for each kind of trouble.

    async with faulty.serve(faulty.stalls_before_the_answer) as server:
        ... f"http://127.0.0.1:{server.port}/"

Handlers get the connection after it was accepted (and after the TLS handshake, where there is one). They end when the
client hangs up.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

__all__ = ["Authority", "Server", "drip", "serve"]

Handler = Callable[["Connection"], Awaitable[None]]
BLOCK = bytes(65_536)


@dataclass(slots=True)
class Connection:
    """One accepted connection and the count of what the server has seen and sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "Server"

    async def request(self) -> bytes:
        """The head of the request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        """Send, no faster than the client reads."""
        self.writer.write(data)
        self.server.sent_bytes += len(data)
        await self.writer.drain()

    async def hold(self) -> None:
        """Say nothing until the client has hung up."""
        while await self.reader.read(65_536):
            pass

    def reset(self) -> None:
        """Hang up with a reset instead of an orderly end."""
        sock = self.writer.get_extra_info("socket")
        # SO_LINGER of zero: the kernel answers with RST (man 7 socket).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.writer.transport.abort()


@dataclass(slots=True)
class Server:
    """A server that is up. requests: heads received.   sent_bytes: of all connections."""

    port: int = 0
    connections: int = 0
    sent_bytes: int = 0
    requests: list[bytes] = field(default_factory=list)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secure_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve with one handler until the block ends; then every connection is cut."""
    server = Server()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        server._open.add(task)
        server.connections += 1
        try:
            await handler(Connection(reader, writer, server))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client had seen enough, or the test has
        finally:
            server._open.discard(task)
            writer.transport.abort()

    listener = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls, limit=1_048_576)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tuple(server._open):
            task.cancel()
        await asyncio.gather(*server._open, return_exceptions=True)
        # One turn of the loop more, so that aborted transports close their sockets.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


# --- good answers -----------------------------------------------------------------------------------------------------


def says(
    body: bytes = b'{"status":"healthy"}',
    *,
    status: str = "200 OK",
    headers: tuple[str, ...] = (),
    delay_s: float = 0.0,
) -> Handler:
    """A whole and proper answer, after a pause."""
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def handle(line: Connection) -> None:
        line.server.requests.append(await line.request())
        if delay_s:
            await asyncio.sleep(delay_s)
        await line.send(answer)
        await line.hold()

    return handle


def raw(answer: bytes) -> Handler:
    """Exactly these bytes for whatever is asked, then the end."""

    async def handle(line: Connection) -> None:
        await line.request()
        await line.send(answer)

    return handle


# --- stalls, one in each phase ----------------------------------------------------------------------------------------


async def never_says_anything(line: Connection) -> None:
    """Accepts and is silent: with `https` the handshake stalls, with `http` the first byte."""
    await line.hold()


async def never_ends_its_headers(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\nserver: slow\r\n")
    await line.hold()


async def stalls_in_the_body(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome of it")
    await line.hold()


def drip(every_s: float) -> Handler:
    """A body of which one byte comes at a time."""

    async def handle(line: Connection) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            await line.send(b".")
            await asyncio.sleep(every_s)

    return handle


def drip_headers(every_s: float) -> Handler:
    """Headers of which one byte comes at a time."""

    async def handle(line: Connection) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\nx-long: ")
        while True:
            await line.send(b".")
            await asyncio.sleep(every_s)

    return handle


# --- hanging up -------------------------------------------------------------------------------------------------------


async def hangs_up_at_once(line: Connection) -> None:
    """Whether the client sees the end or, having sent into it, a reset, is the kernel's race."""


async def hangs_up_without_a_word(line: Connection) -> None:
    await line.request()


async def resets_after_the_request(line: Connection) -> None:
    await line.request()
    line.reset()


async def hangs_up_in_the_body(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome of it")


async def hangs_up_in_a_chunk(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\nsome of it")


# --- too much ---------------------------------------------------------------------------------------------------------


def too_much(size_bytes: int, *, declared: bool = False, chunked: bool = False) -> Handler:
    """A body of that size, for whoever reads it all."""

    async def handle(line: Connection) -> None:
        await line.request()
        kind = b"transfer-encoding: chunked" if chunked else b"connection: close"
        if declared:
            kind = b"content-length: %d" % size_bytes
        await line.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % kind)
        block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
        for _ in range(size_bytes // len(BLOCK)):
            await line.send(block)

    return handle


def bomb(size_bytes: int, encoding: str = "gzip") -> Handler:
    """A compressed body that unpacks to that size, a thousand times what travels."""

    async def handle(line: Connection) -> None:
        await line.request()
        await line.send(f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\nconnection: close\r\n\r\n".encode())
        packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
        block = bytes(1_048_576)
        for _ in range(size_bytes // len(block)):
            if packed := packer.compress(block):
                await line.send(packed)
            # Compressing takes the loop's time: let the client have a turn.
            await asyncio.sleep(0)
        await line.send(packer.flush())

    return handle


def many_headers(count: int) -> Handler:
    async def handle(line: Connection) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\n")
        for n in range(count):
            await line.send(b"x-header-%d: %d\r\n" % (n, n))
        await line.send(b"content-length: 0\r\n\r\n")
        await line.hold()

    return handle


async def endless_header(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        await line.send(b"." * 65_536)


async def endless_headers(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await line.send(b"a: b\r\n" * 1_000)


# --- nonsense ---------------------------------------------------------------------------------------------------------

BAD_CHUNK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot hexadecimal\r\nbody\r\n0\r\n\r\n"
BAD_GZIP = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!"
UNKNOWN_ENCODING = b"HTTP/1.1 200 OK\r\ncontent-encoding: snappy\r\ncontent-length: 4\r\n\r\nbody"
NOT_HTTP = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
BAD_LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nbody"


async def goes_in_a_circle(line: Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n")
    await line.hold()


def redirects_to(location: str) -> Handler:
    return says(b"", status="302 Found", headers=(f"location: {location}",))


# --- TLS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority for one test. path: its own certificate, what `ca_file` takes."""

    ca: trustme.CA
    path: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        ca = trustme.CA()
        path = folder / "ca.pem"
        ca.cert_pem.write_to_path(str(path))
        return cls(ca, path)

    def context(self, name: str = "127.0.0.1", *, ends_in: timedelta | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for that name; a negative `ends_in` is one that has expired."""
        ends = None if ends_in is None else datetime.now(UTC) + ends_in
        began = datetime.now(UTC) - timedelta(days=400)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(name, not_before=began, not_after=ends).configure_cert(context)
        return context


async def speaks_plainly(line: Connection) -> None:
    """Answers a TLS handshake with HTTP."""
    await line.reader.read(100)
    await line.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")


async def hangs_up_in_the_handshake(line: Connection) -> None:
    await line.reader.read(100)


# --- sockets that nobody serves ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is held by us but not listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def port_with_a_full_queue() -> Iterator[int]:
    """A listening port that accepts nothing and whose queue is full: on Linux a further SYN is dropped."""
    if sys.platform != "linux":
        pytest.skip("a full accept queue drops packets on Linux only; run this test there")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


# --- processes and networks that stop half way ------------------------------------------------------------------------

_PROCESS = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Answer)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@dataclass(slots=True)
class Process:
    """A real server process. freeze: it keeps its sockets and does nothing."""

    child: subprocess.Popen[str]
    host: str
    port: int

    def says(self) -> str:
        """The next line that it prints."""
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def go_on(self, text: str = "") -> None:
        """Send it a line."""
        assert self.child.stdin is not None
        self.child.stdin.write(f"{text}\n")
        self.child.stdin.flush()

    def freeze(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def process(host: str = "127.0.0.1", *, source: str = _PROCESS, within: tuple[str, ...] = ()) -> Iterator[Process]:
    """A server in a process of its own; `source` prints its port first. within: argv that goes before (a namespace)."""
    argv = [*within, sys.executable, "-c", source, host]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield Process(child, host, int(child.stdout.readline()))
        finally:
            if sys.platform != "win32":
                child.send_signal(signal.SIGCONT)
            child.kill()


@dataclass(frozen=True, slots=True)
class Network:
    """A network namespace behind a veth pair. host: its address, seen from here."""

    name: str
    host: str
    our_host: str

    @property
    def within(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    def drop_packets(self) -> None:
        """From now on nothing comes back: what it sends to us goes into a black hole, nobody is told."""
        _ip("netns", "exec", self.name, "ip", "route", "add", "blackhole", f"{self.our_host}/32")

    @contextlib.contextmanager
    def without_route(self) -> Iterator[None]:
        """While this lasts our own routing table says that the host cannot be reached."""
        _ip("route", "add", "unreachable", f"{self.host}/32")
        try:
            yield
        finally:
            _ip("route", "del", "unreachable", f"{self.host}/32")

    @contextlib.contextmanager
    def names_asked_at(self, address: str) -> Iterator[None]:
        """While this lasts, processes started `within` ask the resolver at that address (man 8 ip-netns)."""
        folder = Path("/etc/netns") / self.name
        folder.mkdir(parents=True)
        try:
            (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")
            yield
        finally:
            shutil.rmtree(folder)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()  # only when nobody else's is in it

    def let_packets_pass(self) -> None:
        _ip("netns", "exec", self.name, "ip", "route", "del", "blackhole", f"{self.our_host}/32")


_NUMBERS = itertools.count(1)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network of its own, whose packets can be made to vanish. Needs root and iproute2."""
    if sys.platform != "linux" or shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs Linux, root and iproute2: `sudo apt-get install iproute2`, then run the tests as root")
    tag = f"{os.getpid() % 100_000:x}{next(_NUMBERS):x}"
    name, here, there = f"everwake-{tag}", f"ewa{tag}", f"ewb{tag}"
    # 198.18.0.0/15 is set aside for tests of networks (RFC 2544).
    low = (os.getpid() * 8 + next(_NUMBERS)) % 32_000 * 4
    net = f"198.{18 + low // 65_536}.{low // 256 % 256}."
    our_host, host = f"{net}{low % 256 + 1}", f"{net}{low % 256 + 2}"
    with contextlib.ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        # A namespace that is deleted goes later, when its last process has gone: the pair goes now.
        stack.callback(_ip, "link", "del", here)
        _ip("addr", "add", f"{our_host}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("netns", "exec", name, "ip", "addr", "add", f"{host}/30", "dev", there)
        _ip("netns", "exec", name, "ip", "link", "set", there, "up")
        _ip("netns", "exec", name, "ip", "link", "set", "lo", "up")
        yield Network(name, host, our_host)
