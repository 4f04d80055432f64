"""Reads `everwake.toml`: the whole of it or nothing, with every mistake at once and where it stands.

everwake.toml:14:12: service[2].every: 200ms is below the minimum of 1s
  hint: use 1s or more; free platforms throttle what is faster than 10s
"""

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from everwake.errors import Misused
from everwake.fleet import _positions, _values, schema, secrets
from everwake.fleet.schema import Check, Expect, Fleet, Keeper, Notify, PlatformSettings, Service

__all__ = ["BadFleet", "Mistake", "load", "read"]

LARGEST_BYTES = 4_194_304
PLATFORMS = ("render", "sim")
_REMOVED: Mapping[tuple[str, str], str] = {
    ("service", "interval"): "every",
    ("service", "path"): "health",
    ("service", "websocket"): "heartbeat",
}


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: line and column from 1, where in the file's own words, what, and what to do."""

    line: int
    column: int
    where: str
    message: str
    hint: str | None = None

    def told(self, path: str) -> str:
        """As an editor understands it."""
        text = f"{path}:{self.line}:{self.column}: {self.where + ': ' if self.where else ''}{self.message}"
        return text if self.hint is None else f"{text}\n  hint: {self.hint}"


class BadFleet(Misused):
    """The file cannot be used. mistakes: every one of them, in the order of the file."""

    def __init__(self, path: str, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(mistake.told(path) for mistake in self.mistakes))


def load(
    path: str | os.PathLike[str], environ: Mapping[str, str] | None = None, kinds: Mapping[str, type[Any]] | None = None
) -> Fleet:
    """The fleet that the file at `path` describes. kinds: check kind -> its frozen spec (`checks.kinds()`).

    Raises:
        BadFleet: with every mistake; nothing of the file is used then.
    """
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        hint = "everwake init writes one" if isinstance(error, FileNotFoundError) else "make it readable for the keeper"
        raise BadFleet(str(path), [Mistake(1, 1, "", f"cannot be read: {error.strerror}", hint)]) from None
    if len(raw) > LARGEST_BYTES:
        raise BadFleet(str(path), [Mistake(1, 1, "", f"is larger than {LARGEST_BYTES // 2**20} MiB")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise BadFleet(str(path), [Mistake(line, column, "", "is not UTF-8", "save it as UTF-8")]) from None
    return read(text, str(path), os.environ if environ is None else environ, kinds or {}, file.parent)


def read(
    text: str, path: str, environ: Mapping[str, str], kinds: Mapping[str, type[Any]], folder: Path = Path()
) -> Fleet:
    """The fleet that `text` describes. Raises BadFleet."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFleet(path, [_not_toml(text, error)]) from None
    except RecursionError:
        raise BadFleet(path, [Mistake(1, 1, "", "is nested too deeply")]) from None
    reader = _Reader(tree, _positions.locate(text), environ, kinds, folder)
    fleet = reader.fleet(path)
    if reader.mistakes:
        raise BadFleet(path, reader.mistakes)
    return fleet


def _not_toml(text: str, error: tomllib.TOMLDecodeError) -> Mistake:
    # Python 3.14 gives lineno and colno; before that the place stands only in the message.
    line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
    message = str(getattr(error, "msg", error))
    found = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
    if found is not None:
        message = str(error)[: found.start()]
        lines = text.split("\n")
        line, column = (int(found[1]), int(found[2])) if found[1] else (len(lines), len(lines[-1]) + 1)
    return Mistake(line or 1, column or 1, "", f"is not TOML: {message[:1].lower()}{message[1:]}", "texts need quotes")


class _Reader:
    """Walks the parsed tree once and collects what is wrong on the way."""

    def __init__(
        self,
        tree: dict[str, Any],
        places: Mapping[_positions.Path, _positions.Place],
        environ: Mapping[str, str],
        kinds: Mapping[str, type[Any]],
        folder: Path,
    ) -> None:
        self.tree, self.places, self.environ, self.kinds, self.folder = tree, places, environ, kinds, folder
        self.mistakes: list[Mistake] = []

    # --- telling ------------------------------------------------------------------------------------------------------

    def wrong(self, path: _positions.Path, message: str, hint: str | None = None, *, at_key: bool = False) -> None:
        place, known = None, path
        while place is None and known:
            place, known = self.places.get(known), known[:-1]
        line, column = (1, 1) if place is None else (place.value_line, place.value_column)
        if place is not None and at_key:
            line, column = place.line, place.column
        where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        self.mistakes.append(Mistake(line, column, where, message, hint))

    def unknown(self, path: _positions.Path, name: str, known: Iterable[str], *, what: str = "setting") -> None:
        removed = _REMOVED.get((str(path[0]) if path else "", name))
        near = removed or next(iter(difflib.get_close_matches(name, list(known), 1, 0.5)), None)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(known))}"
        self.wrong((*path, name), f"no such {what}", hint, at_key=True)

    # --- tables -------------------------------------------------------------------------------------------------------

    def fleet(self, path: str) -> Fleet:
        known = ("fleet", "service", "platform", "notify", "keeper")
        for name in self.tree:
            if name not in known:
                self.unknown((), name, known, what="table")
        head = self.table(("fleet",), self.tree.get("fleet", {}))
        for name in head:
            if name != "name":
                self.unknown(("fleet",), name, ("name",))
        title = head.get("name", "fleet")
        if not isinstance(title, str) or not title.strip():
            self.wrong(("fleet", "name"), "is not a text", "write a name in quotes")
        return Fleet(
            name=str(title),
            services=self.services(),
            platforms=self.platforms(),
            notify=self.build(Notify, ("notify",), self.tree.get("notify", {})) or Notify(),
            keeper=self.build(Keeper, ("keeper",), self.tree.get("keeper", {})) or Keeper(),
            path=path,
        )

    def table(self, path: _positions.Path, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.wrong(path, "is not a table", f"write [{path[0]}] on a line of its own")
        return {}

    def services(self) -> tuple[Service, ...]:
        listed = self.tree.get("service", [])
        if not isinstance(listed, list):
            self.wrong(("service",), "is not a list of services", "write [[service]] with two brackets")
            return ()
        if not listed:
            self.wrong(("service",), "no service at all", 'add [[service]] with name = ".." and url = ".."')
        services = [self.build(Service, ("service", n), entry) for n, entry in enumerate(listed)]
        self.names(listed)
        return tuple(service for service in services if service is not None)

    def names(self, listed: list[Any]) -> None:
        """Names are unique, and whoever is depended on is there."""
        names = [entry.get("name") if isinstance(entry, dict) else None for entry in listed]
        for n, name in enumerate(names):
            if isinstance(name, str) and name in names[:n]:
                first = self.places.get(("service", names.index(name), "name"))
                self.wrong(("service", n, "name"), f'"{name}" is taken', f"line {first.line if first else '?'} has it")
            wanted = listed[n].get("depends_on", []) if isinstance(listed[n], dict) else []
            for k, other in enumerate(wanted if isinstance(wanted, list) else []):
                if other == name and name is not None:
                    self.wrong(("service", n, "depends_on", k), "a service cannot depend on itself", "remove it")
                elif isinstance(other, str) and other not in names:
                    known = [name for name in names if isinstance(name, str)]
                    near = difflib.get_close_matches(other, known, 1, 0.4)
                    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                    self.wrong(("service", n, "depends_on", k), f'no service is called "{other[:60]}"', hint)

    def platforms(self) -> Mapping[str, PlatformSettings]:
        table = self.table(("platform",), self.tree.get("platform", {}))
        found = {}
        for name, value in table.items():
            if name not in PLATFORMS:
                self.unknown(("platform",), name, PLATFORMS, what="platform")
                continue
            built = self.build(PlatformSettings, ("platform", name), value, given={"name": name})
            if built is not None:
                found[name] = built
        return found

    def checks(self, path: _positions.Path, value: Any, service: Mapping[str, Any]) -> tuple[Check, ...]:
        if not isinstance(value, list):
            self.wrong(path, "is not a list of checks", "write [[service.check]] with two brackets")
            return ()
        found = []
        for n, entry in enumerate(value):
            here = (*path, n)
            table = dict(self.table(here, entry))
            kind = table.pop("kind", None)
            if kind not in self.kinds:
                if kind is None:
                    self.wrong(here, "has no kind", f'write kind = "tcp" or another of {", ".join(sorted(self.kinds))}')
                else:
                    near = difflib.get_close_matches(str(kind), list(self.kinds), 1, 0.4)
                    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(self.kinds))}"
                    self.wrong((*here, "kind"), f"no such kind: {str(kind)[:40]}", hint)
                continue
            times = {}
            for key, default, most in (("every", service.get("every", 180.0), 86_400), ("timeout", 30.0, 300)):
                about = {"reads": "seconds", "ge": 1 if key == "every" else 0.1, "le": most}
                times[key] = self.value((*here, key), table.pop(key, default), float, about)
            spec = self.build(self.kinds[kind], here, table)
            if spec is not None and None not in times.values():
                found.append(Check(kind=kind, spec=spec, every_s=times["every"], timeout_s=times["timeout"]))
        return tuple(found)

    # --- settings -----------------------------------------------------------------------------------------------------

    def build(self, kind: type[Any], path: _positions.Path, value: Any, given: Mapping[str, Any] | None = None) -> Any:
        """A frozen dataclass out of a table; None when something in it is wrong, which is then among the mistakes."""
        before = len(self.mistakes)
        table, hints = self.table(path, value), get_type_hints(kind)
        fields = {
            field.metadata.get("key") or field.name: field
            for field in dataclasses.fields(kind)
            if field.init and field.metadata
        }
        for name in table:
            if name not in fields:
                self.unknown(path, name, fields)
        values = dict(given or {})
        for name, field in fields.items():
            here = (*path, name)
            if name not in table:
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                    self.wrong(path, f"{name} is missing: {field.metadata['help']}", f'add {name} = ".."')
                continue
            if name == "check" and kind is Service:
                values[field.name] = self.checks(here, table[name], table)
            elif hints[field.name] is Expect:
                values[field.name] = self.build(Expect, here, table[name])
            else:
                values[field.name] = self.value(here, table[name], hints[field.name], field.metadata)
        if kind is Service and table.get("platform") not in (None, *PLATFORMS):
            near = difflib.get_close_matches(str(table["platform"]), PLATFORMS, 1, 0.4)
            self.wrong(
                (*path, "platform"), "no such platform", f"did you mean {near[0]}?" if near else "use render or sim"
            )
        return kind(**values) if len(self.mistakes) == before else None

    def value(self, path: _positions.Path, value: Any, annotation: Any, about: Mapping[str, Any]) -> Any:
        try:
            if about.get("reads") == "secret":
                return secrets.resolve(value, self.environ, self.folder)
            if about.get("reads") == "secrets":
                return self.many_secrets(path, value)
            found = _values.read(value, annotation, about)
            return self.with_secrets(found) if about.get("reads") == "map" else found
        except secrets.Unresolved as error:
            self.wrong(path, error.message, error.hint)
        except _values.Wrong as error:
            near = difflib.get_close_matches(str(value), error.choices, 1, 0.3)
            self.wrong(path, error.message, f"did you mean {near[0]}?" if near else error.hint)
        return None

    def many_secrets(self, path: _positions.Path, value: Any) -> tuple[schema.Secret, ...]:
        if not isinstance(value, list):
            raise _values.Wrong("is not a list", 'write [{ env = "ALERT_URL" }]')
        found = []
        for n, entry in enumerate(value):
            try:
                found.append(secrets.resolve(entry, self.environ, self.folder))
            except secrets.Unresolved as error:
                self.wrong((*path, n), error.message, error.hint)
        return tuple(found)

    def with_secrets(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """A table such as headers, in which a value may be a reference."""
        return {k: secrets.resolve(v, self.environ, self.folder) if _is_reference(v) else v for k, v in table.items()}


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("env", "file")
