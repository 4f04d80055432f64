"""Drills against a simulator that runs: `everwake sim break`. Through its own API, found by `up.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from everwake.app.platform import simulated
from everwake.errors import Misused, OutOfReach

__all__ = ["drills", "fire"]

# A drill may stop a process and wait for it: longer than a look, shorter than a person's patience.
ASK_S = 60.0
ANSWER_BYTES = 1024 * 1024


def drills(data: Path) -> dict[str, Any]:
    """`{"drills": [{"how", "what", "cause", "remedy"}], "broken": {service id: how}}` of the simulator of that data folder.

    Raises:
        OutOfReach: none runs there, or it does not answer.
    """
    return _asked(data, None)


def fire(data: Path, service: str, how: str) -> dict[str, Any]:
    """Break a service (by name or id), or `heal` it; what was done.

    Raises:
        Misused: no such service or drill, or it cannot be done to it now.
        OutOfReach: no simulator runs there, or it does not answer.
    """
    return _asked(data, {"service": service, "how": how})


def _asked(data: Path, body: Mapping[str, str] | None) -> dict[str, Any]:
    said = simulated(data)
    if said is None:
        raise OutOfReach(f"no simulator runs with the data folder {data}", hint="start `everwake up` or `everwake sim`")
    parts = urlsplit(str(said["platform"].get("url", "")))
    url = f"{parts.scheme}://{parts.netloc}/sim/drills"
    request = Request(url, None if body is None else json.dumps(body).encode())  # noqa: S310 - http, from our own file
    request.add_header("Authorization", f"Bearer {said['platform'].get('key', '')}")
    request.add_header("Content-Type", "application/json")
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=ASK_S) as answer:
            found = json.loads(answer.read(ANSWER_BYTES))
    except HTTPError as refusal:
        with refusal:
            raise Misused(_reason(refusal), hint="everwake sim break --list names every drill") from None
    except (OSError, ValueError):
        raise OutOfReach(f"the simulator at {url} does not answer", hint="is `everwake up` still running?") from None
    return found if isinstance(found, dict) else {}


def _reason(refusal: HTTPError) -> str:
    try:
        said = json.loads(refusal.read(ANSWER_BYTES))
        return str(said["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError):
        return f"the simulator answered {refusal.code}"
