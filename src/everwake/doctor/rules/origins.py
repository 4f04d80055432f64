"""Origins as a browser sends them: scheme, host, port, and nothing after (RFC 6454, 6.2)."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Edit, Example, Hit, Rule, Variable
from everwake.doctor.kinds import words_of
from everwake.doctor.rules._entries import LISTS, addresses
from everwake.doctor.urls import dissect

__all__ = ["RULE"]


def is_origins(variable: Variable, case: Case) -> bool:
    """Whether the value is compared with what a browser sends as `Origin`."""
    return variable.kind in LISTS or bool(re.search(r"cors|origin", case.context.used_as, re.IGNORECASE))


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """What stands behind the host of each."""
    if not is_origins(variable, case):
        return
    texts = list(addresses(variable)) or [(variable.value, 0)]
    for text, at in texts:
        url = dissect(text)
        if url is None or url.scheme not in ("http", "https"):
            continue
        tail = text[url.path_at :]
        if tail:
            start = at + url.path_at
            edits: tuple[Edit, ...] = ((start, start + len(tail), ""),)
            what = "the slash at the end" if tail == "/" else "everything after the host"
            yield Hit(
                problem="trailing_slash_origin",
                fix=f"remove {what}: browsers send only scheme and host",
                at=start,
                end=start + len(tail),
                edits=edits,
            )
        default = {"http": "80", "https": "443"}[url.scheme]
        if url.port == default and not tail:
            start = at + url.port_at - 1
            yield Hit(
                problem="trailing_slash_origin",
                fix=f"remove :{default}: browsers leave it out",
                at=start,
                end=start + len(default) + 1,
                edits=((start, start + len(default) + 1, ""),),
            )
    yield from _wildcard(variable, [text for text, _ in texts], case)


def _wildcard(variable: Variable, texts: list[str], case: Case) -> Iterator[Hit]:
    if "*" not in texts:
        return
    with_credentials = [
        key for key, value in case.values.items()
        if {"CORS", "ALLOW", "ALLOWED"} & set(words_of(key)) and words_of(key)[-1:] == ("CREDENTIALS",
        ) and value.strip().lower() in ("true", "1", "yes", "on")
    ]  # fmt: skip
    if with_credentials:
        at = variable.value.find("*")
        yield Hit(
            problem="wildcard_with_credentials",
            fix=f"name the origins, or switch {with_credentials[0]} off: browsers refuse * together with credentials",
            at=at,
            end=at + 1,
        )


RULE = Rule(
    name="origins",
    about="An origin with a path, a slash or a port that browsers leave out; a wildcard together with credentials.",
    problems=("trailing_slash_origin", "wildcard_with_credentials"),
    look=look,
    order=46,
    examples=(
        Example(
            ("CORS_ORIGINS trailing_slash_origin",), {"CORS_ORIGINS": "https://a.example.com,https://b.example.com/"}
        ),
        Example(
            ("BACKEND_CORS_ORIGINS trailing_slash_origin",), {"BACKEND_CORS_ORIGINS": '["https://a.example.com/app"]'}
        ),
        Example(
            ("CLIENT_URL trailing_slash_origin",),
            {"CLIENT_URL": "https://a.example.com/"},
            context={"used_as": "CORS origin"},
        ),
        Example(("CORS_ORIGIN wildcard_with_credentials",), {"CORS_ORIGIN": "*", "CORS_ALLOW_CREDENTIALS": "true"}),
        Example(
            (), {"CORS_ORIGINS": "https://a.example.com,http://localhost:3000", "CLIENT_URL": "https://a.example.com/"}
        ),
        Example((), {"CORS_ORIGIN": "*", "CORS_PROXY_URL": "https://cors.example.com/get?url="}),
    ),
)
