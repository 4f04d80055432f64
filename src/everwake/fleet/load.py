"""Reads `everwake.toml`: the whole of it or nothing, with every mistake at once and where it stands.

everwake.toml:14:12: service[2].every: 200ms is below the minimum of 1s
  hint: use 1s or more; free platforms throttle what is faster than 10s
"""

import dataclasses
import difflib
import hashlib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from everwake.fleet import _circles, _positions, _values, schema, secrets
from everwake.fleet._mistakes import BadFleet, Mistake, not_toml, place_name
from everwake.fleet._removed import replacement
from everwake.fleet._values import shown
from everwake.fleet.naming import near
from everwake.fleet.redact import is_secret_name
from everwake.fleet.schema import Check, Expect, Fleet, Keeper, Notify, PlatformSettings, Service

__all__ = ["BadFleet", "Mistake", "Noted", "load", "read"]

LARGEST_BYTES = 4_194_304
PLATFORMS = ("render", "sim")

Noted = Callable[[Mistake], None]


def load(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] | None = None,
    kinds: Mapping[str, type[Any]] | None = None,
    *,
    resolver: secrets.Resolver | None = None,
    noted: Noted | None = None,
) -> Fleet:
    """The fleet that the file at `path` describes. kinds: check kind -> its frozen spec (`checks.kinds()`).

    resolver: which secrets must be there; all of them, out of `environ`, when left out.   noted: called with what is no
    mistake and yet worth knowing: a secret that is not here, a timeout longer than the pause.

    Raises:
        BadFleet: with every mistake; nothing of the file is used then.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        hint = "everwake init writes one" if isinstance(error, FileNotFoundError) else "make it readable for the keeper"
        raise BadFleet(str(path), [Mistake(1, 1, "", f"cannot be read: {error.strerror}", hint)]) from None
    if len(raw) > LARGEST_BYTES:
        hint = "a fleet of 10,000 services needs less; is it the right file?"
        raise BadFleet(str(path), [Mistake(1, 1, "", f"is larger than {LARGEST_BYTES // 2**20} MiB", hint)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise BadFleet(str(path), [Mistake(line, column, "", "is not UTF-8", "save it as UTF-8")]) from None
    environ = os.environ if environ is None else environ
    fleet = read(text, str(path), environ, kinds or {}, file.parent, resolver=resolver, noted=noted)
    return dataclasses.replace(fleet, digest=hashlib.sha256(raw).digest())


def read(
    text: str,
    path: str,
    environ: Mapping[str, str],
    kinds: Mapping[str, type[Any]],
    folder: Path = Path(),
    *,
    resolver: secrets.Resolver | None = None,
    noted: Noted | None = None,
) -> Fleet:
    """The fleet that `text` describes, as `load` has it. Raises BadFleet."""
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise BadFleet(path, [Mistake(1, 1, "", "is nested too deeply", "no setting needs that")]) from None
    except ValueError as error:  # TOMLDecodeError is one, and so is a whole number of more than 4,300 digits
        raise BadFleet(path, [not_toml(text, error)]) from None
    reader = _Reader(tree, _positions.locate(text), resolver or secrets.Present(environ), kinds, folder)
    fleet = reader.fleet(path)
    if reader.mistakes:
        raise BadFleet(path, reader.mistakes)
    if noted is not None:
        for note in sorted(reader.notes, key=lambda one: (one.line, one.column)):
            noted(note)
    return fleet


class _Reader:
    """Walks the parsed tree once and collects what is wrong on the way."""

    def __init__(
        self,
        tree: dict[str, Any],
        places: Mapping[_positions.Path, _positions.Place],
        resolver: secrets.Resolver,
        kinds: Mapping[str, type[Any]],
        folder: Path,
    ) -> None:
        self.tree, self.places, self.resolver, self.kinds, self.folder = tree, places, resolver, kinds, folder
        self.mistakes: list[Mistake] = []
        self.notes: list[Mistake] = []

    # --- telling ------------------------------------------------------------------------------------------------------

    def told(self, path: _positions.Path, message: str, hint: str | None, *, at_key: bool = False) -> Mistake:
        place, known = None, path
        while place is None and known:
            place, known = self.places.get(known), known[:-1]
        if place is None and path:  # `[platfrom.render]` has a place, the name before its dot has none
            place = next((found for known, found in self.places.items() if known[: len(path)] == path), None)
        line, column = (1, 1) if place is None else (place.value_line, place.value_column)
        if place is not None and at_key:
            line, column = place.line, place.column
        return Mistake(line, column, place_name(path), message, hint)

    def wrong(self, path: _positions.Path, message: str, hint: str | None = None, *, at_key: bool = False) -> None:
        self.mistakes.append(self.told(path, message, hint, at_key=at_key))

    def unknown(self, path: _positions.Path, name: str, known: Iterable[str], *, what: str = "setting") -> None:
        of = "check" if "check" in path else str(path[0]) if path else ""
        instead = replacement(of, name, known)
        self.wrong((*path, name), f"there is no {what} {shown(name)}", instead or near(name, known), at_key=True)

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
        title = self.value(("fleet", "name"), head.get("name", "fleet"), str, {"reads": "text"})
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
        hint = f"write [{'platform.render' if path == ('platform',) else place_name(path)}] on a line of its own"
        if path[-1] == "expect":
            hint = f"write expect = {{ status = {value if isinstance(value, int) else 200} }}"
        elif "check" in path:
            hint = "write [[service.check]] on a line of its own"
        elif path[0] == "service":
            hint = "write [[service]] on a line of its own"
        self.wrong(path, f"{shown(value)} is not a table", hint)
        return {}

    def services(self) -> tuple[Service, ...]:
        listed = self.tree.get("service", [])
        if not isinstance(listed, list):
            what = (
                "[service] is one table" if isinstance(listed, dict) else f"{shown(listed)} is not a list of services"
            )
            self.wrong(("service",), what, "write [[service]] with two brackets, for there may be many")
            return ()
        if not listed:
            at = ("service",) if "service" in self.tree else ()
            hint = 'add [[service]] with name = ".." and url = ".."'
            self.mistakes.append(dataclasses.replace(self.told(at, "no service at all", hint), where="service"))
        services = [self.build(Service, ("service", n), entry) for n, entry in enumerate(listed)]
        self.names(listed)
        return tuple(service for service in services if service is not None)

    def names(self, listed: list[Any]) -> None:
        """Names are unique, whoever is depended on is there, and nobody waits for himself."""
        names = [entry.get("name") if isinstance(entry, dict) else None for entry in listed]
        known = [name for name in names if isinstance(name, str)]
        first: dict[str, int] = {}
        needs: dict[str, list[str]] = {}
        for n, name in enumerate(names):
            if isinstance(name, str) and name in first:
                place = self.places.get(("service", first[name], "name"))
                self.wrong(
                    ("service", n, "name"),
                    f"{shown(name)} is taken",
                    f"line {place.line if place else '?'} has it; names are unique",
                )
            elif isinstance(name, str):
                first[name] = n
            wanted = listed[n].get("depends_on", []) if isinstance(listed[n], dict) else []
            wanted = wanted if isinstance(wanted, list) else []
            for k, other in enumerate(wanted):
                here = ("service", n, "depends_on", k)
                if other == name and name is not None:
                    self.wrong(
                        here, f"{shown(other)} is the service itself, and nothing depends on itself", "remove it"
                    )
                elif isinstance(other, str) and other not in first and other not in known:
                    self.wrong(here, f"no service is called {shown(other)}", near(other, known))
                elif other in wanted[:k]:
                    self.wrong(here, f"{shown(other)} is named twice", "remove one")
                elif isinstance(name, str) and isinstance(other, str):
                    needs.setdefault(name, []).append(other)
        for circle in _circles.found(needs):
            n, other = first[circle[0]], circle[1]
            here = ("service", n, "depends_on", listed[n]["depends_on"].index(other))
            way = " -> ".join(circle)
            self.wrong(
                here, f"goes in a circle: {shown(way)[1:-1]}", "remove one of them: who needs whom in order to be up?"
            )

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
            self.wrong(path, f"{shown(value)} is not a list of checks", "write [[service.check]] with two brackets")
            return ()
        found = []
        for n, entry in enumerate(value):
            here = (*path, n)
            before = len(self.mistakes)
            table = dict(self.table(here, entry))
            kind = table.pop("kind", None)
            if not isinstance(kind, str) or kind not in self.kinds:
                if kind is None and len(self.mistakes) == before:
                    hint = f'write kind = "tcp" or another of {", ".join(sorted(self.kinds))}'
                    self.wrong(here, "has no kind", "type is called kind here" if "type" in table else hint)
                elif kind is not None:
                    self.wrong(
                        (*here, "kind"), f"there is no kind of check {shown(kind)}", near(str(kind), sorted(self.kinds))
                    )
                continue
            times = {}
            for key, default, most in (("every", service.get("every", 180.0), 86_400), ("timeout", 30.0, 300)):
                about = {"reads": "seconds", "ge": 1 if key == "every" else 0.1, "le": most}
                if key in table:
                    times[key] = self.value((*here, key), table.pop(key), float, about)
                else:  # what is wrong with the service's own is said there
                    times[key] = self.quietly(default, about)
            spec = self.build(self.kinds[kind], here, table)
            if spec is not None and None not in times.values():
                found.append(Check(kind=kind, spec=spec, every_s=times["every"], timeout_s=times["timeout"]))
                self.patience(here, entry, times["every"], times["timeout"])
        return tuple(found)

    # --- settings -----------------------------------------------------------------------------------------------------

    def build(self, kind: type[Any], path: _positions.Path, value: Any, given: Mapping[str, Any] | None = None) -> Any:
        """A frozen dataclass out of a table; None when something in it is wrong, which is then among the mistakes."""
        before = len(self.mistakes)
        table, hints = self.table(path, value), get_type_hints(kind)
        if len(self.mistakes) > before:
            return None
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
        if kind is Service and isinstance(values.get("platform"), str) and values["platform"] not in PLATFORMS:
            platform = values["platform"]
            self.wrong((*path, "platform"), f"there is no platform {shown(platform)}", near(platform, PLATFORMS))
        if len(self.mistakes) > before:
            return None
        built = kind(**values)
        if kind is Service:
            self.patience(path, table, built.every_s, built.timeout_s)
        return built

    def patience(self, path: _positions.Path, table: Mapping[str, Any], every_s: float, timeout_s: float) -> None:
        """A timeout that somebody chose longer than the pause is taken, and then the pause is not kept."""
        if "timeout" in table and timeout_s > every_s:
            what = f"{timeout_s:g}s is longer than every ({every_s:g}s): while a look hangs, no other is begun"
            self.notes.append(self.told((*path, "timeout"), what, f"use {every_s:g}s or less to be told in time"))

    def value(self, path: _positions.Path, value: Any, annotation: Any, about: Mapping[str, Any]) -> Any:
        try:
            if about.get("reads") == "secret":
                return self.secret(path, value)
            if about.get("reads") == "secrets":
                return self.many_secrets(path, value)
            found = _values.read(value, annotation, about)
            return self.with_secrets(path, found) if about.get("reads") == "map" else found
        except secrets.Unresolved as error:
            self.wrong(path, error.message, error.hint)
        except _values.Wrong as error:
            close = difflib.get_close_matches(str(value)[:80].lower(), error.choices, 1, 0.5)
            self.wrong(path, error.message, f"did you mean {close[0]}?" if close else error.hint)
        return None

    def quietly(self, value: Any, about: Mapping[str, Any]) -> Any:
        try:
            return _values.read(value, float, about)
        except _values.Wrong:
            return None

    def secret(self, path: _positions.Path, value: Any) -> schema.Secret:
        """What `value` refers to. Raises Unresolved."""
        found = secrets.reference(value, path, self.folder)
        secret = self.resolver(found, path)
        if not secret.is_known:
            what = (
                f"the variable {found.name} is not set here"
                if found.how == "env"
                else f"the file {found.name} is not here"
            )
            self.notes.append(self.told(path, what, "it must be where the keeper runs"))
        return secret

    def many_secrets(self, path: _positions.Path, value: Any) -> tuple[schema.Secret, ...]:
        if not isinstance(value, list):
            hint = (
                f"write [{{ {next(iter(value))} = .. }}]" if _is_reference(value) else 'write [{ env = "ALERT_URL" }]'
            )
            raise _values.Wrong(f"{'***' if isinstance(value, str) else shown(value)} is not a list", hint)
        found = []
        for n, entry in enumerate(value):
            try:
                found.append(self.secret((*path, n), entry))
            except secrets.Unresolved as error:
                self.wrong((*path, n), error.message, error.hint)
        return tuple(found)

    def with_secrets(self, path: _positions.Path, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """A table such as headers, in which a value may be a reference, and must be one where its name says so."""
        found: dict[str, Any] = {}
        must = path[-1] == "headers" and "expect" not in path
        for name, value in table.items():
            if not _is_reference(value) and not (must and is_secret_name(name)):
                found[name] = value
                continue
            try:
                found[name] = self.secret((*path, name), value)
            except secrets.Unresolved as error:
                self.wrong((*path, name), error.message, error.hint)
        return found


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("env", "file")
