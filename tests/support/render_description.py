"""Render's OpenAPI description, where it lies beside the checkout: every answer of the control API is held against it.

It is not part of this repository. `WHERE` is None where it is not there; what would be checked is then not checked.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema.protocols import Validator
from jsonschema.validators import Draft4Validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["WHERE", "Held", "mistakes"]

_FILE = Path(__file__).parents[2].parent / "shared" / "render-openapi.json"
WHERE = _FILE if _FILE.is_file() else None


@cache
def _description() -> Any:
    assert WHERE is not None
    description = json.loads(WHERE.read_text(encoding="utf-8"))
    return _loosened(description)


def _loosened(node: Any) -> Any:
    """`oneOf` as `anyOf`: the description's alternatives overlap (several event details are any object at all)."""
    if isinstance(node, str):
        return node.replace("/oneOf/", "/anyOf/") if node.startswith("#/") else node
    if isinstance(node, dict):
        return {"anyOf" if key == "oneOf" else key: _loosened(value) for key, value in node.items()}
    return [_loosened(each) for each in node] if isinstance(node, list) else node


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    """Plain ones first: `/logs/values` is not `/logs/{x}`."""
    names = sorted(_description()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), path) for path in names]


@cache
def _validator(pointer: str) -> Validator:
    return Draft4Validator({**_description(), "$ref": pointer})


def mistakes(method: str, path: str, status: int, body: bytes) -> list[str]:
    """What is wrong with one answer. path: below `/v1`."""
    name = next((name for pattern, name in _paths() if pattern.match(unquote(path))), None)
    if name is None:
        return [] if status in (401, 404, 406, 429) else [f"{path} is not in the description"]
    operation = _description()["paths"][name].get(method.lower())
    if operation is None:
        return [] if status == 405 else [f"{method} {name} is not in the description"]
    responses = operation["responses"]
    # Any address may answer these, whether or not its part of the description says so.
    known = responses.get(str(status)) or (
        {"$ref": "error"} if status in (400, 401, 404, 405, 406, 409, 413, 415, 429, 500) else None
    )
    if known is None:
        return [f"{method} {name} does not answer {status}"]
    if status >= 400:
        schema = "#/components/schemas/error"
        said = json.loads(body)
        if set(said) != {"id", "message"}:
            return [f"{method} {name} {status}: {said}"]
    else:
        pointer = f"#/paths/{name.replace('~', '~0').replace('/', '~1').replace('{', '%7B').replace('}', '%7D')}"
        if "$ref" in known:
            known, pointer = _at(known["$ref"]), known["$ref"]
        else:
            pointer += f"/{method.lower()}/responses/{status}"
        if "content" not in known:
            return [f"{method} {name} {status} has a body"] if body else []
        schema = f"{pointer}/content/application~1json/schema"
    said = json.loads(body)
    found = [f"{each.json_path}: {each.message[:300]}" for each in _validator(schema).iter_errors(said)]
    if "/events" in name and status < 400:
        found += [
            each
            for row in (said if isinstance(said, list) else [{"event": said}])
            for each in _event_mistakes(row["event"])
        ]
    return [f"{method} {name} {status}: {each}" for each in found]


def _event_mistakes(event: Any) -> list[str]:
    """Details by the event's type: the description lists both in one order, but lets any details go with any type."""
    kinds = _description()["components"]["parameters"]["eventTypeParam"]["schema"]["anyOf"][0]["enum"]
    place = kinds.index(event["type"])
    details = "/paths/~1events~1%7BeventId%7D/get/responses/200/content/application~1json/schema/properties/details"
    errors = _validator(f"#{details}/anyOf/0/anyOf/{place}").iter_errors(event["details"])
    return [f"{event['type']}: {each.json_path}: {each.message[:300]}" for each in errors]


def _at(pointer: str) -> Any:
    node = _description()
    for part in pointer.removeprefix("#/").split("/"):
        node = node[unquote(part).replace("~1", "/").replace("~0", "~")]
    return node


class Held:
    """In front of an application: what it answers below `/v1` is held against the description; `found` are the mistakes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.checked = app, 0
        self.found: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/") or WHERE is None:
            await self.app(scope, receive, send)
            return
        status, body = 0, bytearray()

        async def seen(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            body.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, seen)
        self.checked += 1
        try:
            self.found += mistakes(scope["method"], scope["path"].removeprefix("/v1"), status, bytes(body))
        except Exception as error:
            self.found.append(f"{scope['method']} {scope['path']}: not checked: {str(error)[:300]}")
            raise
