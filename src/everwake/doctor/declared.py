"""What a service says its variables must be: `[service.variables]` of everwake.toml, or a table that its maker ships. Pure.

    [service.variables]
    PORT = "port"
    BACKEND_CORS_ORIGINS = { type = "origins", required = true }
    LOG_LEVEL = { choices = ["INFO", "DEBUG"] }

What is declared wins over what a name or a value lets one guess.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everwake.doctor.kinds import SECRETS, Kind, kind_of_name

__all__ = ["Declared", "NotASchema", "read", "read_list"]

# Words that schemas use for ours: chatify's own table, JSON Schema, and Python's names of types.
_WORDS = {
    "number": Kind.INTEGER, "int": Kind.INTEGER, "bool": Kind.BOOLEAN, "str": Kind.TEXT, "string": Kind.TEXT,
    "url": Kind.HTTP_URL,
    "list": Kind.JSON, "list[str]": Kind.JSON, "dict": Kind.JSON, "secret": Kind.SECRET, "choice": Kind.TEXT,
}  # fmt: skip
_KNOWN = ("type", "required", "choices", "least", "most", "secret", "help", "default")


class NotASchema(ValueError):  # noqa: N818 - reads as what it is
    """A declaration that cannot be read. key: of which variable.   hint: what to write."""

    def __init__(self, key: str, message: str, hint: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key, self.hint = key, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One variable as its program declares it. least, most: of a number.   ends_escaped: `\\n` in a PEM key is undone by it."""

    kind: Kind
    required: bool = False
    required_in_production: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    ends_escaped: bool = False


def read(table: Mapping[str, Any]) -> dict[str, Declared]:
    """Variable -> declaration. A name in small letters is no variable and left to the caller (`from`). Raises NotASchema."""
    return {key: _one(key, said) for key, said in table.items() if key == key.upper()}


def read_list(rows: Any) -> dict[str, Declared]:
    """The same from the rows that `chatify.settings.schema` makes: name, type, choices, least, most, is_secret, .."""
    return {
        row["name"]: Declared(
            kind=_kind_of_row(row), choices=tuple(row["choices"]), least=row["least"], most=row["most"],
            required_in_production=row["is_required_in_production"], ends_escaped=row["name"].endswith("PRIVATE_KEY"),
        )
        for row in rows
    }  # fmt: skip


def _kind_of_row(row: Mapping[str, Any]) -> Kind:
    name = row["name"]
    if row["type"] == "list":
        return Kind.JSON_ORIGINS
    if name.endswith("_URL") and "redis" in name.lower():
        return Kind.REDIS_URL
    if name in ("PORT", "HOST", "LOG_LEVEL", "PYTHON_VERSION"):
        return {"PORT": Kind.PORT, "HOST": Kind.BIND, "LOG_LEVEL": Kind.LOG_LEVEL}.get(name, Kind.PYTHON_VERSION)
    if name.endswith("PRIVATE_KEY"):
        return Kind.PEM
    named = kind_of_name(name)
    return named if row["is_secret"] and named in SECRETS else _kind(name, row["type"])


def _one(key: str, said: Any) -> Declared:
    if isinstance(said, str):
        return Declared(kind=_kind(key, said))
    if not isinstance(said, Mapping):
        raise NotASchema(key, "is neither a type nor a table", 'write "port" or { type = "port", required = true }')
    for name in said:
        if name not in _KNOWN:
            near = difflib.get_close_matches(str(name), _KNOWN, 1, 0.5)
            raise NotASchema(
                key, f"no such setting: {name}", f"did you mean {near[0]}?" if near else f"known: {', '.join(_KNOWN)}"
            )
    choices = said.get("choices", ())
    if not isinstance(choices, list | tuple) or not all(isinstance(each, str) for each in choices):
        raise NotASchema(key, "choices is not a list of texts", 'write choices = ["INFO", "DEBUG"]')
    return Declared(
        kind=Kind.SECRET if said.get("secret") is True and "type" not in said else _kind(key, said.get("type", "text")),
        required=said.get("required") is True, choices=tuple(choices), least=said.get("least"), most=said.get("most"),
    )  # fmt: skip


def _kind(key: str, word: Any) -> Kind:
    plain = str(word).lower()
    if plain in _WORDS:
        return _WORDS[plain]
    try:
        return Kind(plain)
    except ValueError:
        near = difflib.get_close_matches(plain, [kind.value for kind in Kind], 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(kind.value for kind in Kind)}"
        raise NotASchema(key, f"no such type: {str(word)[:40]}", hint) from None
