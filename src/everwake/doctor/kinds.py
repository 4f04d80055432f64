"""What a variable is for: told by its declaration, else by its name, else by its value. Pure.

A guess only ever decides which rules look; each rule needs its own evidence in the value before it says anything.
"""

import re
from enum import StrEnum
from functools import lru_cache

__all__ = ["HTTP_WORDS", "SECRETS", "URLS", "Kind", "kind_of_name", "kind_of_type", "kind_of_value", "words_of"]


class Kind(StrEnum):
    """What a value is, as a reader needs it."""

    TEXT = "text"
    ORIGINS = "origins"  # a list of origins, in whichever form the reader wants
    JSON_ORIGINS = "json-origins"
    JSON = "json"
    URL = "any-url"
    HTTP_URL = "http-url"
    WEBSOCKET_URL = "websocket-url"
    REDIS_URL = "redis-url"
    POSTGRES_URL = "postgres-url"
    DATABASE_URL = "database-url"
    MONGO_URL = "mongo-url"
    AMQP_URL = "amqp-url"
    PORT = "port"
    BOOLEAN = "boolean"
    LOG_LEVEL = "log-level"
    INTEGER = "integer"
    FLOAT = "float"
    DURATION = "duration"
    PYTHON_VERSION = "python-version"
    NODE_VERSION = "node-version"
    BIND = "bind"  # the address to listen on
    HOST = "host"  # another machine's name
    HOSTS = "hosts"  # names this service is reached by
    EMAIL = "email"
    PATH = "path"
    ROUTE = "route"  # path of a URL
    API_KEY = "api-key"
    SECRET = "secret"  # noqa: S105 - a kind of value: of one's own choice
    PASSWORD = "password"  # noqa: S105 - a kind of value
    PEM = "pem"
    SERVICE_ACCOUNT = "service-account"
    ENVIRONMENT = "environment"
    USER = "user"


URLS = frozenset({
    Kind.URL, Kind.HTTP_URL, Kind.WEBSOCKET_URL, Kind.REDIS_URL, Kind.POSTGRES_URL, Kind.DATABASE_URL, Kind.MONGO_URL,
    Kind.AMQP_URL,
})  # fmt: skip
SECRETS = frozenset({Kind.API_KEY, Kind.SECRET, Kind.PASSWORD, Kind.PEM, Kind.SERVICE_ACCOUNT})

HTTP_WORDS = frozenset(
    {
        "REST",
        "HTTP",
        "HTTPS",
        "API",
        "WEBHOOK",
        "CALLBACK",
        "FRONTEND",
        "BACKEND",
        "CLIENT",
        "SITE",
        "PUBLIC",
        "REDIRECT",
    }
)
_SURELY_HTTP = frozenset({"REST", "HTTP", "HTTPS", "API", "WEBHOOK", "CALLBACK"})
_URL_WORDS = frozenset({"URL", "URI", "DSN"})
_OWN_SECRETS = frozenset(
    {"JWT", "SESSION", "COOKIE", "CSRF", "NEXTAUTH", "AUTH", "APP", "ENCRYPTION", "SIGNING", "HASH", "DJANGO", "FLASK"}
)
# Names that whole ecosystems share, and what they are.
_EXACT = {
    "PORT": Kind.PORT, "HOST": Kind.BIND, "HOSTNAME": Kind.BIND, "BIND": Kind.BIND, "ADDRESS": Kind.BIND, "DEBUG": Kind.BOOLEAN,
    "PYTHON_VERSION": Kind.PYTHON_VERSION, "NODE_VERSION": Kind.NODE_VERSION, "DATABASE_URL": Kind.DATABASE_URL,
    "BACKEND_CORS_ORIGINS": Kind.JSON_ORIGINS, "ALLOWED_HOSTS": Kind.HOSTS, "DJANGO_ALLOWED_HOSTS": Kind.HOSTS,
    "SQLALCHEMY_DATABASE_URI": Kind.DATABASE_URL, "GOOGLE_APPLICATION_CREDENTIALS": Kind.PATH, "PATH": Kind.TEXT,
    "GUNICORN_BIND": Kind.BIND, "FLASK_RUN_HOST": Kind.BIND, "GRADIO_SERVER_NAME": Kind.BIND,
    "STREAMLIT_SERVER_ADDRESS": Kind.BIND,
    "ROCKET_ADDRESS": Kind.BIND, "NITRO_HOST": Kind.BIND, "NUXT_HOST": Kind.BIND, "SERVER_NAME": Kind.TEXT,
    "FLASK_DEBUG": Kind.BOOLEAN,
    "APP_DEBUG": Kind.BOOLEAN, "DJANGO_DEBUG": Kind.BOOLEAN, "RUST_LOG": Kind.TEXT, "LOGLEVEL": Kind.LOG_LEVEL,
    "NODE_ENV": Kind.ENVIRONMENT,
    "APP_ENV": Kind.ENVIRONMENT, "FLASK_ENV": Kind.ENVIRONMENT, "RAILS_ENV": Kind.ENVIRONMENT, "HEALTH_CHECK_PATH": Kind.ROUTE,
    "WEB_CONCURRENCY": Kind.INTEGER,
    "OPENAI_API_BASE": Kind.HTTP_URL, "GOOGLE_CREDENTIALS": Kind.SERVICE_ACCOUNT, "FIREBASE_CREDENTIALS": Kind.SERVICE_ACCOUNT,
}  # fmt: skip


@lru_cache(4_096)
def words_of(name: str) -> tuple[str, ...]:
    """`NEXT_PUBLIC_apiUrl` -> NEXT, PUBLIC, API, URL."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name[:200]) if not name.isupper() else name[:200]
    spaced = re.sub(r"^(PG|MYSQL|REDIS|MONGO)(?=(?:HOST|USER|PORT|PASSWORD|DATABASE)$)", r"\1_", spaced)
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", spaced.upper()) if word)


def kind_of_name(name: str) -> Kind:
    """What a variable of that name is for, in most programs; `Kind.TEXT` where the name does not say."""
    known = _EXACT.get(name.upper())
    if known is not None:
        return known
    words = words_of(name)
    if not words:
        return Kind.TEXT
    said, last = set(words), words[-1]
    joined = "_".join(words)
    lists = said & {"ORIGIN", "ORIGINS", "CORS"} and "PROXY" not in said
    if lists and last not in ("CREDENTIALS", "METHODS", "HEADERS", "ENABLED", "AGE"):
        return Kind.ORIGINS
    if "PRIVATE_KEY" in joined and last in ("KEY", "PEM") and not said & {"PATH", "FILE", "ID", "PASSPHRASE"}:
        return Kind.PEM
    if last in ("PEM", "CERT", "CERTIFICATE") and not said & {"PATH", "FILE", "DIR"}:
        return Kind.PEM
    if (
        last in _URL_WORDS
        or joined.endswith(("_BASE_URL", "DATABASE_URI"))
        or (last == "STRING" and "CONNECTION" in said)
    ):
        return _url_kind(said, joined, last)
    if last in ("FILE", "PATH", "DIR", "DIRECTORY", "FOLDER"):
        return Kind.ROUTE if said & {"HEALTH", "HEALTHCHECK"} else Kind.PATH
    secret = _secret_kind(words, said, last)
    return secret or _plain_kind(words, said, last)


def _url_kind(said: set[str], joined: str, last: str) -> Kind:
    if "SERVICE" in said and not said & HTTP_WORDS:
        return Kind.URL  # a service in front of a Redis speaks HTTP, a Redis as a service does not: the value tells
    if said & _SURELY_HTTP:
        return Kind.HTTP_URL
    if said & {"REDIS", "VALKEY", "KEYDB"}:
        return Kind.REDIS_URL
    if said & {"POSTGRES", "POSTGRESQL", "PG", "POSTGIS"}:
        return Kind.POSTGRES_URL
    if said & {"MONGO", "MONGODB"}:
        return Kind.MONGO_URL
    if said & {"AMQP", "RABBITMQ", "CLOUDAMQP"}:
        return Kind.AMQP_URL
    if said & {"WS", "WSS", "WEBSOCKET", "WEBSOCKETS"}:
        return Kind.WEBSOCKET_URL
    if said & {"DATABASE", "DB", "SQLALCHEMY", "MYSQL", "MARIADB", "SQL", "JDBC"}:
        return Kind.DATABASE_URL
    if said & HTTP_WORDS:
        return Kind.HTTP_URL
    if last == "DSN" or said & {
        "BROKER",
        "RESULT",
        "CACHE",
        "QUEUE",
        "STORAGE",
        "SOCKET",
        "PROXY",
        "SMTP",
        "SESSION",
        "BACKEND",
    }:
        return Kind.URL
    return Kind.HTTP_URL if "CONNECTION" not in said else Kind.URL


def _secret_kind(words: tuple[str, ...], said: set[str], last: str) -> Kind | None:
    if last in ("PASSWORD", "PASSWD", "PASS", "PWD", "PASSPHRASE"):
        return Kind.PASSWORD
    if last == "CREDENTIALS" and said & {"CORS", "ALLOW"}:
        return Kind.BOOLEAN
    if last in ("CREDENTIALS", "JSON") and said & {"SERVICE", "ACCOUNT", "GOOGLE", "FIREBASE", "GCP", "CREDENTIALS"}:
        return Kind.SERVICE_ACCOUNT
    if said & {"GOOGLE", "FIREBASE", "GCP"} and {"SERVICE", "ACCOUNT"} <= said and last in ("ACCOUNT", "KEY"):
        return Kind.SERVICE_ACCOUNT
    if (
        last in ("SECRET", "SALT")
        or words[-2:] == ("SECRET", "KEY")
        or (last == "KEY" and said & _OWN_SECRETS and "API" not in said)
    ):
        third = (
            said
            - _OWN_SECRETS
            - {"SECRET", "KEY", "MY", "TOKEN", "ACCESS", "REFRESH", "BETTER", "BACKEND", "SERVER", "SALT"}
        )
        vendors = third & {
            "STRIPE",
            "AWS",
            "CLIENT",
            "CLERK",
            "GOOGLE",
            "GITHUB",
            "OAUTH",
            "WEBHOOK",
            "CLOUDINARY",
            "API",
            "R2",
            "S3",
        }
        return Kind.API_KEY if vendors else Kind.SECRET
    if last in ("TOKEN", "APIKEY") or words[-2:] in (
        ("API", "KEY"),
        ("API", "TOKEN"),
        ("ACCESS", "KEY"),
        ("ROLE", "KEY"),
        ("ANON", "KEY"),
    ):
        return Kind.API_KEY
    if last == "KEY" and said & {
        "OPENAI",
        "ANTHROPIC",
        "STRIPE",
        "FIREBASE",
        "SENDGRID",
        "GROQ",
        "GEMINI",
        "MISTRAL",
        "SUPABASE",
        "RENDER",
    }:
        return Kind.API_KEY
    return None


def _plain_kind(words: tuple[str, ...], said: set[str], last: str) -> Kind:
    if last == "PORT":
        return Kind.PORT
    if words[-2:] == ("LOG", "LEVEL"):
        return Kind.LOG_LEVEL
    if last in ("HOST", "HOSTNAME", "SERVER"):
        serves = {"HTTP", "BIND", "LISTEN", "UVICORN", "GUNICORN", "APP", "SERVER", "WEB"}
        return Kind.BIND if said & serves and not said & {"DB", "REDIS", "SMTP", "MAIL"} else Kind.HOST
    if said & {"BIND", "LISTEN"} and last in ("ADDR", "ADDRESS", "BIND", "LISTEN", "INTERFACE", "IP"):
        return Kind.BIND
    if last in ("HOSTS", "DOMAIN", "DOMAINS"):
        return Kind.HOSTS
    if last in ("EMAIL", "MAIL") and len(words) > 1:
        return Kind.EMAIL
    if last in ("USER", "USERNAME"):
        return Kind.USER
    if last == "ENVIRONMENT":
        return Kind.ENVIRONMENT
    return Kind.BOOLEAN if last == "DEBUG" and len(words) == 2 else Kind.TEXT


def kind_of_value(value: str) -> Kind:
    """What a value is by its looks, where the name said nothing."""
    text = value.strip().strip("\"'`“”‘’ ")
    scheme = re.match(r"([a-z][a-z0-9+.-]{1,30})://", text, re.IGNORECASE)
    if scheme:
        return _SCHEMES.get(scheme[1].lower().split("+")[0], Kind.URL)
    if "-----BEGIN " in text[:200] and "{" not in text[:100]:
        return Kind.PEM
    if re.match(r"""\{\s*\\?["']type\\?["']\s*:\s*\\?["']service_account""", text):
        return Kind.SERVICE_ACCOUNT
    if re.match(
        r"(sk|rk|pk|gh[pousr]|xox[abp]|hf|ntn|glpat|npm|rnd|re|whsec|gsk)[-_]\w|SG\.\w|AKIA[0-9A-Z]|AIza\w|eyJ\w", text
    ):
        return Kind.API_KEY
    return Kind.TEXT


_SCHEMES = {
    "http": Kind.HTTP_URL, "https": Kind.HTTP_URL, "ws": Kind.WEBSOCKET_URL, "wss": Kind.WEBSOCKET_URL, "redis": Kind.REDIS_URL,
    "rediss": Kind.REDIS_URL, "postgres": Kind.POSTGRES_URL, "postgresql": Kind.POSTGRES_URL, "mongodb": Kind.MONGO_URL,
    "mysql": Kind.DATABASE_URL, "mariadb": Kind.DATABASE_URL, "amqp": Kind.AMQP_URL, "amqps": Kind.AMQP_URL,
}  # fmt: skip


def kind_of_type(declared: str) -> Kind | None:
    """What a program's own type (`list[str]`, `bool`, `HttpUrl`, `z.number()`) needs; None where it says nothing of use."""
    text = declared.lower().replace(" ", "")[:100]
    text = re.sub(r"^(?:typing\.)?optional\[(.*)\]$|\|none$", lambda found: found[1] or "", text)
    if re.match(r"(?:typing\.)?(list|tuple|set|frozenset|sequence|dict|mapping|json|array|object)\b", text):
        return Kind.JSON
    for pattern, kind in (
        (r"bool", Kind.BOOLEAN), (r"port", Kind.PORT), (r"(positive|nonnegative)?int(eger)?\b|number", Kind.INTEGER),
        (r"float|decimal", Kind.FLOAT),
        (r"redisdsn", Kind.REDIS_URL), (r"postgresdsn", Kind.POSTGRES_URL), (r"mongo", Kind.MONGO_URL),
        (r"amqpdsn", Kind.AMQP_URL),
        (r"(any)?(http)?url", Kind.HTTP_URL), (r"email", Kind.EMAIL), (r"timedelta|duration", Kind.DURATION),
        (r"secret", Kind.SECRET),
        (r"path|filepath", Kind.PATH),
    ):  # fmt: skip
        if re.match(pattern, text):
            return kind
    return None
