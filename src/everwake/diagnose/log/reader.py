"""Read a log in one pass: time that grows with its length, memory that does not.

A line is looked at as a whole only when it holds one of a few short words; of each kind of sign only the first and the last few
are kept. Which way the log runs (some dashboards copy the newest line first) is told by its times, else by the course of events.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

from everwake.diagnose.log._prefix import Peeled, peel, plain
from everwake.diagnose.log._recovery import dependency_of, without_past
from everwake.diagnose.log._speech import is_grave, own_words, without_noise
from everwake.diagnose.log._table import TABLE
from everwake.diagnose.log.signs import LogRead, Sign, SignKind

__all__ = ["GRAVE", "LINE_CHARS", "QUOTE_CHARS", "Reader", "bounded", "read"]

LINE_CHARS = 2_000
QUOTE_CHARS = 300
KEPT_CHARS = 1_800
FIRST_KEPT = 24
LAST_KEPT = 8
TOLD_MOST = 60
TAIL = 12
# Lines after the head of a settings error in which the variable and what is wrong with it are told.
HEAD_REACH = 40
LIST_REACH = 60

# Key of a harmless phrase in a line that calls itself an error: it is no sign of health.
GRAVE = "grave"
_ONLY_WARNINGS = ("deprecat", "futurewarning", "userwarning")
# The course of life: whoever speaks of it, it is no trouble.
_OF_LIFE = frozenset({
    SignKind.CONNECTING_DATABASE, SignKind.CONNECTING_REDIS, SignKind.DEPENDENCY_READY, SignKind.STARTING, SignKind.DEPLOYING,
    SignKind.BUILT, SignKind.LISTENING, SignKind.LISTENING_LOOPBACK, SignKind.PORT_FOUND, SignKind.LIVE, SignKind.SERVED,
    SignKind.HEALTHY, SignKind.SHUTTING_DOWN, SignKind.SIGTERM, SignKind.IDLING, SignKind.WAKING, SignKind.CYCLING,
    SignKind.NOISE, SignKind.SERVER_ERROR, SignKind.RESUMED,
})  # fmt: skip

_VARIABLE = re.compile(r"(?<![\w.-])[A-Z][A-Z0-9_]{2,63}(?![\w-])")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,63}\Z")
# Of a "for Settings" that a terminal's edge has cut in two.
_TAILS_OF_WORDS = frozenset({"gs", "ngs", "ings", "tings", "ttings", "ettings", "settings", "s", "Settings"})
_ITEM = re.compile(r"[-*•✗✕❌ ]{0,6}[\"'`]?([A-Z][A-Z0-9_]{2,63})[\"'`]?(?:, column \d{1,6})?(?:\s{0,2}[:=(-]|\Z)")
_PATH = re.compile(r"[\"']?path[\"']?:? {0,2}\[ {0,2}[\"'`]([A-Z][A-Z0-9_]{2,63})[\"'`]")
_SUMS = re.compile(r"invalid (?:environment|env\b)", re.IGNORECASE)
_QUOTED = re.compile(r"[\"'`]([A-Za-z][A-Za-z0-9_]{1,63})[\"'`]")
_PORT = re.compile(r"(?:[\w\].*]|^|\s):(\d{2,5})(?![\d:])|port\D{0,12}(\d{2,5})", re.IGNORECASE)
_EXIT = re.compile(r"(?:status|code:?|exited)[\s:=(\"]{0,4}(-?\d{1,3})(?!\d)", re.IGNORECASE)
# Upper-case words of messages that are no variables.
_WORDS = frozenset({
    "ERROR", "FATAL", "WARN", "WARNING", "INFO", "DEBUG", "CRITICAL", "JSON", "HTTP", "HTTPS", "POST", "RFC1738",
    "ECONNREFUSED", "ENOTFOUND",
    "ETIMEDOUT", "HEAD", "EADDRINUSE", "NOAUTH", "WRONGPASS", "CORS", "HTTP_HOST", "ERR_INVALID_URL", "ERR_INVALID_CHAR",
    "ERR_SOCKET_BAD_PORT",
    "YOUR", "PRIVATE", "ERR_INVALID_ARG_TYPE", "SQLSTATE", "MISSING", "NULL", "TRUE", "FALSE",
})  # fmt: skip
_STORE_KINDS = frozenset({SignKind.REDIS, SignKind.DATABASE, SignKind.SIBLING, SignKind.EXCEPTION, SignKind.EXTERNAL})
_STORE_PORTS = re.compile(r"(?::`?|', |port |\\s)(?:6379|5432|3306|27017|6543|1433|5672|9200)(?!\d)")
_FRAME = re.compile(r".{0,80}?(?:^|\s)(?:at (?:[\w.$<>\[\] ]{1,60}\(|file:|/|node:)|File \")")
_LOCAL = ("127.0.0.1", "localhost", "::1")
_LONE = re.compile(
    r"(?:@|://|`|\"|'|\(|host |host: |to |enotfound |eai_again |at |lookup )"
    r"([a-z][a-z0-9_-]{1,30})[`\"']?(?::`?\d{2,5}|:? |[`\"',)]|\Z)"
)
_SOUGHT = ("enotfound", "eai_again", "host name", "lookup")
# Names without a dot that a platform's private network does know (Render's).
_INTERNAL = ("dpg-", "red-", "srv-")
# A name without a dot is looked for by whoever has no such network.
_NO_SUCH_HOST = (
    "enotfound",
    "translate host",
    "eai_again",
    "getaddrinfo",
    "no such host",
    "lookup ",
    "name or service not known",
)
_SERVICE_NAMES = frozenset({
    "db", "redis", "postgres", "postgresql", "mysql", "mongo", "mongodb", "database", "cache", "mariadb", "pg", "keydb", "valkey",
    "rabbitmq", "redis-server", "redis-cache", "postgres-db", "mysql-db", "app-db",
})  # fmt: skip


def read(lines: Iterable[str], mask: Callable[[str], str]) -> LogRead:
    """The whole of a log. mask: hides what looks like a secret; what is kept has been through it."""
    reader = Reader(mask)
    for line in lines:
        reader.feed(line)
    return reader.done()


def bounded(line: str) -> str:
    """What is read of a line: all of it up to LINE_CHARS, else its beginning up to a blank, and its last 200 characters.

    A word that was cut may be half a secret, which nobody would know as one. What stands after it is only read.
    """
    if len(line) <= LINE_CHARS:
        return line
    return f"{line[:KEPT_CHARS].rpartition(' ')[0]:{KEPT_CHARS}}{line[-200:]}"


class Reader:
    """Takes a log line by line; `done` says what it comes to."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._n = 0
        self._totals: dict[SignKind, int] = {}
        self._kept: dict[SignKind, _Kept] = {}
        self._told: list[Sign] = []  # by settings errors that name variables on lines of their own
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._is_cut = False
        self._seen_first = ""
        self._environ = 0
        self._head: Sign | None = None
        self._head_left = 0
        self._field = ""
        self._is_told = False
        self._listing: Sign | None = None
        self._list_left = 0
        self._is_undefined = False

    def feed(self, line: str) -> None:
        """One line, with or without its end."""
        self._n += 1
        if len(line) > LINE_CHARS:
            line, self._is_cut = bounded(line), True
        self._tail.append(line[:KEPT_CHARS])
        low = line.lower()
        if "\x1b" in line:
            line = plain(line)
            low = line.lower()
        if self._head_left and self._of_settings_error(line, low):
            return
        if self._listing is not None and self._of_list(line):
            return
        if "http/" in low and (place := low.find('" ', low.find("http/"))) > 0 and low[place + 2 : place + 3] in "2345":
            # An access line: its path is anybody's text and is not read.
            first = low[place + 2]
            kind = SignKind.SERVED if first in "23" else SignKind.SERVER_ERROR if first == "5" else None
        else:
            if "environ[" in low or "getenv(" in low:
                self._environ = 4  # a KeyError within the next lines is about a variable
            elif self._environ:
                self._environ -= 1
            kind = _told(low)
            # A frame of a stack names files, and files are called after what they do.
            if kind is not None and _FRAME.match(line) and "decode_complex_value" not in low:
                kind = None
        if not self._seen_first:
            self._seen_first = line
        if kind is None:
            return
        self._totals[kind] = self._totals.get(kind, 0) + 1
        if (
            kind in (SignKind.BAD_VARIABLE, SignKind.MISSING_VARIABLE)
            and line.rstrip(" \t\r\n[{").endswith(":")
            and len(self._told) < TOLD_MOST
        ):
            self._listing, self._list_left = self._sign(kind, self._n, line[:KEPT_CHARS], is_environ=False), LIST_REACH
            self._told.append(self._listing)
            return
        if kind is SignKind.BAD_VARIABLE and "validation error" in low and len(self._told) < TOLD_MOST:
            self._end_head()
            self._head, self._head_left = self._sign(kind, self._n, line[:KEPT_CHARS], is_environ=False), HEAD_REACH
            return
        kept = self._kept.get(kind)
        if kept is None:
            kept = self._kept[kind] = _Kept()
        (kept.first if len(kept.first) < FIRST_KEPT else kept.last).append(
            (self._n, line[:KEPT_CHARS], self._environ > 0)
        )

    def _sign(self, kind: SignKind, n: int, line: str, *, is_environ: bool) -> Sign:
        peeled = peel(line)
        low = peeled.text.lower()
        kind, number = _settled(kind, peeled, line.lower(), is_environ=is_environ)
        key = ""
        if kind in (SignKind.MISSING_VARIABLE, SignKind.BAD_VARIABLE):
            key = _variable(peeled.text)
        elif kind is SignKind.ROUTING:
            words = low.partition("x-render-routing")[2].strip(" :\"'=,")[:60].split()
            key = words[0].strip("\"',") if words else ""
        elif kind is SignKind.COMPOSE_HOST:
            key = _lone_host(low) or ""
        elif kind is SignKind.DEPENDENCY_READY:
            key = dependency_of(low)
        elif kind is SignKind.NOISE and is_grave(line.lower()):
            key = GRAVE
        text = self._mask(peeled.text)[:QUOTE_CHARS]
        return Sign(kind=kind, n=n, text=text, at=peeled.at, group=peeled.group, key=key, number=number)

    def _of_settings_error(self, line: str, low: str) -> bool:
        """Whether the line belongs to a settings error whose head was seen: a variable's name, or what is wrong with it."""
        head = self._head
        assert head is not None
        self._head_left -= 1
        text = peel(line).text
        if _FIELD.match(text) and text not in _TAILS_OF_WORDS:
            self._field = text
            return True
        if "type=" in low or "field required" in low:
            kind = SignKind.MISSING_VARIABLE if "missing" in low or "field required" in low else SignKind.BAD_VARIABLE
            said = self._mask(f"{self._field}: {text}")[:QUOTE_CHARS]
            if len(self._told) < TOLD_MOST:
                self._told.append(replace(head, kind=kind, key=self._field.upper(), text=said))
            self._field, self._is_told = "", True
            return True
        if not text or "further information" in low or "errors.pydantic.dev" in low or text in _TAILS_OF_WORDS:
            return True
        if self._field and "==>" not in low:  # a message on a line of its own
            return True
        self._end_head()
        return False

    def _of_list(self, line: str) -> bool:
        """Whether the line is an item below "mistakes in the variables:" and the like, or stands indented below one."""
        head = self._listing
        assert head is not None
        self._list_left -= 1
        text = peel(line).text
        item = _ITEM.match(text)
        if item is not None and item[1] not in _WORDS and len(self._told) < TOLD_MOST:
            self._tell_item(head, item[1], text, is_missing=_says_missing(text))
        elif (field := _of_an_object(text)) and len(self._told) < TOLD_MOST:
            # An object to a mistake, as Zod prints them: what was received stands before the path that names the variable.
            self._tell_item(head, field, text, is_missing=self._is_undefined)
            self._is_undefined = False
        elif _says_missing(text) and TABLE.kind_of(text.lower()) in (None, SignKind.MISSING_VARIABLE):
            self._is_undefined = True
            newest = self._told[-1] if self._told else None
            if newest is not None and newest.key and newest.kind is SignKind.BAD_VARIABLE and self._n - newest.n <= 2:
                self._told[-1], self._is_undefined = replace(newest, kind=SignKind.MISSING_VARIABLE), False
        elif self._list_left <= 0 or TABLE.kind_of(text.lower()) is not None:
            self._listing = None
            return False
        return True

    def _tell_item(self, head: Sign, key: str, text: str, *, is_missing: bool) -> None:
        is_missing = is_missing or head.kind is SignKind.MISSING_VARIABLE
        kind = SignKind.MISSING_VARIABLE if is_missing else SignKind.BAD_VARIABLE
        if head in self._told and not head.key:
            self._told.remove(head)
        self._told.append(replace(head, kind=kind, n=self._n, key=key, text=self._mask(text)[:QUOTE_CHARS]))

    def _end_head(self) -> None:
        if self._head is not None and not self._is_told:
            self._told.append(self._head)
        self._head, self._head_left, self._field, self._is_told = None, 0, "", False

    def done(self) -> LogRead:
        """What the log comes to."""
        self._end_head()
        signs = list(self._told)
        counts: dict[SignKind, int] = {}
        for kind, kept in self._kept.items():
            found = [self._sign(kind, n, line, is_environ=flag) for n, line, flag in (*kept.first, *kept.last)]
            counts[kind] = counts.get(kind, 0) + self._totals[kind] - len(found)
            signs += found
        for sign in signs:
            counts[sign.kind] = counts.get(sign.kind, 0) + 1
        ordered = sorted(signs, key=lambda sign: sign.n)
        if _runs_backwards(ordered):
            ordered.reverse()
        elif all(sign.at is not None for sign in ordered):
            ordered.sort(key=lambda sign: sign.at)  # type: ignore[arg-type, return-value]
        ordered = _summed_up(without_past(ordered, counts), counts)
        return LogRead(
            lines=self._n,
            signs=tuple(replace(sign, seq=seq) for seq, sign in enumerate(ordered)),
            counts={kind: count for kind, count in counts.items() if count > 0},
            tail=tuple(self._mask(plain(line).strip())[:QUOTE_CHARS] for line in self._tail),
            is_cut=self._is_cut,
            platform=_platform(self._seen_first.lower(), ordered),
        )


class _Kept:
    """Raw lines of one kind: the first few, and the last few."""

    def __init__(self) -> None:
        self.first: list[tuple[int, str, bool]] = []
        self.last: deque[tuple[int, str, bool]] = deque(maxlen=LAST_KEPT)


def _told(low: str) -> SignKind | None:
    """What a lower-case line says of itself: a harmless phrase hides nothing beside it, and users' words are theirs."""
    kind = TABLE.kind_of(low)
    if kind is SignKind.NOISE:
        beside = TABLE.kind_of(without_noise(low), but=SignKind.NOISE)
        is_warning = any(word in low for word in _ONLY_WARNINGS)
        if beside is not None and not (is_warning and (beside in _OF_LIFE or beside is SignKind.EXCEPTION)):
            kind = beside
    if kind is not None and kind not in _OF_LIFE and (own := own_words(low)) is not low:
        return TABLE.kind_of(own)
    return kind


def _settled(kind: SignKind, peeled: Peeled, low: str, *, is_environ: bool) -> tuple[SignKind, int | None]:
    """The kind, made more particular by what stands around it, and the number that belongs to it."""
    number: int | None = None
    if kind in (SignKind.EXIT, SignKind.SIGTERM, SignKind.COMMAND_MISSING):
        found = _EXIT.search(peeled.text)
        number = int(found[1]) if found else None
    if kind is SignKind.EXIT:
        if number == 143 or number == -15:
            kind = SignKind.SIGTERM
        elif number in (137, -9):
            kind = SignKind.KILLED
        elif number == 134 or number == -6:
            kind = SignKind.HEAP
    elif kind in _STORE_KINDS and _is_refused_at_home(low):
        kind = SignKind.LOOPBACK_REFUSED
    if kind in (SignKind.REDIS, SignKind.DATABASE, SignKind.EXCEPTION, SignKind.SIBLING) and _lone_host(low):
        kind = SignKind.COMPOSE_HOST
    if kind in (SignKind.SIBLING, SignKind.EXCEPTION, SignKind.TLS) and _STORE_PORTS.search(low) and "refused" in low:
        kind = SignKind.REDIS if ":6379" in low else SignKind.DATABASE
    if kind is SignKind.MISSING_VARIABLE and "keyerror" in low:
        name = _QUOTED.search(peeled.text)
        if not is_environ and not (name and name[1].isupper()):
            kind = SignKind.EXCEPTION
    if kind is SignKind.EXCEPTION and is_environ:
        # The line before took a variable out of the environment, and this is what came of it.
        if "nonetype" in low:
            kind = SignKind.MISSING_VARIABLE
        elif "jsondecodeerror" in low or "valueerror" in low:
            kind = SignKind.BAD_VARIABLE
    if kind in (
        SignKind.LISTENING,
        SignKind.LISTENING_LOOPBACK,
        SignKind.PORT_FOUND,
        SignKind.HEALTH_FAILED,
        SignKind.REFUSED_BY_PROXY,
    ):
        found = _PORT.search(peeled.text)
        number = int(found[1] or found[2]) if found else None
    if kind is SignKind.BAD_VARIABLE and peeled.text.lstrip().startswith(("line ", "File ")):
        number = None
    return kind, number


def _is_refused_at_home(low: str) -> bool:
    """Whether a store is looked for on the program's own machine, in vain."""
    failed = any(
        one in low for one in ("refused", "111", "can't reach", "cannot", "could not", "econn", "failed", "unable")
    )
    return failed and any(one in low for one in _LOCAL) and _STORE_PORTS.search(low) is not None


def _lone_host(low: str) -> str | None:
    """A host name without a dot that is a store's usual name in a compose file, in a line about a failed connection."""
    for found in _LONE.finditer(low[:600]):
        before = low[max(0, found.start(1) - 30) : found.start(1)].rstrip("`\"' ")
        is_sought = before.endswith(_SOUGHT) and not found[1].startswith(_INTERNAL)
        if (is_sought or found[1] in _SERVICE_NAMES) and not before.endswith(
            ("user", "database", "role", "password for")
        ):
            around = low[found.start(1) : found.end() + 1]
            if ":" in around or "`" in around or any(word in low for word in _NO_SUCH_HOST):
                return found[1]
    return None


def _variable(text: str) -> str:
    """The variable that a line is about: a quoted field or an upper-case name."""
    quoted = _QUOTED.search(text)
    if quoted and (quoted[1].upper() == quoted[1] or "field" in text):
        return quoted[1].upper()
    for found in _VARIABLE.finditer(text):
        if found[0] not in _WORDS and ("_" in found[0] or len(found[0]) > 3):
            return found[0]
    return ""


def _says_missing(text: str) -> bool:
    low = text.lower()
    return any(word in low for word in ("missing", "not set", "required", "empty", "undefined", "not given"))


def _of_an_object(text: str) -> str:
    """The variable that a line `path: [ 'NAME' ]` names."""
    found = _PATH.match(text)
    return found[1] if found is not None and found[1] not in _WORDS else ""


def _summed_up(signs: list[Sign], counts: dict[SignKind, int]) -> list[Sign]:
    """Without lines that only sum up: "invalid environment variables", where every variable of it was told to be missing."""
    of_variables = [sign for sign in signs if sign.kind in (SignKind.MISSING_VARIABLE, SignKind.BAD_VARIABLE)]
    sums = [sign for sign in of_variables if not sign.key and _SUMS.search(sign.text)]
    told = [sign for sign in of_variables if sign not in sums]
    if not sums or not told or any(sign.kind is SignKind.BAD_VARIABLE for sign in told):
        return signs
    for sign in sums:
        counts[sign.kind] = counts.get(sign.kind, 0) - 1
        if counts[sign.kind] <= 0:
            del counts[sign.kind]
    return [sign for sign in signs if sign not in sums]


def _runs_backwards(signs: list[Sign]) -> bool:
    """Whether the newest line comes first: most times go down, or, where there are none, life runs from end to start."""
    times = [sign.at for sign in signs if sign.at is not None]
    if len(times) >= 2:
        down = sum(later < earlier for earlier, later in pairwise(times))
        up = sum(later > earlier for earlier, later in pairwise(times))
        return down > up
    place = {kind: n for n, kind in enumerate(sign.kind for sign in signs)}
    born = min((place[kind] for kind in (SignKind.DEPLOYING, SignKind.BUILT) if kind in place), default=None)
    live = place.get(SignKind.LIVE)
    return (
        born is not None and live is not None and live < born and SignKind.SHUTTING_DOWN not in place and len(signs) > 2
    )


def _platform(first: str, signs: list[Sign]) -> str:
    """Whose log it is, where that shows."""
    words = " ".join(sign.text.lower() for sign in signs[:20])
    if "heroku[" in first or "app[web." in first or "heroku" in words[:400]:
        return "heroku"
    if "==> " in first or "==> " in words or "onrender.com" in words:
        return "render"
    if "fly.io" in words or "/.fly/" in words or "runner[" in first or "flyctl" in words:
        return "fly"
    if "railway" in words:
        return "railway"
    if "revision '" in words:
        return "cloud_run"
    return ""
