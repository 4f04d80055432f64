"""A URL taken apart where it stands, however broken: each part with its place, nothing decoded, nothing refused. Pure.

`urllib.parse` refuses what is broken and loses places; what is broken is what we are here for.
"""

import re
from dataclasses import dataclass

__all__ = ["Url", "dissect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """Parts of a URL, each with its offset in the text. user, password: None where there is none.

    port: digits or what stands in their place, "" where there is none.   path: with its slash.   query: without `?`.
    odd_password: the user part holds a sign that readers take for the end of it, so that they see another host.
    """

    scheme: str
    user: str | None
    password: str | None
    user_at: int
    password_at: int
    host: str
    host_at: int
    port: str
    port_at: int
    path: str
    path_at: int
    query: str
    query_at: int
    odd_password: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its host, or its hosts where there are several (`a:1,b:2`), in small letters."""
        return tuple(re.sub(r":\d*$", "", each).strip("[]").lower() for each in self.host.split(","))

    @property
    def parameters(self) -> dict[str, str]:
        """Names and values of the query, in small letters."""
        pairs = (pair.partition("=") for pair in re.split(r"[&;]", self.query.lower()) if pair)
        return {name: value for name, _, value in pairs}


def dissect(text: str) -> Url | None:
    """The URL that `text` is, or None where it has no `scheme://`."""
    head = re.match(r"([A-Za-z][A-Za-z0-9+.-]{0,40})://", text)
    if head is None:
        return None
    at = head.end()
    stop = re.compile(r"[/?#\\\s]").search(text, at)
    end = len(text) if stop is None else stop.start()
    sign = text.rfind("@", at, end)
    odd = False
    last = text.rfind("@")
    if last >= end and (
        _hides_a_password(text[at:end], text[last + 1 :])
        if sign < 0
        else _is_no_host(text[sign + 1 : end], text[last + 1 :])
    ):
        # A password with a slash, hash or question mark: readers end the host there, the writer did not.
        odd, sign = True, last
        stop = re.compile(r"[/?#\s]").search(text, last)
        end = len(text) if stop is None else stop.start()
    user = password = None
    user_at = password_at = at
    host_at = at
    if sign >= 0:
        user, colon, secret = text[at:sign].partition(":")
        password = secret if colon else None
        password_at = at + len(user) + 1
        host_at = sign + 1
        odd = odd or "@" in text[at:sign] or bool(re.search(r"%(?![0-9A-Fa-f]{2})|[\s\[\]{}^|<>\"`\\]", text[at:sign]))
    authority = text[host_at:end]
    port, port_at = "", end
    if "," not in authority:
        found = re.search(r":([^:\]]*)$", authority)
        if found:
            port, port_at = found[1], host_at + found.start(1)
            authority = authority[: found.start()]
    fragment = text.find("#", end)
    query = text.find("?", end, fragment if fragment >= 0 else len(text))
    path_end = min(each for each in (query, fragment, len(text)) if each >= 0)
    return Url(
        scheme=head[1].lower(), user=user, password=password, user_at=user_at, password_at=password_at, host=authority,
        host_at=host_at, port=port, port_at=port_at, path=text[end:path_end], path_at=end,
        query="" if query < 0 else text[query + 1 : fragment if fragment >= 0 else len(text)],
        query_at=query + 1 if query >= 0 else len(text), odd_password=odd,
    )  # fmt: skip


def _is_no_host(name: str, behind: str) -> bool:
    """Whether what follows the first @ is still the password (`p@ss#1@host.example`): no dot in it, and a host at the end."""
    return (
        "." not in name
        and name.partition(":")[0] != "localhost"
        and re.match(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", behind) is not None
    )


def _hides_a_password(authority: str, behind: str) -> bool:
    """Whether `user:pa` before the first slash is a user with half a password, and not a host with its port."""
    _, colon, rest = authority.partition(":")
    if not colon or re.fullmatch(r"\d{1,5}", rest):
        return False
    return re.match(r"[A-Za-z0-9.\[-]", behind) is not None
