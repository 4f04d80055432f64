"""Does an answer meet what was expected of it? Pure; the first expectation that is not met is the failure."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from everwake.fleet.redact import MASK, is_secret_name
from everwake.fleet.schema import Expect
from everwake.model import Failure, FailureKind, Phase

__all__ = ["at_path", "judge", "needs_body"]

_ABSENT = object()
SMALL_BYTES = 2_048


def needs_body(expect: Expect) -> bool:
    """Whether the whole body must be kept to judge it."""
    return bool(expect.json) or expect.text is not None


def at_path(value: Any, path: str) -> Any:
    """What stands at a dotted path (`redis.latency_ms`, `items.0.name`); Raises KeyError when nothing does."""
    for step in path.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif (
            isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            raise KeyError(path)
    return value


def _same(found: Any, wanted: Any) -> bool:
    """Equal as JSON sees it: `true` is not 1, 1 is 1.0."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in found)
    return bool(found == wanted)


def _shown(value: Any, name: str = "") -> str:
    """A value for people; what `name` says is a secret is not one for them."""
    if name and is_secret_name(name):
        return MASK
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _spans(statuses: Sequence[int]) -> str:
    """`200-499, 503`: neighbours of a list told as a range."""
    runs: list[list[int]] = []
    for status in sorted(set(statuses)):
        if runs and status == runs[-1][-1] + 1:
            runs[-1].append(status)
        else:
            runs.append([status])
    if len(runs) == len(set(statuses)):
        return ", ".join(map(str, statuses))
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _unmet(kind: FailureKind, detail: str) -> Failure:
    return Failure(kind=kind, phase=Phase.EXPECT, detail=detail[:300])


def judge(expect: Expect, status: int, headers: Mapping[str, str], body: bytes, took_s: float) -> Failure | None:
    """None when everything is as expected. headers: lower-case names, all of them.   body: whole when `needs_body`.

    Slow comes last: what is wrong and slow is wrong.
    """
    accepted = status in expect.status if expect.status else 200 <= status <= 299
    routing = headers.get("x-render-routing", "")
    # A 404 of the service may be good; the edge's own 404 says that there is no service (docs.render.com, seen 2026-07).
    if not accepted or (routing and status >= 400):
        wanted = _spans(expect.status) or "2xx"
        # Which door of the platform answered says more than the status.
        edge = f"; x-render-routing: {routing[:80]}" if routing else ""
        return _unmet(FailureKind.STATUS, f"status {status}, expected {wanted}{edge}")
    for name, value in expect.headers.items():
        found = headers.get(name.lower())
        if found != value:
            seen = "is absent" if found is None else f"is {_shown(found, name)}"
            return _unmet(FailureKind.HEADER, f"header {name} {seen}, expected {_shown(value, name)}")
    if expect.json and (failure := _judge_json(expect.json, body)):
        return failure
    if expect.text is not None and expect.text not in body.decode("utf-8", "replace"):
        return _unmet(FailureKind.TEXT, f"the body does not hold {_shown(expect.text)}")
    if expect.below_ms is not None and took_s * 1000 > expect.below_ms:
        return _unmet(FailureKind.SLOW, f"{took_s * 1000:.0f} ms, expected below {expect.below_ms:g} ms")
    return None


_read = lru_cache(maxsize=256)(json.loads)


def _judge_json(wanted: Mapping[str, Any], body: bytes) -> Failure | None:
    try:
        # Most answers are the same from look to look. A document is only read, so it can be shared.
        document = _read(body) if len(body) <= SMALL_BYTES else json.loads(body)
    except (ValueError, RecursionError):
        return _unmet(FailureKind.JSON, "the body is not JSON")
    for path, value in wanted.items():
        try:
            found = at_path(document, path)
        except KeyError:
            return _unmet(FailureKind.JSON, f"{path} is absent, expected {_shown(value, path)}")
        if not _same(found, value):
            return _unmet(FailureKind.JSON, f"{path} is {_shown(found, path)}, expected {_shown(value, path)}")
    return None
