"""Where the programs that read a file would understand it differently, and what each would get. Pure."""

from dataclasses import dataclass

from everwake.doctor.variables.dialects import DIALECTS
from everwake.doctor.variables.dotenv import BOM, parse

__all__ = ["COMMON", "Difference", "differences", "understood"]

# Those that most files meet: the rest differs as one of these does.
COMMON = ("docker", "compose", "python-dotenv", "dotenv", "shell", "render")


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
    found = []
    for entry in plain.entries:
        if entry.value is None:
            continue
        gets = {DIALECTS[reader].title: _in_words(entry.key, entry.value, values) for reader, values in read.items()}
        if len(set(gets.values())) > 1:
            found.append(Difference(key=entry.key, line=entry.line, gets=gets))
    return tuple(found)


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
    if value[:1] in ("'", '"', "`") and value.strip()[1:-1] in (meant, meant.replace("\n", "\\n")):
        return "the value with its quotes"
    if value.strip() == meant:
        return "the value with a blank or carriage return"
    if meant.startswith(value):
        return "the part before the #" if value else "nothing"
    if value.startswith(meant):
        return "the value with the comment behind it"
    return "something else"
