"""The pages: dashboard, public status, sign-in, and the list of endpoints. Jinja2 is loaded by the first page, not before.

What the templates are given (`version` and `static(file)` always; `static` answers the address of a file under `static/`):

dashboard.html
    fleet        the body of `GET /api/v1/fleet`: name, state, sentence, monitoring, counts, next_check_at, trouble, services
    log          lines of the activity log, newest first: at, level, text, service
    incidents    open incidents, as `GET /api/v1/incidents` writes them
    can_sign_out whether somebody signed in (then a POST form to `/logout` belongs on the page)
status.html (public: no addresses, no evidence)
    name, state, sentence, monitoring, updated_at
    services     title, state, since, uptime (24h, 7d, 30d, 90d: 0.0-1.0 or None)
    incidents    title, opened_at
login.html
    next         where to go afterwards; belongs into a hidden field `next` of a POST form to `/login` with a field `password`
    wrong        whether the last try was wrong
    wait_s       seconds until the next try is allowed, or None
docs.html
    document     the OpenAPI document; also at `/openapi.json`

The live page reads `GET /api/v1/events`; the first event is a `snapshot`. The content security policy allows scripts and styles
from `/static/` only: no inline script, no `style` attribute, no event handler in the markup.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

from everwake.web.problems import Problem

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Pages", "StaticFile", "read_form", "safe_next"]

_HERE = Path(__file__).parent
_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
    ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2", ".webmanifest": "application/manifest+json",
    ".json": "application/json", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file under `static/`. tag: changes with its content."""

    content: bytes
    media_type: str
    tag: str


class Pages:
    """Templates and static files of the package, read once."""

    def __init__(self, version: str, folder: Path = _HERE) -> None:
        self._version, self._folder = version, folder

    def render(self, template: str, **context: Any) -> str:
        """One page. Whatever a template writes is escaped."""
        return self._environment.get_template(template).render(context)

    @cached_property
    def files(self) -> Mapping[str, StaticFile]:
        """By path below `static/`; only kinds that a page needs."""
        root = self._folder / "static"
        found: dict[str, StaticFile] = {}
        for path in sorted(root.rglob("*")):
            media_type = _TYPES.get(path.suffix)
            if media_type is not None and path.is_file():
                content = path.read_bytes()
                tag = hashlib.sha256(content).hexdigest()[:16]
                found[path.relative_to(root).as_posix()] = StaticFile(content, media_type, tag)
        return found

    def address(self, file: str) -> str:
        """Where a browser finds it; another content has another address. Raises KeyError."""
        return f"/static/{quote(file)}?v={self.files[file].tag}"

    @cached_property
    def _environment(self) -> "Environment":
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(self._folder / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals |= {"version": self._version, "static": self.address}
        return environment


def safe_next(wanted: str) -> str:
    """Where to go after signing in: a path of ours, else the dashboard. `//host`, and what browsers take for it, is not ours."""
    is_ours = (
        wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable() and wanted.isascii()
    )
    return wanted if is_ours and len(wanted) <= 500 else "/"


def read_form(body: bytes, fields: Sequence[str]) -> dict[str, str]:
    """The named fields of a posted form, empty where they are missing.

    Raises:
        Problem: 422 `invalid_request` for what is no form.
    """
    try:
        sent = parse_qs(body.decode("ascii"), max_num_fields=20, errors="strict")
    except ValueError:
        raise Problem(422, "invalid_request", "That is not a form.") from None
    return {field: sent.get(field, [""])[0] for field in fields}
