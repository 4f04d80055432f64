"""What stands within the URL of a database or a Redis: user, password, path, parameters."""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

from everwake.doctor.case import Case, Edit, Example, Hit, Rule, Variable
from everwake.doctor.hosts import compose_name
from everwake.doctor.kinds import URLS, Kind, words_of
from everwake.doctor.urls import Url

__all__ = ["RULE"]

_DATABASES = frozenset({"postgres", "postgresql", "mysql", "mariadb", "postgis", "cockroachdb"})
# Parameters that one program understands and the library named here refuses (libpq 17 "Parameter Key Words"; asyncpg's connect;
# PyMySQL's Connection; redis-py's parse_url; read 2026-11).
_PRISMA_ONLY = frozenset(
    {"pgbouncer", "connection_limit", "pool_timeout", "schema", "socket_timeout", "statement_cache_size", "sslaccept"}
)
_LIBPQ_ONLY = frozenset(
    {
        "sslmode",
        "channel_binding",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "target_session_attrs",
        "gssencmode",
        "options",
        "connect_timeout",
        "application_name",
    }
)


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Each part of the URL; then the same where it is split over several variables."""
    url = variable.url
    if url is None:
        yield from _split(variable, case)
        return
    if url.user is not None:
        yield from _password(variable, url)
        yield from _user(url, case)
    yield from _path(variable, url)
    yield from _parameters(variable, url, case)


def _password(variable: Variable, url: Url) -> Iterator[Hit]:
    if not url.odd_password or url.password is None:
        return
    raw = url.password
    at, end = url.password_at, url.password_at + len(raw)
    written = quote(
        unquote(raw) if re.search(r"%[0-9A-Fa-f]{2}", raw) and not re.search(r"%(?![0-9A-Fa-f]{2})", raw) else raw,
        safe="",
    )
    edits: tuple[Edit, ...] = ((at, end, written),) if url.host and written != raw else ()
    yield Hit(
        problem="unencoded_password",
        fix="write its special characters as %XX (@ is %40, # is %23, / is %2F): readers end the password there",
        at=at,
        end=end,
        edits=edits,
        found="***",
        stops=False,
    )


def _user(url: Url, case: Case) -> Iterator[Hit]:
    host, user = url.hosts[0], url.user or ""
    start, end = url.user_at, url.user_at + len(user)
    if host.endswith(".pooler.supabase.com") and user and "." not in user:
        yield Hit(
            problem="pooler_user_missing_ref",
            fix="write the user as postgres.<project ref>: the pooler finds the project by it",
            at=start,
            end=end,
            found=user if user == "postgres" else "a user without project",
        )
    if url.scheme in ("redis", "rediss") and user not in ("", "default") and _has_only_default(host):
        yield Hit(
            problem="wrong_user",
            fix="leave the user out, or write default: this server knows no other",
            at=start,
            end=end,
            edits=((start, end, "default"),),
            found="another user",
        )


def _has_only_default(host: str) -> bool:
    return compose_name(host) or host.endswith(".upstash.io")


def _path(variable: Variable, url: Url) -> Iterator[Hit]:
    bare = not url.path.strip("/")
    if (
        url.scheme.split("+")[0] in _DATABASES
        and variable.kind in URLS
        and bare
        and "dbname" not in url.parameters
        and url.host
    ):
        yield Hit(
            problem="missing_path",
            fix="append the name of the database: /name",
            at=max(url.path_at - 1, 0),
            end=url.path_at,
            found="no name of a database",
            is_error=False,
        )
    if url.scheme not in ("http", "https") or not bare:
        return
    host, words = url.hosts[0], set(words_of(variable.key))
    if {"OPENAI", "LLM"} & words and {"BASE", "ENDPOINT"} & words and "azure" not in host and "AZURE" not in words:
        end = url.path_at
        yield Hit(
            problem="missing_path",
            fix="append /v1: the SDK adds only what comes after it",
            at=end - 1,
            end=end,
            edits=((end, len(variable.value), "/v1"),) if not url.query else (),
            found="no path",
        )
    elif host in ("hooks.slack.com", "discord.com", "discordapp.com") and "WEBHOOK" in words:
        yield Hit(
            problem="missing_path",
            fix="paste the whole address of the webhook, with its path",
            at=url.path_at - 1,
            end=url.path_at,
            found="no path",
        )


def _parameters(variable: Variable, url: Url, case: Case) -> Iterator[Hit]:
    reader = case.context.reader.lower()
    scheme, _, driver = url.scheme.partition("+")
    asked = url.parameters
    if scheme in ("postgres", "postgresql"):
        is_asyncpg = driver == "asyncpg" or "asyncpg" in reader
        libpq = bool(
            re.search(r"psycopg|libpq|sqlalchemy|django|pgx|\bpsql\b|sqlmodel|alembic", reader)
        ) or driver.startswith("psycopg")
        refused = (
            (_PRISMA_ONLY | (_LIBPQ_ONLY if driver == "asyncpg" else frozenset({"channel_binding", "gssencmode"})))
            if is_asyncpg
            else _PRISMA_ONLY | {"ssl"}
            if libpq
            else frozenset()
        )
    elif scheme == "mysql":
        refused = (
            frozenset({"ssl-mode", "sslmode", "ssl_mode"})
            if driver in ("pymysql", "aiomysql") or "pymysql" in reader
            else frozenset()
        )
    elif (
        url.scheme == "rediss"
        and asked.get("ssl_cert_reqs", "").startswith("cert_")
        and re.search(r"redis-py|redis\.asyncio|redis\.from_url|arq|rq\b", reader)
    ):
        refused = frozenset({"ssl_cert_reqs"})
    else:
        return
    for name in asked:
        if name in refused:
            found = re.compile(rf"(?:(?<=\?)|&){re.escape(name)}(?:=[^&#]*)?&?", re.IGNORECASE).search(
                variable.value, max(url.query_at - 1, 0)
            )
            at = url.query_at if found is None else found.start()
            hint = "write ssl=require instead" if name == "sslmode" and "asyncpg" in url.scheme else "leave it out"
            edits: tuple[Edit, ...] = ()
            if (
                name == "sslmode"
                and driver == "asyncpg"
                and found is not None
                and asked[name] in ("require", "prefer", "verify-full", "verify-ca")
            ):
                begin = variable.value.lower().index("sslmode", at)
                edits = ((begin, begin + len("sslmode"), "ssl"),)
            yield Hit(
                problem="unsupported_url_param",
                fix=f"{hint}: this library refuses {name}",
                at=at,
                end=at + len(name),
                edits=edits,
                found=name,
            )
            return


def _split(variable: Variable, case: Case) -> Iterator[Hit]:
    """DB_USER beside DB_HOST, REDIS_USER beside REDIS_HOST."""
    if variable.kind is not Kind.USER:
        return
    family, value = words_of(variable.key)[:1], variable.value.strip()
    host = next(
        (
            each.strip().lower()
            for key, each in case.values.items()
            if words_of(key)[:1] == family and words_of(key)[-1:] in (("HOST",), ("HOSTNAME",), ("SERVER",))
        ),
        "",
    )
    if host.endswith(".pooler.supabase.com") and "." not in value:
        yield Hit(
            problem="pooler_user_missing_ref",
            fix="write the user as postgres.<project ref>: the pooler finds the project by it",
            end=len(variable.value),
        )
    if family in (("REDIS",), ("VALKEY",)) and value not in ("", "default") and host and _has_only_default(host):
        yield Hit(
            problem="wrong_user",
            fix="leave it out, or write default: this server knows no other user",
            end=len(variable.value),
            found="another user",
        )


RULE = Rule(
    name="databases",
    about="A database's URL: a password that breaks it, a user its host does not know, no name, a parameter that is refused.",
    problems=("unencoded_password", "pooler_user_missing_ref", "wrong_user", "missing_path", "unsupported_url_param"),
    look=look,
    order=52,
    examples=(
        Example(("DB_URL unencoded_password",), {"DB_URL": "postgresql://app:p@ss#1@db.example.com/app"}),
        Example(("DB_URL unencoded_password",), {"DB_URL": "mysql://app:pa/ss@db.example.com/app"}),
        Example(("DB_URL unencoded_password",), {"DB_URL": "mongodb://app:50%off@db.example.com/app"}),
        Example(
            ("DB_URL pooler_user_missing_ref",),
            {"DB_URL": "postgresql://postgres:pw1x@aws-0-eu-west-1.pooler.supabase.com:6543/postgres"},
        ),
        Example(
            ("DB_USER pooler_user_missing_ref",),
            {"DB_USER": "postgres", "DB_HOST": "aws-0-eu-west-1.pooler.supabase.com"},
        ),
        Example(("REDIS_USERNAME wrong_user",), {"REDIS_USERNAME": "app", "REDIS_HOST": "redis"}),
        Example(("DB_URL missing_path",), {"DB_URL": "postgresql://app:pw1x@db.example.com:5432"}),
        Example(("OPENAI_BASE_URL missing_path",), {"OPENAI_BASE_URL": "http://localhost:11434"}),
        Example(
            ("DB_URL unsupported_url_param",),
            {"DB_URL": "postgresql+asyncpg://app:pw1x@db.example.com/app?sslmode=require"},
        ),
        Example(
            ("DB_URL unsupported_url_param",),
            {"DB_URL": "postgresql://app:pw1x@db.example.com/app?pgbouncer=true"},
            context={"reader": "psycopg"},
        ),
        Example(
            ("DB_URL unsupported_url_param",),
            {"DB_URL": "mysql+pymysql://app:pw1x@db.example.com/app?ssl-mode=REQUIRED"},
        ),
        Example(
            (),
            {
                "DB_URL": "postgresql://app:p%40ss@db.example.com/app?sslmode=require",
                "BLOG_URL": "https://medium.com/@ada",
            },
        ),
        Example(
            (),
            {"DB_URL": "postgresql://app:pw1x@db.example.com/app?pgbouncer=true&connection_limit=1"},
            context={"reader": "Prisma"},
        ),
        Example(
            (), {"OPENAI_BASE_URL": "https://api.openai.com/v1", "REDIS_USERNAME": "app", "REDIS_HOST": "r.example.com"}
        ),
        Example((), {"MONGO_URI": "mongodb+srv://app:pw1x@c0.example.mongodb.net/"}),
    ),
)
