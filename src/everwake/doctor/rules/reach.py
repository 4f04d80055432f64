"""Hosts that exist only elsewhere: on a developer's machine, in a compose file, in somebody's private network."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.context import HOSTED
from everwake.doctor.hosts import INTERNAL, compose_name, is_loopback, is_private, platform_domain
from everwake.doctor.kinds import URLS, Kind, words_of
from everwake.doctor.rules._entries import LISTS, addresses
from everwake.doctor.urls import Url, dissect

__all__ = ["RULE"]

# What runs beside the program on the same machine on purpose, or is reached through it.
_BESIDE = frozenset(
    {
        "OTEL",
        "OTLP",
        "STATSD",
        "DD",
        "DATADOG",
        "AGENT",
        "SIDECAR",
        "DAPR",
        "METADATA",
        "NO",
        "PROXY",
        "TUNNEL",
        "COLLECTOR",
        "SUPERVISOR",
        # the service itself, as it asks itself
        "SELF",
        "OWN",
        "HEALTH",
        "HEALTHCHECK",
        "PING",
        "KEEPALIVE",
        "ALIVE",
        "LOCAL",
        # what it shows to whoever stands beside it, and agents of the machine
        "METRICS",
        "PROMETHEUS",
        "EXPORTER",
        "VAULT",
        "CONSUL",
        "NOMAD",
        "ENVOY",
    }
)
# Platforms that route the usual ports only, whatever the service listens on (their manuals, read 2026-11).
_USUAL_PORTS_ONLY = frozenset({
    "onrender.com", "up.railway.app", "herokuapp.com", "koyeb.app", "vercel.app", "netlify.app", "hf.space", "pages.dev",
    "workers.dev", "web.app", "firebaseapp.com", "run.app", "azurewebsites.net", "github.io", "appspot.com", "streamlit.app",
})  # fmt: skip


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """The host of each address, where the program that reads it is in production."""
    if _BESIDE & set(words_of(variable.key)) or case.is_development:
        return
    if variable.kind is Kind.HOST and "://" not in variable.value:
        host = re.sub(r":\d+$", "", variable.value.strip())
        if host == "0.0.0.0" and "OLLAMA" in words_of(variable.key):  # noqa: S104
            return  # where it listens, and where its clients look
        yield from _host(variable, host, variable.value.find(host), case)
        return
    if variable.kind not in URLS | LISTS and "://" not in variable.value[:40]:
        return
    if {"ASPNETCORE", "LISTEN", "BIND"} & set(words_of(variable.key)):
        return  # where it listens
    found = []
    texts = list(addresses(variable))
    for text, at in texts:
        url = dissect(text)
        if url is not None:
            yield from _port(variable, url, at)
            found += [hit for host in url.hosts for hit in _host(variable, host, at + url.host_at, case)]
        elif (bare := re.match(r"(localhost|127\.0\.0\.1)(?::\d+)?(?=/|$)", text)) is not None:
            found += _host(variable, bare[1], at, case)
    if variable.kind in LISTS and len(found) < len(texts):
        return  # a developer's own origin beside the real ones hurts nobody
    yield from found[:1]


def _port(variable: Variable, url: Url, at: int) -> Iterator[Hit]:
    """A port behind a platform's public name: the one the service listens on, which nobody outside reaches."""
    if platform_domain(url.hosts[0]) not in _USUAL_PORTS_ONLY or url.scheme not in ("http", "https", "ws", "wss"):
        return
    if not re.fullmatch(r"[0-9]{1,5}", url.port) or url.port in ("80", "443"):
        return
    start, end = at + url.port_at - 1, at + url.port_at + len(url.port)
    yield Hit(
        problem="wrong_port",
        fix="leave the port out: the platform takes requests on the usual one and passes them on",
        at=start,
        end=end,
        edits=((start, end, ""),),
        is_error=True,
    )


def _host(variable: Variable, host: str, at: int, case: Case) -> Iterator[Hit]:
    end = at + len(host)
    if re.fullmatch(r"db\.[a-z0-9]{8,40}\.supabase\.co", host):
        yield Hit(
            problem="ipv6_only_host",
            fix="use the pooler's host (Supabase: Connect, session pooler): this one has an IPv6 address only",
            at=at,
            end=end,
        )
        return
    if not case.is_production or case.context.platform == "sim":
        return
    platform = case.context.runs_on
    if is_loopback(host):
        if platform == "docker" and host.endswith("docker.internal"):
            return
        what = (
            "the hosted database"
            if variable.kind not in (Kind.HTTP_URL, Kind.WEBSOCKET_URL, *LISTS)
            else "the public address of what is meant"
        )
        yield Hit(
            problem="localhost_in_production", fix=f"use {what}: localhost is the instance itself", at=at, end=end
        )
    elif (is_private(host) and (platform in HOSTED or host.startswith("192.168."))) or host.endswith(
        (".local", ".lan")
    ):
        if INTERNAL.fullmatch(host) and host.endswith(".svc.cluster.local"):
            return
        yield Hit(
            problem="localhost_in_production",
            fix="use an address that can be reached from where this runs: this one is of a private network",
            at=at,
            end=end,
        )
    elif _of_compose(host, case):
        yield Hit(
            problem="compose_hostname",
            fix="use the real host: this name exists only within a compose file",
            at=at,
            end=end,
        )


def _of_compose(host: str, case: Case) -> bool:
    if case.is_compose or "." in host or INTERNAL.fullmatch(host) or not host:
        return False
    names = {re.sub(r"^\w+://", "", url).split(".")[0].split(":")[0] for url in case.context.siblings.values()}
    return (
        compose_name(host)
        and host not in names
        and not (case.context.runs_on == "render" and "-" in host and host in case.context.siblings)
    )


RULE = Rule(
    name="reach",
    about="A host that in production is nobody's: of a developer's machine, a compose file, a private network; a port in vain.",
    problems=("localhost_in_production", "compose_hostname", "ipv6_only_host", "wrong_port"),
    look=look,
    order=44,
    examples=(
        Example(
            ("REDIS_URL localhost_in_production",),
            {"REDIS_URL": "redis://127.0.0.1:6379/0"},
            context={"environment": "production"},
        ),
        Example(("DB_HOST localhost_in_production",), {"DB_HOST": "localhost"}, context={"platform": "railway"}),
        Example(
            ("API_URL localhost_in_production",), {"API_URL": "http://192.168.1.20:8000", "NODE_ENV": "production"}
        ),
        Example(
            ("CORS_ORIGINS localhost_in_production",),
            {"CORS_ORIGINS": "http://localhost:3000"},
            context={"environment": "production"},
        ),
        Example(
            ("MONGO_URL compose_hostname",),
            {"MONGO_URL": "mongodb://mongo:27017/app"},
            context={"environment": "production"},
        ),
        Example(("REDIS_HOST compose_hostname",), {"REDIS_HOST": "redis"}, context={"platform": "render"}),
        Example(
            ("DB_URL ipv6_only_host",),
            {"DB_URL": "postgresql://postgres:pw1x@db.abcdefghijklmnop.supabase.co:5432/postgres"},
        ),
        Example(("API_URL wrong_port",), {"API_URL": "https://shop-api.onrender.com:8000/v1"}),
        Example((), {"API_URL": "https://shop-api.onrender.com:443", "OTHER_URL": "https://shop.fly.dev:8443"}),
        Example((), {"REDIS_URL": "redis://127.0.0.1:7001"}, context={"platform": "sim", "environment": "production"}),
        Example((), {"REDIS_URL": "redis://localhost:6379", "DB_HOST": "127.0.0.1"}),
        Example(
            (), {"REDIS_URL": "redis://redis:6379"}, context={"environment": "production", "platform": "docker compose"}
        ),
        Example((), {"DATABASE_URL": "postgresql://app:pw1x@dpg-abc123def456-a/app"}, context={"platform": "render"}),
        Example(
            (), {"CORS_ORIGINS": "https://a.example.com,http://localhost:3000"}, context={"environment": "production"}
        ),
        Example((), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}, context={"environment": "production"}),
        Example(
            (),
            {
                "SELF_URL": "http://127.0.0.1:8000",
                "HEALTHCHECK_URL": "http://localhost:8000/health",
                "METRICS_HOST": "127.0.0.1",
            },
            context={"platform": "render", "environment": "production"},
        ),
        Example((), {"OLLAMA_HOST": "0.0.0.0:11434"}, context={"platform": "railway"}),
        Example((), {"VAULT_ADDR": "http://127.0.0.1:8200"}, context={"environment": "production"}),
        Example((), {"DB_HOST": "10.0.3.7"}, context={"environment": "production"}),
    ),
)
