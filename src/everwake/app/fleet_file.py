"""The `everwake.toml` that `everwake init` and `everwake up` write: what a platform's services become. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from everwake.fleet.schema import Expect
from everwake.model import PlatformService

__all__ = ["Kept", "kept", "looked_at", "needs", "text_of"]

# What a keeper can look at: the others are reached by nobody from outside.
OWN = "200-499"  # as the file says what `looked_at` does
WATCHED = ("web_service", "static_site")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One service as it will be written. more: further settings, TOML values as Python ones, in order.   checks: its
    `[[service.check]]` tables, likewise."""

    name: str
    url: str
    health: str
    plan: str
    id: str
    depends_on: tuple[str, ...] = ()
    more: Mapping[str, object] | None = None
    checks: tuple[Mapping[str, object], ...] = ()


def needs(variables: Mapping[str, Mapping[str, str]], urls: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    """Who depends on whom: whose variables hold the host of another one's URL. Origin lists do not count: who may call is not
    who is needed. Of two that name each other, the later one is taken to need the earlier one."""
    found: dict[str, list[str]] = {name: [] for name in urls}
    for name in urls:
        for other, url in urls.items():
            host = urlsplit(url).netloc
            values = [
                v for k, v in variables.get(name, {}).items() if "ORIGIN" not in k.upper() and "CORS" not in k.upper()
            ]
            if other != name and host and any(host in value for value in values) and name not in _reached(other, found):
                found[name].append(other)
    return {name: tuple(parents) for name, parents in found.items()}


def _reached(name: str, found: Mapping[str, Sequence[str]]) -> set[str]:
    """Everything that `name` needs, directly or not."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for parent in found.get(todo.pop(), ()):
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen


def kept(services: Sequence[PlatformService], variables: Mapping[str, Mapping[str, str]]) -> tuple[Kept, ...]:
    """Those that can be watched, in the platform's order. variables: by service name."""
    watched = [one for one in services if one.type in WATCHED and one.url]
    needed = needs(variables, {one.name: one.url for one in watched})
    return tuple(
        Kept(
            name=one.name, url=one.url.rstrip("/"), plan=one.plan, id=one.id, depends_on=needed[one.name],
            health=looked_at(one)[0], more={"expect": {"status": OWN}} if looked_at(one)[1].status else None,
        )
        for one in watched
    )  # fmt: skip


def looked_at(one: PlatformService) -> tuple[str, Expect]:
    """The path that shows whether a service of a platform is well, and what a good answer is.

    Where the platform checks no path, nobody has said which one answers 2xx: then any answer of the service's own below 500
    shows that its process serves. What the edge answers in its place is never one (`checks`).
    """
    if one.health_path:
        return one.health_path, Expect()
    return "/", Expect() if one.type == "static_site" else Expect(status=tuple(range(200, 500)))


def text_of(
    name: str, services: Sequence[Kept], *, platform: str, head: str, access: Mapping[str, object],
    repair: str | None = None, keeper: Mapping[str, object] | None = None,
) -> str:  # fmt: skip
    """The file. head: its first comment.   access: of `[platform.<platform>]`, and keeper: of `[keeper]`, TOML values as Python
    ones."""
    pieces = [f"# {line}\n" for line in head.splitlines()]
    pieces.append(f"\n[fleet]\nname = {_value(name)}\n")
    for one in services:
        settings: dict[str, object] = {"name": one.name, "url": one.url}
        if one.health != "/health":
            settings["health"] = one.health
        if one.depends_on:
            settings["depends_on"] = list(one.depends_on)
        settings |= {"platform": platform, "platform_id": one.id}
        if one.plan:
            settings["plan"] = one.plan
        if repair is not None:
            settings["repair"] = repair
        settings |= one.more or {}
        pieces.append("\n[[service]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in settings.items()))
        for check in one.checks:
            written = "".join(f"{key} = {_value(value)}\n" for key, value in check.items())
            pieces.append(f"\n[[service.check]]\n{written}")
    for table, settings_of in ((f"platform.{platform}", access), ("keeper", keeper or {})):
        if settings_of:
            pieces.append(
                f"\n[{table}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in settings_of.items())
            )
    return "".join(pieces)


def _value(value: object) -> str:
    """A TOML value. A JSON string is one too, but for what lies beyond the basic plane, which stays as it is."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
