"""Secrets by reference: `{ env = "NAME" }` or `{ file = "/run/secrets/name" }`, resolved on the parsed tree.

So a quote or a dollar sign in a secret cannot break the file, and the file can be shown and shared. Who loads a fleet file
says by the resolver it passes in which secrets must be there: `Present` for whoever uses them, `Partly` for whoever does not.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from everwake.fleet.redact import redact
from everwake.fleet.schema import Secret

__all__ = ["Partly", "Present", "Reference", "Resolver", "Unresolved", "of_services", "reference"]

LONGEST_BYTES = 65_536
_DOLLAR = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]{0,80})\}?")

Where = tuple[str | int, ...]


class Unresolved(Exception):  # noqa: N818
    """A reference that is none, or that leads to nothing. hint: what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret lies. how: "env" or "file".   folder: what a relative file is relative to."""

    how: str
    name: str
    folder: Path = Path()

    @property
    def source(self) -> str:
        """As messages name it: "env RENDER_API_KEY"."""
        return f"{self.how} {self.name}"


class Resolver(Protocol):
    """Turns a reference into its secret. where: its path in the file, such as ("notify", "urls", 0).

    Raises Unresolved where it leads to nothing and is needed; a secret that is not needed may be one without a value.
    """

    def __call__(self, found: Reference, where: Where) -> Secret: ...


@dataclass(frozen=True, slots=True)
class Present:
    """Every secret must be there: for whoever runs the fleet."""

    environ: Mapping[str, str]

    def __call__(self, found: Reference, where: Where = ()) -> Secret:
        """The secret. Raises Unresolved."""
        return Secret(_of_env(found.name, self.environ) if found.how == "env" else _of_file(found), found.source)


@dataclass(frozen=True, slots=True)
class Partly:
    """Secrets that are not there are no mistake, but where `needed(where)`: for whoever reads the file and does not use them."""

    environ: Mapping[str, str]
    needed: Callable[[Where], bool] = lambda where: False

    def __call__(self, found: Reference, where: Where = ()) -> Secret:
        """The secret, without a value when it is neither there nor needed. Raises Unresolved."""
        try:
            return Present(self.environ)(found, where)
        except Unresolved:
            if self.needed(where):
                raise
            return Secret("", found.source)


def of_services(where: Where) -> bool:
    """Whether the secret belongs to a service: what a look needs, while messages and the page need others."""
    return where[:1] == ("service",)


def reference(value: Any, where: Where, folder: Path) -> Reference:
    """What `value` refers to. Raises Unresolved when it is no reference, without saying what it is."""
    wanted = _variable(where)
    as_written = f'write {{ env = "{wanted}" }} or {{ file = "/run/secrets/{wanted.lower()}" }}'
    if isinstance(value, str):
        variable = _DOLLAR.fullmatch(value.strip())
        if variable is not None:
            raise Unresolved(f'"{value.strip()}" is not filled in here', f'write {{ env = "{variable[1]}" }}')
        raise Unresolved(
            '"***" stands here in clear text, which a secret never does',
            f"{as_written}, and change the secret itself: it has stood in a file",
        )
    if not isinstance(value, dict):
        raise Unresolved("is not a reference to a secret", as_written)
    unknown = [str(key) for key in value if key not in ("env", "file")]
    if unknown:
        near = difflib.get_close_matches(unknown[0], ("env", "file"), 1, 0.5)
        raise Unresolved(
            f'a secret cannot be given by "{redact(unknown[0])[:40]}"',
            f"did you mean {near[0]}?" if near else as_written,
        )
    if len(value) != 1:
        raise Unresolved("a secret is given either by env or by file" if value else "names no secret", as_written)
    ((how, name),) = value.items()
    if not isinstance(name, str) or not name.strip():
        raise Unresolved(f"{how} needs a name", as_written)
    if how == "env" and (name.startswith("$") or "=" in name):
        bare = name.strip("${}").partition("=")[0]
        raise Unresolved(f"{how} takes the bare name of a variable", f'write {{ env = "{bare or wanted}" }}')
    return Reference(how, name, folder)


def _variable(where: Where) -> str:
    """What a variable for this secret may be called: ("platform", "render", "api_key") -> RENDER_API_KEY."""
    words = [str(part) for part in where if isinstance(part, str)]
    if words[:2] == ["notify", "urls"]:
        return "ALERT_URL"
    if words[:1] == ["keeper"]:
        words[0] = "everwake"
    name = "_".join(words[-2:]) or "secret"
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")[:60] or "SECRET"


def _of_env(name: str, environ: Mapping[str, str]) -> str:
    found = environ.get(name, "").strip()
    if found:
        return found
    near = difflib.get_close_matches(name, [known for known in environ if environ[known].strip()], 1, 0.85)
    state = "is empty" if name in environ else "is not set"
    hint = f"did you mean {near[0]}, which is set?" if near else f"set {name} where the keeper runs"
    raise Unresolved(f"the variable {name} {state}", hint)


def _of_file(found: Reference) -> str:
    try:
        with (found.folder / found.name).open("rb") as file:
            raw = file.read(LONGEST_BYTES + 1)
        text = raw.decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        absent = isinstance(error, FileNotFoundError)
        hint = "put the secret into it, or correct its name" if absent else "make it readable for the keeper"
        raise Unresolved(f"the file {found.name} cannot be read: {reason}", hint) from None
    if len(raw) > LONGEST_BYTES:
        raise Unresolved(f"the file {found.name} is larger than 64 KiB", "a secret's file holds the secret alone")
    if not text:
        raise Unresolved(f"the file {found.name} is empty", "put the secret into it")
    return text
