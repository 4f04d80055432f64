"""Where the programs that read a file would understand it differently, and what each would get. Pure."""

import re
from dataclasses import dataclass

from everwake.doctor.variables.dialects import DIALECTS
from everwake.doctor.variables.dotenv import BOM, Entry, parse
from everwake.doctor.variables.sourcing import sourced

__all__ = ["COMMON", "Difference", "differences", "understood"]

# Those that most files meet: the rest differs as one of these does.
COMMON = ("docker", "compose", "python-dotenv", "dotenv", "shell", "render")


_DOLLAR, _BRACES = re.compile(r"(?<!\\)\$(?:\{|[A-Za-z_])"), re.compile(r"\$\{[^}\n]{1,200}\}")
# A name alone on its line, without a value (docs.docker.com, compose-spec 2.x, python-dotenv 1.2; read 2026-11).
_BARE = {
    "docker": "hands on what its surroundings have", "compose": "hands on what its surroundings have",
    "python-dotenv": "has the name without a value",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One variable that readers disagree about. gets: reader's title -> what it gets, in words that show nothing of the value."""

    key: str
    line: int
    gets: dict[str, str]


def understood(text: str, reader: str) -> dict[str, str]:
    """Variable -> value as that reader (a key of `DIALECTS`) has it; a name it would get with odd signs is given with them."""
    return parse(text, DIALECTS[reader]).values


def differences(text: str, readers: tuple[str, ...] = COMMON) -> tuple[Difference, ...]:
    """Each variable that not all of them read alike. meant: what `PLAIN`, the reader without quirks, has."""
    plain = parse(text)
    read = {reader: understood(text, reader) for reader in readers}
    found, swallowed = [], 0
    for entry in plain.entries:
        gets = {DIALECTS[reader].title: _got(text, entry, reader, values) for reader, values in read.items()}
        if "shell" in readers:
            words, swallowed = _sourced_words(text, entry, swallowed)
            gets[DIALECTS["shell"].title] = words
        if len(set(gets.values())) > 1:
            # A line without `=` may be the other half of a secret that was broken when it was pasted.
            key = entry.key if entry.value is not None else "*"
            found.append(Difference(key=key, line=entry.line, gets=gets))
    return tuple(found)


def _got(text: str, entry: Entry, reader: str, values: dict[str, str]) -> str:
    if entry.value is None:
        return _BARE.get(reader, "does not get it")
    words, dialect = _in_words(entry.key, entry.value, values), DIALECTS[reader]
    pattern = {"all": _DOLLAR, "braces": _BRACES}.get(dialect.expands)
    if pattern is None or not words.startswith("the value") or (entry.quote == "'" and dialect.keeps_single):
        return words
    is_replaced = pattern.search(text, entry.value_at, entry.value_end) is not None
    return "puts a variable's value in place of the $" if is_replaced else words


def _sourced_words(text: str, entry: Entry, swallowed: int) -> tuple[str, int]:
    """What a shell's source makes of it, and how far an unclosed quote before it has swallowed the text."""
    if entry.at < swallowed:
        return "does not get it: it stands within the quotes of a line before", swallowed
    if entry.value is None:
        return ("hands on what it has" if entry.exports else "runs it as a command"), swallowed
    equals = text.index("=", entry.equals_at)
    if equals > entry.equals_at:
        return "runs the name as a command: of the blank before the =", swallowed
    got = sourced(text, equals + 1)
    words = got.words if got.value is None else _in_words(entry.key, entry.value, {entry.key: got.value})
    return words, max(swallowed, got.end)


def _in_words(key: str, meant: str, values: dict[str, str]) -> str:
    """What a reader made of it, compared with what is meant."""
    if key not in values:
        spelled = next(
            (name for name in values if name.strip().removeprefix(BOM).removeprefix("export").strip() == key), None
        )
        if spelled is None:
            return "does not get it"
        return "takes export for a part of the name" if "export" in spelled else "takes a blank for a part of the name"
    value = values[key]
    if value == meant:
        return "the value"
    bare = value.strip()[1:-1]
    if value[:1] in ("'", '"', "`") and (meant in (bare, _single(bare)) or bare == meant.replace("\n", "\\n")):
        return "the value with its quotes"
    if _single(value) == meant:
        return "the value with every backslash in it"
    if meant and value == meant.replace("\\", ""):
        return "the value without its backslashes"
    if value.strip() == meant:
        return "the value with a blank or carriage return"
    if meant.startswith(value):
        return "the part before the #" if value else "nothing"
    if value.startswith(meant):
        return "the value with the comment behind it"
    return "something else"


def _single(value: str) -> str:
    """Doubled backslashes as one."""
    return value.replace("\\\\", "\\")
