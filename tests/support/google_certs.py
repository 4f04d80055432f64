"""Google's certificate endpoint on loopback, so that an unmodified firebase-admin verifies real RS256 tokens.

Nothing is patched: a proxy terminates TLS for www.googleapis.com with a CA of its own, and whoever is to believe it gets it
through the variables that `requests` reads anyway:

    with GoogleCerts(tmp_path) as google:
        token = google.token("ada", project_id="demo")
        subprocess.Popen([...], env={**os.environ, **google.environment})
"""

import base64
import contextlib
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any, Literal, Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

__all__ = ["GoogleCerts"]

HOST = "www.googleapis.com"
Manner = Literal["ok", "status", "garbage", "stall", "refuse"]


class GoogleCerts:
    """manner: how the next fetches are answered.   fetches: how often the certificates were asked for."""

    def __init__(self, folder: Path, *, max_age_s: int = 3600) -> None:
        self.manner: Manner = "ok"
        self.fetches = 0
        self.max_age_s = max_age_s
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._other_key: rsa.RSAPrivateKey | None = None
        self._kid = "key-of-the-day"
        ca = trustme.CA()
        self.ca_file = folder / "google-ca.pem"
        ca.cert_pem.write_to_path(str(self.ca_file))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(HOST).configure_cert(self._tls)
        self._closing = threading.Event()
        self._proxy = _Proxy(self)
        self._thread = threading.Thread(target=self._proxy.serve_forever, args=(0.05,), name="google", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._proxy.shutdown()
        self._proxy.server_close()
        self._thread.join(10)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the process that is to verify tokens."""
        url = f"http://127.0.0.1:{self._proxy.server_address[1]}"
        return {
            "HTTPS_PROXY": url, "https_proxy": url, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
        }  # fmt: skip

    def token(
        self, uid: str, *, project_id: str, expires_in_s: int = 3600, forged: bool = False,
        header: Mapping[str, Any] | None = None, claims: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """An ID token as Firebase makes them. forged: signed with another key under the right name."""
        now = int(time.time())
        body = {
            "iss": f"https://securetoken.google.com/{project_id}", "aud": project_id, "sub": uid, "user_id": uid,
            "auth_time": now - 60, "iat": now - 60, "exp": now + expires_in_s, **(claims or {}),
        }  # fmt: skip
        head = {"alg": "RS256", "typ": "JWT", "kid": self._kid, **(header or {})}
        signed = f"{_part(head)}.{_part(body)}"
        return f"{signed}.{_b64(self._signer(forged).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def account(self, project_id: str) -> dict[str, str]:
        """A service account of the project, its key freshly made."""
        key = self._signer(True).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account", "project_id": project_id, "private_key_id": "1", "private_key": key.decode(),
            "client_email": f"admin@{project_id}.iam.gserviceaccount.com", "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }  # fmt: skip

    def _signer(self, forged: bool) -> rsa.RSAPrivateKey:
        if not forged:
            return self._key
        if self._other_key is None:
            self._other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._other_key

    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.system.gserviceaccount.com")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
            .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=7))
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def converse(self, plain: socket.socket) -> None:
        """One connection: CONNECT, TLS, one answer."""
        target = _head_of(plain).split(" ")[1]
        if self.manner == "refuse" or not target.startswith(f"{HOST}:"):
            plain.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self._tls.wrap_socket(plain, server_side=True) as line:
            path = _head_of(line).split(" ")[1]
            self.fetches += 1
            if self.manner == "stall":
                self._closing.wait(60)
                return
            body = json.dumps({self._kid: self.certificate()}).encode()
            status = 200
            if self.manner == "garbage":
                body = b"<html>"
            if self.manner == "status" or "/securetoken@" not in path:
                status, body = 500, b"{}"
            # Without a Date nothing is cached by who counts the age from it.
            line.sendall(
                f"HTTP/1.1 {status} X\r\nDate: {formatdate(usegmt=True)}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Cache-Control: public, max-age={self.max_age_s}\r\nConnection: close\r\n\r\n".encode()
                + body
            )


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, google: GoogleCerts) -> None:
        class Line(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(70)
                with contextlib.suppress(OSError, IndexError):
                    google.converse(self.request)

        super().__init__(("127.0.0.1", 0), Line)


def _head_of(line: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65_536:
        piece = line.recv(4096)
        if not piece:
            break
        head += piece
    return head.decode("latin-1")


def _part(value: Mapping[str, Any]) -> str:
    return _b64(json.dumps(value).encode())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
