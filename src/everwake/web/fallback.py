"""The page that needs no keeper: one HTML file that pings and holds the heartbeats from the browser itself.

Pure but for reading its template. The file is opened from a disk, where nothing stands in anybody's way but its own
Content-Security-Policy: the script is allowed by its hash, and what the fleet file says is data, never markup.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from everwake.fleet.schema import Service

__all__ = ["render"]

_TEMPLATE = Path(__file__).parent / "templates" / "keep-alive.html"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def render(services: Iterable[Service]) -> str:
    """The file, UTF-8. It holds titles and addresses; user names and passwords in an address stay out."""
    page = _TEMPLATE.read_text(encoding="utf-8")
    script = _SCRIPT.search(page)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "connect-src http: https: ws: wss:; base-uri 'none'; form-action 'none'"
    )
    data = json.dumps([_entry(service) for service in services], indent=1)
    # ASCII JSON whose angle brackets are escaped too: no name can end the script block it stands in.
    for char in "<>&":
        data = data.replace(char, f"\\u{ord(char):04x}")
    return page.replace("@@POLICY@@", policy, 1).replace("@@SERVICES@@", data, 1)


def _entry(service: Service) -> dict[str, Any]:
    """health, heartbeat: addresses, or None where a browser has nothing to ask."""
    parts = urlsplit(service.url)
    host = parts.netloc.rpartition("@")[2]
    is_web = parts.scheme in ("http", "https")
    line = {"http": "ws", "https": "wss"}.get(parts.scheme)
    return {
        "title": service.title,
        "health": urlunsplit((parts.scheme, host, "", "", "")) + service.health if is_web else None,
        "heartbeat": urlunsplit((line, host, "", "", "")) + service.heartbeat if line and service.heartbeat else None,
        "every_s": service.every_s,
        "beat_s": service.heartbeat_every_s,
    }
