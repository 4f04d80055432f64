"""Connections that work only with TLS, or only without."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.hosts import INTERNAL, TLS_POSTGRES, TLS_REDIS, compose_name, is_loopback
from everwake.doctor.kinds import Kind, words_of

__all__ = ["RULE"]

_ON = re.compile(r"\s*(?:true|1|yes|on|require|required|rediss|tls|ssl|verify-\w+)\s*", re.IGNORECASE)
_TLS_PARAMETERS = frozenset(
    {"sslmode", "ssl", "sslrootcert", "sslaccept", "ssl-mode", "tls", "sslcert", "ssl_mode", "usessl"}
)


def _plain_only(host: str) -> bool:
    """Whether the server speaks without TLS there: a private network of a platform or of one compose file, this machine."""
    return bool(
        re.fullmatch(r"fly-.*\.upstash\.io", host)
        or INTERNAL.fullmatch(host)
        or compose_name(host)
        or is_loopback(host)
    )


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """URL and host of a Redis or a database."""
    url = variable.url
    if url is None:
        if variable.kind is Kind.HOST and {"REDIS", "VALKEY", "UPSTASH", "KV", "CACHE"} & set(words_of(variable.key)):
            yield from _bare_host(variable, case)
        return
    host = url.hosts[0]
    end = len(url.scheme)
    if url.scheme == "redis" and (
        TLS_REDIS.fullmatch(host) or (host.endswith(".redis.cache.windows.net") and url.port == "6380")
    ):
        if (
            url.parameters.get("tls") != "true"
            and url.parameters.get("ssl") != "true"
            and not _tls_is_on(variable.key, case)
        ):
            yield Hit(
                problem="tls_required",
                fix="write rediss:// : this host answers over TLS only",
                at=0,
                end=end,
                edits=((0, end, "rediss"),),
                found="redis://",
            )
    elif url.scheme == "rediss" and _plain_only(host) and (not is_loopback(host) or url.port in ("", "6379")):
        yield Hit(
            problem="tls_not_supported",
            fix="write redis:// : this host speaks Redis without TLS",
            at=0,
            end=end,
            edits=((0, end, "redis"),),
            found="rediss://",
        )
    elif url.scheme in ("https", "wss") and re.fullmatch(
        r".*\.railway\.internal|.*\.flycast|.*\.svc(?:\.cluster\.local)?", host
    ):
        plain = "http" if url.scheme == "https" else "ws"
        yield Hit(
            problem="tls_not_supported",
            fix=f"write {plain}:// : within the platform's private network there is no TLS",
            at=0,
            end=end,
            edits=((0, end, plain),),
            found=f"{url.scheme}://",
        )
    elif url.scheme.split("+")[0] in ("postgres", "postgresql", "mysql", "cockroachdb"):
        yield from _database(variable, case)


def _database(variable: Variable, case: Case) -> Iterator[Hit]:
    url = variable.url
    assert url is not None
    host, asked = url.hosts[0], url.parameters
    wants = next((asked[name] for name in ("sslmode", "ssl", "ssl-mode", "sslaccept") if name in asked), None)
    if TLS_POSTGRES.fullmatch(host) and not set(asked) & _TLS_PARAMETERS and not _tls_is_on(variable.key, case):
        word = "ssl=require" if "asyncpg" in url.scheme else "sslmode=require"
        at = len(variable.value)
        sign = "&" if url.query else "" if variable.value.endswith("?") else "?"
        edits = (
            ((at, at, f"{sign}{word}"),)
            if "#" not in variable.value[url.path_at :] and (url.path.strip("/") or url.query)
            else ()
        )
        yield Hit(
            problem="missing_sslmode",
            fix=f"append ?{word}: this host refuses connections without TLS",
            at=max(at - 1, 0),
            end=at,
            edits=edits,
            found="no sslmode",
        )
    elif TLS_POSTGRES.fullmatch(host) and wants in ("disable", "false", "0", "allow"):
        yield Hit(
            problem="tls_required",
            fix="write sslmode=require: this host refuses connections without TLS",
            at=url.query_at,
            end=len(variable.value),
            found="TLS switched off",
        )
    elif (
        _plain_only(host)
        and wants in ("require", "verify-ca", "verify-full", "true", "required", "strict")
        and not is_loopback(host)
    ):
        yield Hit(
            problem="tls_not_supported",
            fix="leave sslmode out: within the private network the server has no TLS",
            at=url.query_at,
            end=len(variable.value),
            found="TLS demanded",
        )


def _bare_host(variable: Variable, case: Case) -> Iterator[Hit]:
    host = variable.value.strip().lower()
    on = _tls_is_on(variable.key, case)
    if TLS_REDIS.fullmatch(host) and not on:
        yield Hit(
            problem="tls_required",
            fix="turn TLS on for this host (a rediss:// URL, or the program's variable such as REDIS_TLS=true)",
            end=len(variable.value),
        )
    elif _plain_only(host) and on and not is_loopback(host):
        yield Hit(
            problem="tls_not_supported",
            fix="turn TLS off for this host: it speaks Redis without it",
            end=len(variable.value),
        )


def _tls_is_on(key: str, case: Case) -> bool:
    """Whether a variable beside it, of the same family, switches TLS on."""
    family = words_of(key)[:1]
    for name, value in case.values.items():
        words = words_of(name)
        if (
            words[:1] == family
            and {"TLS", "SSL", "SCHEME", "PROTOCOL", "SSLMODE", "SECURE"} & set(words)
            and _ON.fullmatch(value)
        ):
            return True
        if name in ("PGSSLMODE", "DB_SSL", "DATABASE_SSL", "PGSSL") and _ON.fullmatch(value) and family != ("REDIS",):
            return True
    return False


RULE = Rule(
    name="tls",
    about="A server that answers over TLS only, or only without it, addressed the other way.",
    problems=("tls_required", "tls_not_supported", "missing_sslmode"),
    look=look,
    order=42,
    examples=(
        Example(("REDIS_URL tls_required",), {"REDIS_URL": "redis://default:pw1x@eu1-calm-owl-31234.upstash.io:6379"}),
        Example(
            ("CELERY_BROKER_URL tls_required",),
            {"CELERY_BROKER_URL": "redis://default:pw1x@a.db.ondigitalocean.com:25061"},
        ),
        Example(("REDIS_HOST tls_required",), {"REDIS_HOST": "eu1-calm-owl-31234.upstash.io", "REDIS_PORT": "6379"}),
        Example(("REDIS_URL tls_not_supported",), {"REDIS_URL": "rediss://red-abc123def456ghi789jk:6379"}),
        Example(("REDIS_URL tls_not_supported",), {"REDIS_URL": "rediss://default:pw1x@fly-owl.upstash.io:6379"}),
        Example(
            ("DATABASE_URL missing_sslmode",),
            {"DATABASE_URL": "postgresql://app:pw1x@ep-a-1.eu-west-2.aws.neon.tech/app"},
        ),
        Example(
            ("DATABASE_URL tls_not_supported",),
            {"DATABASE_URL": "postgresql://app:pw1x@postgres.railway.internal:5432/app?sslmode=require"},
        ),
        Example((), {"REDIS_URL": "rediss://default:pw1x@eu1-calm-owl-31234.upstash.io:6379"}),
        Example((), {"REDIS_HOST": "eu1-calm-owl-31234.upstash.io", "REDIS_TLS": "true"}),
        Example((), {"REDIS_URL": "redis://default:pw1x@fly-owl.upstash.io:6379"}),
        Example((), {"DATABASE_URL": "postgresql://app:pw1x@ep-a-1.eu-west-2.aws.neon.tech/app?sslmode=require"}),
    ),
)
