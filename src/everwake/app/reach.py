"""Is a keeper running, and what does it know? Through `up.json` and the keeper's own API."""

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from everwake.errors import OutOfReach
from everwake.fleet.schema import Secret

__all__ = ["RunningKeeper", "is_alive", "running_keeper"]

ASK_S = 5.0
ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunningKeeper:
    """A keeper that says it runs. url: of its page.   token: for one that asks who it is."""

    url: str
    token: Secret | None = None

    def call(self, method: str, path: str, body: object = None, within_s: float = ASK_S) -> tuple[int, dict[str, Any]]:
        """Ask its API; the status and the document, problem documents included.

        Raises:
            OutOfReach: it does not answer, or not with a document.
        """
        request = Request(f"{self.url}{path}", method=method)  # noqa: S310 - http, from our own file
        request.add_header("Accept", "application/json")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token.reveal()}")
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=within_s) as answer:
                status, raw = answer.status, answer.read(ANSWER_BYTES)
        except HTTPError as refusal:
            with refusal:
                status, raw = refusal.code, refusal.read(ANSWER_BYTES)
        except OSError:
            raise OutOfReach(f"the keeper at {self.url} does not answer") from None
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise OutOfReach(f"the keeper at {self.url} answered {status}, and no document")
        return status, found

    def service(self, name: str) -> dict[str, Any] | None:
        """What it knows of a service; None when it has none of that name.

        Raises:
            OutOfReach: it does not answer, or not to us.
        """
        request = Request(f"{self.url}/api/v1/services/{quote(name, safe='')}")  # noqa: S310 - http, from our own file
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token.reveal()}")
        try:
            # No proxy: a keeper in up.json is on this machine.
            with build_opener(ProxyHandler({})).open(request, timeout=ASK_S) as answer:
                found = json.loads(answer.read(ANSWER_BYTES))
        except HTTPError as refusal:
            with refusal:
                if refusal.code == 404:
                    return None
                raise OutOfReach(f"the keeper at {self.url} answered {refusal.code}") from None
        except (OSError, ValueError):
            raise OutOfReach(f"the keeper at {self.url} does not answer") from None
        return found if isinstance(found, dict) else None


def running_keeper(data: Path, token: Secret | None = None) -> RunningKeeper | None:
    """The keeper that a live `up.json` in that folder names."""
    with suppress(OSError, ValueError):
        said = json.loads((data / "up.json").read_bytes())
        if isinstance(said, dict) and isinstance(said.get("dashboard"), str) and is_alive(said.get("pid")):
            return RunningKeeper(said["dashboard"], token)
    return None


def is_alive(pid: object) -> bool:
    """Whether the process that wrote the file still lives; a killed one could not remove it."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    if sys.platform == "win32":
        return True  # os.kill(pid, 0) would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
