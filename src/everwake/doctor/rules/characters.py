"""Characters that no key, address or switch holds: look-alike letters, invisible ones, a line end written as backslash-n."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Edit, Example, Hit, Rule, Variable
from everwake.doctor.kinds import URLS, Kind, words_of

__all__ = ["RULE"]

# Zero-width and formatting signs, blanks that are no blank, and the mark of a file's beginning: never seen, never meant.
_INVISIBLE = re.compile("[\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufeff]")
_ASCII = {
    Kind.API_KEY, Kind.PORT, Kind.BOOLEAN, Kind.LOG_LEVEL, Kind.INTEGER, Kind.FLOAT, Kind.BIND, Kind.PYTHON_VERSION,
    Kind.NODE_VERSION, Kind.ENVIRONMENT, Kind.PEM,
}  # fmt: skip
_HYPHENS = {"–", "—", "‐", "‑", "−", "‒"}


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """The first such character of the value, or of the name."""
    value = variable.value
    in_name = re.search(r"[^\x20-\x7e\t]", variable.key)
    if in_name:
        yield Hit(
            problem="non_ascii_char", fix="retype the name: it holds a character that only looks like a letter", at=None,
            found=_named(in_name[0]), is_error=True,
        )  # fmt: skip
    found = (
        _INVISIBLE.search(value) if variable.kind is not Kind.TEXT or (len(value) < 200 and " " not in value) else None
    )
    if found is None and variable.kind is Kind.TEXT:
        found = re.match(_INVISIBLE.pattern, value) or re.search(_INVISIBLE.pattern + r"\Z", value)
    if found is not None:
        edits: tuple[Edit, ...] = tuple((each.start(), each.end(), "") for each in _INVISIBLE.finditer(value))
        yield _hit(value, found.start(), edits, "remove it: it cannot be seen, but it is there")
        return
    if variable.kind in _ASCII:
        odd = re.search(r"[^\x00-\x7e]", value)
    elif variable.kind in URLS or variable.kind in (Kind.HOST, Kind.HOSTS):
        odd = _odd_in_address(value)
    elif words_of(variable.key)[-1:] in (("OPTIONS",), ("OPTS",), ("ARGS",), ("FLAGS",)):
        odd = re.search(r"(?:^|(?<=\s))[–—‐‑−‒]", value)  # what an editor makes of --
    else:
        return
    if odd is not None:
        at = odd.start()
        fix = "replace it by the plain letter or sign that it looks like; copy the value anew from where it was made"
        yield _hit(value, at, ((at, at + 1, "-"),) if value[at] in _HYPHENS else (), fix)


def _odd_in_address(value: str) -> "re.Match[str] | None":
    """A sign that no address holds; names may have letters of their own alphabet, but do not mix two."""
    odd = re.search(r"[^\x00-\x7e\u00c0-\u024f\u0370-\ufeff\U00010000-\U0010ffff]|[–—‐‑−‒…]", value)
    if odd is not None:
        return odd
    for label in re.finditer(r"[^\s./:@?#&=,]+", value):
        if re.search(r"[A-Za-z0-9]", label[0]) and re.search(r"[\u0250-\u04ff]", label[0]):
            return re.compile(r"[\u0250-\u04ff]").search(value, label.start())
    return None


def _hit(value: str, at: int, edits: tuple[Edit, ...], fix: str) -> Hit:
    return Hit(
        problem="non_ascii_char",
        fix=fix,
        at=at,
        end=at + 1,
        edits=edits,
        found=_named(value[at]),
        is_error=True,
        stops=not edits,
    )


def _named(sign: str) -> str:
    return f"U+{ord(sign):04X}" + (f" ({sign})" if sign.isprintable() and not sign.isspace() else "")


def _backslash(variable: Variable) -> Iterator[Hit]:
    """`\\n` as two characters at the end of what is one line."""
    found = re.search(r"(?:\\r)?\\n\Z", variable.value)
    if found is None or found.start() == 0 or "-----BEGIN" in variable.value or variable.value[0] in "[{":
        return
    if variable.kind is Kind.TEXT and " " in variable.value:
        return
    at = found.start()
    yield Hit(
        problem="literal_backslash_n", fix="remove it: a backslash and an n, where a line end was copied along", at=at,
        end=len(variable.value), edits=((at, len(variable.value), ""),), keep=(0, at), found="\\n", is_error=True,
    )  # fmt: skip


def look_both(variable: Variable, case: Case) -> Iterator[Hit]:
    """Odd characters, and a written line end."""
    yield from _backslash(variable)
    yield from look(variable, case)


RULE = Rule(
    name="characters",
    about="Characters that only look right: letters of other scripts, invisible signs, long dashes, a written `\\n` at the end.",
    problems=("non_ascii_char", "literal_backslash_n"),
    look=look_both,
    stage="text",
    order=20,
    examples=(
        Example(("MAIL_API_KEY non_ascii_char",), {"MAIL_API_KEY": "re_аbc123"}),
        Example(("MAIL_API_KEY non_ascii_char",), {"MAIL_API_KEY": "re_abc\u200b123"}),
        Example(("NODE_OPTIONS non_ascii_char",), {"NODE_OPTIONS": "–max-old-space-size=256"}),
        Example(("APP_URL non_ascii_char",), {"APP_URL": "https://my–app.example.com"}),
        Example(("MAIL_API_KEY literal_backslash_n",), {"MAIL_API_KEY": "re_abc123\\n"}),
        Example(
            (),
            {"TITLE": "Grüße aus Köln – bis bald", "APP_URL": "https://münchen.example.com", "DB_PASSWORD": "pässwört"},
        ),
        Example((), {"MOTD": "first line\\nsecond line\\n"}),
    ),
)
