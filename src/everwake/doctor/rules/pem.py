"""Keys and certificates in PEM: their line ends, and whether all of it is there."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable

__all__ = ["RULE"]

_HEAD = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_UNDOES = re.compile(r"replace|unescape|decode|json|literal|gsub|printf|echo -e", re.IGNORECASE)


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """What a PEM text has lost on its way."""
    value = variable.value
    head = _HEAD.search(value)
    if head is None:
        return
    if "{" in value[: head.start()]:
        twice = value.find("\\\\n", head.start())
        if twice >= 0:  # within JSON one backslash is right: its reader undoes it
            edits = tuple((found.start(), found.start() + 1, "") for found in re.finditer(r"\\\\n", value))
            fix = "write \\n with one backslash: it was escaped twice"
            yield Hit(problem="double_escaped_newline", fix=fix, at=twice, end=twice + 3, edits=edits, found="\\\\n")
        return
    tail = re.search(r"-----END ([A-Z0-9 ]{1,40})-----", value)
    if tail is None or (tail[1] != head[1] and value.count("-----BEGIN") == 1):
        if variable.entry is not None and "\n" not in value and variable.entry.quote == "" and "\\n" not in value:
            fix = "put the whole key in double quotes, its lines joined by \\n: without quotes only the first line is read"
            yield Hit(
                problem="pem_newlines_lost",
                fix=fix,
                at=head.start(),
                end=len(value),
                found="only the first line",
                stops=True,
            )
            return
        what = "its last line is missing" if tail is None else "first and last line do not fit each other"
        yield Hit(
            problem="bad_type",
            fix=f"paste the key anew, from -----BEGIN to -----END: {what}",
            at=head.start(),
            end=head.end(),
            found=what,
            is_error=True,
            stops=True,
        )
        return
    body = value[head.end() : tail.start()]
    if "\\\\n" in body:
        edits = tuple((found.start(), found.end(), "\\n") for found in re.finditer(r"\\\\n", value))
        yield Hit(
            problem="double_escaped_newline", fix="write \\n with one backslash, or real line ends: it was escaped twice",
            at=value.index("\\\\n"),
            end=value.index("\\\\n") + 3, edits=edits, found="\\\\n", stops=True,
        )  # fmt: skip
    elif "\\n" in body:
        yield from _escaped(variable, value, case)
    elif "\n" not in body and re.search(r"[A-Za-z0-9+/=]{4}", body):
        lines = [line for part in body.split() for line in re.findall(r".{1,64}", part)]
        edits = (
            ((head.end(), tail.start(), "\n" + "\n".join(lines) + "\n"),)
            if re.fullmatch(r"[A-Za-z0-9+/=\s]*", body)
            else ()
        )
        yield Hit(
            problem="pem_newlines_lost", fix="give the key its line ends back: paste it in quotes, its lines joined by \\n",
            at=head.end(),
            end=head.end() + 1, edits=edits, found="no line end after the first line", stops=True,
        )  # fmt: skip
    else:
        odd = re.search(r"[^A-Za-z0-9+/=\s:,.\-]", body)
        if odd is not None:
            at = head.end() + odd.start()
            yield Hit(
                problem="bad_type",
                fix="paste the key anew: a sign in it is none of base64",
                at=at,
                end=at + 1,
                found=f"U+{ord(odd[0]):04X}",
                is_error=True,
            )


def _escaped(variable: Variable, value: str, case: Case) -> Iterator[Hit]:
    """Written line ends: right where the program undoes them."""
    if variable.declared is not None and variable.declared.ends_escaped:
        return
    reader = case.context.reader
    if _UNDOES.search(reader) and not re.search(r"verbatim|as is|unchanged", reader, re.IGNORECASE):
        return
    edits = tuple((found.start(), found.end(), "\n") for found in re.finditer(r"(?:\\r)?\\n", value))
    at = value.index("\\n")
    known = re.search(r"verbatim|as is|environ|docker|unchanged|raw", reader, re.IGNORECASE)
    yield Hit(
        problem="literal_backslash_n", fix="write real line ends, or let the program replace \\n by them", at=at, end=at + 2,
        edits=edits if known else (), found="\\n", is_error=bool(known), stops=True,
    )  # fmt: skip


RULE = Rule(
    name="pem",
    about="A PEM key whose line ends were lost, escaped or escaped twice, or of which a part is missing.",
    problems=("pem_newlines_lost", "literal_backslash_n", "double_escaped_newline", "bad_type"),
    look=look,
    order=32,
    examples=(
        Example(
            ("TLS_KEY literal_backslash_n",),
            {"TLS_KEY": "-----BEGIN PRIVATE KEY-----\\nTUlJRQ==\\n-----END PRIVATE KEY-----"},
            context={"reader": "os.environ"},
        ),
        Example(
            ("TLS_KEY double_escaped_newline",),
            {"TLS_KEY": "-----BEGIN PRIVATE KEY-----\\\\nTUlJRQ==\\\\n-----END PRIVATE KEY-----"},
        ),
        Example(
            ("TLS_KEY pem_newlines_lost",),
            {"TLS_KEY": "-----BEGIN PRIVATE KEY----- TUlJRQ== -----END PRIVATE KEY-----"},
        ),
        Example(
            ("TLS_KEY pem_newlines_lost",), {"TLS_KEY": "-----BEGIN CERTIFICATE-----TUlJRQ==-----END CERTIFICATE-----"}
        ),
        Example(("TLS_KEY bad_type",), {"TLS_KEY": "-----BEGIN PRIVATE KEY-----\nTUlJRQ=="}),
        Example(("TLS_KEY bad_type",), {"TLS_KEY": "-----BEGIN PRIVATE KEY-----\nTUlJRQ==\n-----END CERTIFICATE-----"}),
        Example((), {"TLS_KEY": "-----BEGIN PRIVATE KEY-----\nTUlJRQ==\n-----END PRIVATE KEY-----\n"}),
        Example(
            (),
            {"TLS_KEY": "-----BEGIN PRIVATE KEY-----\\nTUlJRQ==\\n-----END PRIVATE KEY-----"},
            context={"reader": 'key.replace("\\\\n", "\\n")'},
        ),
        Example(
            (),
            text='TLS_KEY="-----BEGIN PRIVATE KEY-----\\nTUlJRQ==\\n-----END PRIVATE KEY-----"\n',
            context={"reader": "dotenv"},
        ),
    ),
)
