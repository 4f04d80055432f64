"""The chat page: `GET /` and its files under `/static/`.

The files are served as they stand in `static/`: no build step, no foreign host, no inline script, so that the strictest
Content-Security-Policy holds. They are read and compressed once; a browser asks again by ETag and is told 304.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from chatify.problems import Problem

__all__ = ["mount"]

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """One file as it goes out. etag: weak, for the compressed and the plain form share it."""

    plain: bytes
    packed: bytes
    media_type: str
    etag: str


def _read(path: Path) -> _Served:
    plain = path.read_bytes()
    return _Served(
        plain=plain,
        packed=gzip.compress(plain, compresslevel=9, mtime=0),
        media_type=_MEDIA_TYPES[path.suffix],
        etag=f'W/"{hashlib.sha256(plain).hexdigest()[:20]}"',
    )


def _policy(host: str) -> str:
    """The Content-Security-Policy for a page served under `host` (the request's Host header, not trusted).

    `'self'` covers the WebSocket in today's browsers; older ones of Apple's want its scheme and host spelled out.
    """
    lines = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        f"default-src 'self'; connect-src 'self'{lines}; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _answer(request: Request, served: _Served) -> Response:
    headers = {
        "ETag": served.etag,
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if served.media_type.startswith("text/html"):
        headers["Content-Security-Policy"] = _policy(request.headers.get("host", ""))
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    if served.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = served.plain
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = served.packed
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=served.media_type, headers=headers)


def mount(app: FastAPI) -> None:
    """Add the page to `app`; it talks to the routes under `/api/v1/chat` and `/ws/chat` of the same host."""
    files = {path.name: _read(path) for path in _FOLDER.iterdir() if path.suffix in _MEDIA_TYPES}
    page = files.pop("chat.html")

    async def chat(request: Request) -> Response:
        return _answer(request, page)

    async def static(request: Request) -> Response:
        served = files.get(request.path_params["name"])
        if served is None:
            raise Problem(404, "not_found", "There is no such file.")
        return _answer(request, served)

    app.add_route("/", chat, include_in_schema=False)
    app.add_route("/static/{name}", static, include_in_schema=False)
