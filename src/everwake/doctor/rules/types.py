"""Values that their reader cannot turn into what it needs."""

import re
from collections.abc import Callable, Iterator, Mapping

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.kinds import URLS, Kind, words_of
from everwake.doctor.urls import Url
from everwake.doctor.words import nearest

__all__ = ["RULE"]

_BOOLEANS = ("true", "false", "1", "0", "yes", "no", "on", "off", "y", "n", "t", "f")
# Of Python, Node's loggers (pino, winston), Go, Rust, Java, nginx and gunicorn.
_LEVELS = (
    "debug", "info", "warning", "warn", "error", "critical", "fatal", "trace", "notset", "notice", "verbose", "silly",
    "http", "silent",
    "off", "none", "all", "alert", "emerg", "emergency", "panic", "crit", "err", "success", "finest", "finer", "fine",
    "config", "severe", "log",
)  # fmt: skip
_SWITCHES = frozenset({"ENABLE", "ENABLED", "DISABLE", "DISABLED"})
# A key as its maker begins it, and a blank behind it.
_KEY_AND_MORE = re.compile(
    r"(?:(?:sk|rk|pk|gh[pousr]|xox[abp]|hf|glpat|npm|rnd|re|whsec|gsk)[-_]|SG\.|AKIA|AIza|eyJ)[\w.-]{8,400}(\s+)\S"
)
# What programs write where they had nothing: a variable that was not set, put into a text.
_NOTHING = re.compile(r"undefined|\[object Object\]|NaN", re.IGNORECASE)
# Whose address is a host; of others (file, memory, rpc, ssh) it need not be one, nor a port what follows a colon.
_WITH_HOST = frozenset(
    {
        "http",
        "https",
        "ws",
        "wss",
        "redis",
        "rediss",
        "postgres",
        "postgresql",
        "mysql",
        "mariadb",
        "mongodb",
        "smtp",
        "smtps",
    }
)
# Two lines a year (nodejs.org/en/about/previous-releases: 25 runs, 26 comes in April 2026), with some years to come.
_NEWEST_NODE = 40
_PREFIXES = {
    "OPENAI_API_KEY": (
        ("sk-ant-", "Anthropic"),
        ("sk-or-", "OpenRouter"),
        ("gsk_", "Groq"),
        ("hf_", "Hugging Face"),
        ("AIza", "Google"),
    ),
    "ANTHROPIC_API_KEY": (("sk-proj-", "OpenAI"), ("gsk_", "Groq"), ("AIza", "Google")),
    "STRIPE_SECRET_KEY": (("pk_", "Stripe's publishable key"), ("whsec_", "Stripe's webhook secret")),
    "STRIPE_PUBLISHABLE_KEY": (("sk_", "Stripe's secret key"),),
    "STRIPE_WEBHOOK_SECRET": (("sk_", "Stripe's secret key"), ("pk_", "Stripe's publishable key")),
}


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Whether the text can become a value of its kind."""
    value, kind = variable.value.strip(), variable.kind
    if not value or re.match(r"[$%{]", value):
        return
    nothing = _nothing(variable)
    if nothing is not None:
        yield nothing
        return
    declared = variable.declared
    if declared is not None and declared.choices and value not in declared.choices:
        near = nearest(value.lower(), tuple(one.lower() for one in declared.choices), 2)
        chosen = next((one for one in declared.choices if one.lower() == near), None)
        edits = ((0, len(variable.value), chosen),) if chosen is not None and chosen.lower() == value.lower() else ()
        yield Hit(
            problem="bad_type",
            fix=f"write {chosen or ' or '.join(declared.choices[:8])}",
            end=len(variable.value),
            edits=edits,
            is_error=True,
        )
        return
    said = _KINDS[kind](value) if kind in _KINDS else None
    if kind is Kind.BOOLEAN and variable.declared is None and not case.context.type:
        near = nearest(value.lower(), ("true", "false"), 2 if len(value) > 3 else 1)
        said = f"write {near}" if near is not None and value.lower() not in _BOOLEANS else None
        if said is None and (first := re.match(r"(true|false|yes|no|on|off)\s+\S", value, re.IGNORECASE)) is not None:
            said = f"write {first[1].lower()} alone"
    elif kind is Kind.TEXT and {*words_of(variable.key)[:1], *words_of(variable.key)[-1:]} & _SWITCHES:
        near = nearest(value.lower(), ("true", "false"), 1) if value.lower() not in _BOOLEANS else None
        said = f"write {near}" if near is not None else None
    if said is not None:
        edits = (
            ((0, len(variable.value), said.removeprefix("write ")),) if said in ("write true", "write false") else ()
        )
        yield Hit(problem="bad_type", fix=said, end=len(variable.value), edits=edits, is_error=True)
    else:
        yield from _within(variable, value)
    yield from _foreign(variable, case)
    yield from _two_words(variable)


def _within(variable: Variable, value: str) -> Iterator[Hit]:
    """A number outside what is declared."""
    declared = variable.declared
    if (
        declared is None
        or declared.least is None
        or declared.most is None
        or not re.fullmatch(r"[+-]?\d{1,15}(?:\.\d{1,9})?", value)
    ):
        return
    if not declared.least <= float(value) <= declared.most:
        fix = f"write a number from {declared.least:g} to {declared.most:g}"
        yield Hit(problem="bad_type", fix=fix, end=len(variable.value), is_error=True)


def _nothing(variable: Variable) -> Hit | None:
    value, url = variable.value.strip(), variable.url
    if variable.kind in URLS and re.match(r"(?:undefined[/:]|null(?:/|:(?!//)))", value):
        return Hit(
            problem="bad_type",
            fix="set the variable that this was made from: it had no value",
            at=0,
            end=9,
            is_error=True,
            stops=True,
            found="undefined",
        )
    twice = (
        re.search(r"(?<=[A-Za-z0-9/])(?:https?|wss?|rediss?|postgres(?:ql)?|mongodb)://", value)
        if url is not None
        else None
    )
    if (
        url is not None
        and twice is not None
        and variable.kind in URLS
        and twice.start() > url.host_at
        and (twice.start() <= url.path_at or value[: twice.start()].rstrip("/") == value[twice.start() :].rstrip("/"))
    ):
        whole = value[: twice.start()]
        same = whole.rstrip("/") == value[twice.start() :].rstrip("/")
        lead = variable.value.find(value)
        return Hit(
            problem="bad_type",
            fix="keep one address: two are written together",
            at=lead + twice.start(),
            end=lead + len(value),
            edits=((lead + twice.start(), lead + len(value), ""),) if same else (),
            is_error=True,
            stops=True,
            found="two addresses",
        )
    if _NOTHING.fullmatch(value) or (
        value.lower() in ("null", "none") and variable.kind in URLS | {Kind.PORT, Kind.HOST, Kind.SECRET}
    ):
        return Hit(
            problem="bad_type",
            fix="set the variable that it was made from: the program that wrote this had nothing there",
            end=len(variable.value),
            is_error=True,
            stops=True,
        )
    if url is not None and (
        re.fullmatch(r"undefined|null|none|nan", url.hosts[0])
        or re.search(r"(?:^|/)undefined(?:/|$)", url.path)
        or url.port in ("undefined", "null", "None")
    ):
        at, end = (
            (url.host_at, url.host_at + len(url.host))
            if re.fullmatch(r"undefined|null|none|nan", url.hosts[0])
            else (url.port_at, len(variable.value))
        )
        return Hit(
            problem="bad_type",
            fix="set the variable that this part was made from: it had no value",
            at=at,
            end=end,
            is_error=True,
            stops=True,
            found="undefined",
        )
    if (
        url is not None
        and (
            not url.host
            or re.search(r"\s", variable.value)
            or (url.port and not re.fullmatch(r"\d{1,5}", url.port) and "$" not in url.port)
            or _has_two_ports(url)
        )
        and variable.kind in URLS
    ):
        if url.scheme.partition("+")[0] not in _WITH_HOST or url.odd_password:
            return None
        if not url.host and url.parameters.get("host"):
            return None
        what = (
            "the host is missing"
            if not url.host
            else "a blank is in it"
            if re.search(r"\s", variable.value)
            else "two ports are in it"
            if _has_two_ports(url)
            else "the port is no number"
        )
        return Hit(
            problem="bad_type",
            fix=f"write the URL anew: {what}",
            end=len(variable.value),
            is_error=True,
            stops=True,
            found=what,
        )
    return None


def _has_two_ports(url: Url) -> bool:
    """`api.example.com:8000:8000`; more than one colon otherwise is an address of IPv6, or hosts in a row."""
    return bool(re.fullmatch(r"[A-Za-z0-9.-]*[A-Za-z.-][A-Za-z0-9.-]*:\d{1,5}", url.host)) and bool(url.port)


def _node(value: str) -> str | None:
    said = _node_form(value)
    major = re.match(r"v?(\d{1,9})(?:\.|$)", value)
    if said is None and major is not None and int(major[1]) > _NEWEST_NODE:
        return "write a version of Node that there is, such as 22"
    return said


def _boolean(value: str) -> str | None:
    if value.lower() in _BOOLEANS:
        return None
    return f"write {nearest(value.lower(), ('true', 'false'), 2) or 'true or false'}"


def _level(value: str) -> str | None:
    if re.fullmatch(r"\d{1,3}", value) or value.lower() in _LEVELS or not re.fullmatch(r"\w{1,20}", value):
        return None
    near = nearest(value.lower(), _LEVELS, 2)
    return f"write {near.upper() if value.isupper() else near}" if near else "write debug, info, warning or error"


def _matching(pattern: str, fix: str) -> Callable[[str], str | None]:
    return lambda value: None if re.fullmatch(pattern, value, re.IGNORECASE) else fix


_node_form = _matching(
    r"[v~^>=<\s]*\d+(?:\.(?:\d+|x|\*)){0,2}(?:\s*[<>|&-].*)?|lts(?:/[\w*]+)?|latest|node|current",
    "write a version of Node, such as 22 or 22.11.0",
)
_KINDS: Mapping[Kind, Callable[[str], str | None]] = {
    Kind.BOOLEAN: _boolean,
    Kind.LOG_LEVEL: _level,
    Kind.INTEGER: _matching(r"[+-]?\d[\d_]{0,30}", "write a whole number, digits only"),
    Kind.FLOAT: _matching(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", "write a number"),
    Kind.DURATION: _matching(
        r"[\dPTHMSDW.:\s]+|\d+(?:\.\d+)?\s*(?:ms|s|sec|m|min|h|d|w|y|days?|hours?|minutes?|seconds?)",
        "write a length of time, such as 30s or 24h",
    ),
    Kind.NODE_VERSION: _node,
    Kind.EMAIL: _matching(r".*[^\s@]@[^\s@].*|[^@.]*", "write an address: name@host"),
}


def _foreign(variable: Variable, case: Case) -> Iterator[Hit]:
    """A key of another maker, known by its beginning."""
    known = _PREFIXES.get(variable.key.upper())
    if known is None or any(name.endswith(("BASE_URL", "API_BASE")) for name in case.values):
        return
    for prefix, whose in known:
        if variable.value.strip().startswith(prefix):
            yield Hit(
                problem="bad_type",
                fix=f"put the right key there: this one begins as {whose} makes them",
                at=0,
                end=len(prefix),
                is_error=True,
                found=prefix,
            )


def _two_words(variable: Variable) -> Iterator[Hit]:
    """A key with something behind it, which its maker refuses."""
    found = _KEY_AND_MORE.match(variable.value) if variable.kind is Kind.API_KEY else None
    if found is not None and "\n" not in found[1]:
        yield Hit(
            problem="bad_type", fix="keep the key alone: what stands behind the blank is no part of it", at=found.start(1),
            end=found.end(1), is_error=True, found="a blank",
        )  # fmt: skip


RULE = Rule(
    name="types",
    about="A value that cannot become what its reader needs: a boolean, a number, a level, a URL with all its parts.",
    problems=("bad_type",),
    look=look,
    order=38,
    examples=(
        Example(("DEBUG bad_type",), {"DEBUG": "ture"}),
        Example(("DEBUG bad_type",), {"DEBUG": "yes please"}),
        Example(("ENABLE_CACHE bad_type",), {"ENABLE_CACHE": "ture"}),
        Example(("WEB_CONCURRENCY bad_type",), {"WEB_CONCURRENCY": "two"}),
        Example(("STRIPE_SECRET_KEY bad_type",), {"STRIPE_SECRET_KEY": "sk_live_" + "4eC39HqLyjWDa extra"}),
        Example(
            (),
            {"DEBUG": "express:* app", "ENABLED_MODULES": "auth", "WEB_CONCURRENCY": "4"},
        ),
        Example(("CACHE bad_type",), {"CACHE": "sometimes"}, context={"type": "bool"}),
        Example(("WORKERS bad_type",), {"WORKERS": "two"}, context={"type": "int"}),
        Example(("LOG_LEVEL bad_type",), {"LOG_LEVEL": "inof"}),
        Example(("API_URL bad_type",), {"API_URL": "https://undefined"}),
        Example(("API_URL bad_type",), {"API_URL": "https://api.example.com:undefined/v1"}),
        Example(("SESSION_SECRET bad_type",), {"SESSION_SECRET": "undefined"}),
        Example(("STRIPE_SECRET_KEY bad_type",), {"STRIPE_SECRET_KEY": "pk_test_1a2b3c"}),
        Example(("NODE_VERSION bad_type",), {"NODE_VERSION": "99"}),
        Example(("API_URL bad_type",), {"API_URL": "https://api.example.comhttps://api.example.com"}),
        Example(("API_URL bad_type",), {"API_URL": "https://api.example.com:8000:8000"}),
        Example(
            (),
            {
                "NODE_VERSION": "22.11.0",
                "API_URL": "http://[::1]:8000",
                "ARCHIVE_URL": "https://web.archive.org/web/https://a.example.com",
                "LOGIN_URL": "https://a.example.com/in?next=https://a.example.com",
            },
        ),
        Example((), {"DEBUG": "0", "LOG_LEVEL": "WARN", "WORKERS": "2", "REDIS_PASSWORD": "null"}),
        Example((), {"DATABASE_URL": "sqlite:///./data.db", "DB_URL": "postgresql:///app?host=/var/run/postgresql"}),
        Example((), {"OPENAI_API_KEY": "gsk_1a2b3c", "OPENAI_BASE_URL": "https://api.groq.com/openai/v1"}),
    ),
)
