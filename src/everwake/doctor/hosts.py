"""What is known of hosts: whose they are, what they demand, who can reach them. Pure.

Sources: the vendors' manuals (Upstash, Render, Supabase, Neon, Railway, Fly, DigitalOcean, Azure, Aiven; read 2026-11).
"""

import re

__all__ = [
    "INTERNAL", "PLATFORMS", "TLS_POSTGRES", "TLS_REDIS", "compose_name", "is_ip", "is_loopback", "is_private", "platform_domain",
    "shared_stem",
]  # fmt: skip

# Domains under which platforms give each service a name, over HTTPS.
PLATFORMS = (
    "onrender.com", "up.railway.app", "railway.app", "herokuapp.com", "fly.dev", "koyeb.app", "vercel.app", "netlify.app",
    "hf.space",
    "pages.dev", "workers.dev", "web.app", "firebaseapp.com", "run.app", "azurewebsites.net", "github.io", "ondigitalocean.app",
    "appspot.com", "code.run", "zeabur.app", "streamlit.app", "replit.app", "deno.dev", "supabase.co", "surge.sh", "gitlab.io",
    "azurecontainerapps.io", "amplifyapp.com", "trycloudflare.com", "ngrok-free.app", "ngrok.io",
)  # fmt: skip
# Redis that answers over TLS only. Fly's private endpoint carries Upstash's name and speaks plain Redis.
TLS_REDIS = re.compile(
    r"(?!fly-).*\.upstash\.io|.*\.db\.ondigitalocean\.com|.*\.serverless\.[a-z0-9-]+\.cache\.amazonaws\.com|.*\.aivencloud\.com"
    r"|[a-z]+-(?:redis|keyvalue|kv)\.render\.com|.*\.redis\.azure\.net|.*\.(?:redis|kv)\.vercel-storage\.com"
)
# Postgres that refuses a connection without TLS.
TLS_POSTGRES = re.compile(
    r".*\.neon\.tech|.*\.[a-z]+-postgres\.render\.com|.*\.postgres\.database\.azure\.com|.*\.db\.ondigitalocean\.com"
    r"|.*\.aivencloud\.com|.*\.cockroachlabs\.cloud|.*\.postgres\.vercel-storage\.com|.*\.db\.prisma\.io"
)
# Networks within a platform: plain, and out of reach from anywhere else.
INTERNAL = re.compile(
    r".*\.(?:railway\.internal|internal|flycast|svc|svc\.cluster\.local|local|lan)|(?:red|dpg)-[a-z0-9]{6,}(?:-[a-z])?"
)

_COMPOSE = frozenset({
    "db", "database", "postgres", "postgresql", "pg", "mysql", "mariadb", "mongo", "mongodb", "redis", "valkey", "keydb", "cache",
    "rabbitmq", "rabbit", "kafka", "zookeeper", "elasticsearch", "opensearch", "minio", "s3", "memcached", "nginx",
    "traefik", "app",
    "web", "api", "backend", "frontend", "server", "worker", "celery", "mailhog", "mailpit", "meilisearch", "typesense", "qdrant",
    "chroma", "weaviate", "ollama", "localstack", "nats", "clickhouse", "influxdb", "broker", "queue", "storage", "auth",
    "gateway",
    "milvus", "neo4j", "searxng", "dragonfly", "sqlserver", "mssql",
})  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether it is this machine itself; `0.0.0.0` as a destination is too, and Docker's name for its host no better."""
    plain = host.strip("[]").lower()
    return (
        plain in ("localhost", "0.0.0.0", "::1", "::", "host.docker.internal", "localhost.localdomain")  # noqa: S104
        or plain.endswith(".localhost")
        or re.fullmatch(r"127(?:\.\d{1,3}){1,3}", plain) is not None
    )


def is_ip(host: str) -> bool:
    """Whether it is an address and no name."""
    return re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}", host) is not None or ":" in host


def is_private(host: str) -> bool:
    """Whether it is an address of a private network (RFC 1918, link-local)."""
    return (
        re.fullmatch(
            r"10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}|169\.254(?:\.\d{1,3}){2}",
            host,
        )
        is not None
    )


def compose_name(host: str) -> bool:
    """Whether it is a name that stands for a container in most compose files: `db`, `redis`, `my-app-postgres-1`."""
    plain = host.lower()
    if "." in plain or ":" in plain or not plain:
        return False
    words = re.split(r"[-_]", re.sub(r"[-_]?\d{1,2}$", "", plain))
    return (
        plain in _COMPOSE
        or re.sub(r"[-_]?\d{1,2}$", "", plain) in _COMPOSE
        or words[-1] in _COMPOSE
        or words[0] in _COMPOSE
    )


def platform_domain(host: str) -> str:
    """The domain of a platform that this host was given under, or ""."""
    plain = host.lower().rstrip(".")
    return next((domain for domain in PLATFORMS if plain.endswith("." + domain)), "")


def _stem(host: str) -> str:
    """The name before a platform's domain, without the random tail that a taken name is given (`-la6y`)."""
    name = (
        host.lower().removesuffix("." + platform_domain(host)) if platform_domain(host) else host.lower().split(".")[0]
    )
    return re.sub(r"-(?=[a-z0-9]{0,3}\d)[a-z0-9]{4}$|-[b-df-hj-np-tv-z]{3,4}$", "", name)


def shared_stem(one: str, other: str) -> float:
    """How much two hosts look like one service's names, 0..1: their words, the random tail left out."""
    a, b = _stem(one), _stem(other)
    if a == b:
        return 1.0
    if a and b and (a.startswith(b + "-") or b.startswith(a + "-")):
        return 0.9
    left, right = set(a.split("-")), set(b.split("-"))
    return len(left & right) / max(len(left | right), 1)
