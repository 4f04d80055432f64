"""The pages: dashboard, public status, sign-in, and the list of endpoints. Jinja2 is loaded by the first page, not before.

What the templates are given (and always `version`):

dashboard.html   name (of the fleet), sentence (how things stand), signed_in (whether there is a session to end)
status.html      public: no addresses, no evidence. name, sentence, at; services: title, state, since, uptime; incidents: title,
                 opened_at, closed_at. Times and uptimes are texts or None.
login.html       name, next (the path to go on to), problem (a text or None). It posts `password` and `next` to `/login`.
docs.html        document: the OpenAPI document, which is at `/openapi.json` too

The live page reads `GET /api/v1/events`; the first event is a `snapshot`. The content security policy allows scripts and styles
from `/static/` only: no inline script, no `style` attribute, no event handler in the markup.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from everwake.web.problems import Problem

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Pages", "StaticFile", "percent", "read_form", "safe_next", "spoken"]

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
        found = _charts()
        for path in sorted(root.rglob("*")):
            media_type = _TYPES.get(path.suffix)
            if media_type is not None and path.is_file():
                content = path.read_bytes()
                tag = hashlib.sha256(content).hexdigest()[:16]
                found[path.relative_to(root).as_posix()] = StaticFile(content, media_type, tag)
        return found

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
        environment.globals["version"] = self._version
        return environment


def _charts() -> dict[str, StaticFile]:
    """uPlot's two files out of the `uplot-python` wheel, which is not imported for them; without it the page has no chart."""
    wheel = find_spec("uplot")
    found: dict[str, StaticFile] = {}
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        for path in (Path(folder) / "static" / name for name in ("uPlot.iife.js", "uPlot.min.css")):
            if path.is_file():
                content = path.read_bytes()
                found[path.name] = StaticFile(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])
    return found


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


def spoken(at: datetime) -> str:
    """A time for people, in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def percent(share: float | None) -> str | None:
    """0.99987 -> "99.99 %"; never 100 for what was not up all the time."""
    if share is None:
        return None
    return "100 %" if share >= 1.0 else f"{min(share * 100, 99.99):.2f} %"
