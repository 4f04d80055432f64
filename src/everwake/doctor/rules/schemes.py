"""The scheme of a URL: absent, misspelled, not what its reader speaks, or without TLS where people's data goes."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Edit, Example, Hit, Rule, Variable
from everwake.doctor.hosts import INTERNAL, compose_name, is_ip, is_loopback, is_private, platform_domain
from everwake.doctor.kinds import URLS, Kind, words_of
from everwake.doctor.known_schemes import CALLED_BARE, is_known_scheme
from everwake.doctor.rules._entries import LISTS, addresses
from everwake.doctor.urls import Url, dissect
from everwake.doctor.words import distance

__all__ = ["RULE"]

_FITS: dict[Kind, frozenset[str]] = {
    Kind.HTTP_URL: frozenset({"http", "https"}),
    Kind.WEBSOCKET_URL: frozenset({"ws", "wss"}),
    Kind.REDIS_URL: frozenset({"redis", "rediss", "unix", "redis-sentinel", "valkey", "valkeys", "sentinel",
    "redis+sentinel", "redis-cluster", "rediscache", "redis-cache", "keydb"}),
    Kind.POSTGRES_URL: frozenset({"postgres", "postgresql", "postgis", "jdbc", "cockroachdb", "prisma", "prisma+postgres",
    "pgsql", "psql", "pg", "cockroach", "timescale", "timescaledb", "yugabytedb", "redshift", "ecto", "r2dbc"}),
    Kind.DATABASE_URL: frozenset({
        "postgres", "postgresql", "postgis", "mysql", "mariadb", "mysql2", "sqlite", "sqlite3", "file", "mssql",
        "sqlserver", "oracle",
        "mongodb", "cockroachdb", "prisma", "prisma+postgres", "libsql", "duckdb", "jdbc", "ecto", "pgsql", "mysqlx",
        "http", "https", "redis",
        "rediss", "trilogy", "clickhouse", "bigquery", "snowflake", "hana", "firebird", "timescale", "surrealdb", "neo4j",
        "bolt", "edgedb", "bolts", "neo4js", "psql", "pg", "mysqlgis", "mysql-connector", "spatialite", "oracledb", "oraclegis",
        "cockroach", "cassandra", "scylla", "couchdb", "couchbase", "couchbases", "dynamodb", "rethinkdb", "influx", "influxdb",
        "clickhouses", "ch", "redshift", "redshift_connector", "databricks", "athena", "awsathena", "trino", "presto", "druid",
        "hive", "impala", "db2", "ibm_db_sa", "informix", "teradata", "vertica", "exasol", "exa", "memsql", "singlestore",
        "singlestoredb", "tidb", "yugabytedb", "questdb", "arangodb", "gel", "memgraph", "sap", "motherduck", "turso", "d1",
        "crate", "cratedb", "timescaledb", "access", "pyodbc", "odbc", "elasticsearch", "elastic", "opensearch", "es",
        "firestore", "spanner", "planetscale", "iris", "monetdb", "starrocks", "doris", "opengauss", "r2dbc", "ws", "wss", "s3",
    }),
    Kind.MONGO_URL: frozenset({"mongodb"}),
    Kind.AMQP_URL: frozenset({"amqp", "amqps", "pyamqp", "librabbitmq", "qpid"}),
}  # fmt: skip
_KNOWN = (
    "http",
    "https",
    "ws",
    "wss",
    "redis",
    "rediss",
    "postgres",
    "postgresql",
    "mysql",
    "mongodb",
    "amqp",
    "amqps",
    "sqlite",
)
_HINT = {
    Kind.HTTP_URL: "https://", Kind.WEBSOCKET_URL: "wss://", Kind.REDIS_URL: "redis:// or rediss://",
    Kind.POSTGRES_URL: "postgresql://",
    Kind.DATABASE_URL: "the scheme of the database, such as postgresql://", Kind.MONGO_URL: "mongodb:// or mongodb+srv://",
    Kind.AMQP_URL: "amqp:// or amqps://",
}  # fmt: skip
# Names of things that are no connection, sidecars and proxies within one machine or cluster.
_NOT_PUBLIC = frozenset({"PROXY", "OTEL", "XMLNS", "NAMESPACE", "SCHEMA", "OTLP", "SIDECAR", "METADATA"})


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Scheme by scheme: of the value, or of each entry of a list."""
    if variable.kind not in URLS | LISTS:
        return
    texts = list(addresses(variable))
    for text, at in texts:
        url = dissect(text)
        if url is None:
            yield from _none(variable, text, at, case)
        elif (wrong := _wrong(variable, url, text, at, case)) is not None:
            yield wrong
        else:
            yield from _insecure(variable, url, at, case, {each for each, _ in texts})


def _none(variable: Variable, text: str, at: int, case: Case) -> Iterator[Hit]:
    """No `scheme://` at all."""
    if CALLED_BARE.match(text) is not None:
        return
    slipped = re.match(
        r"(https?|wss?|rediss?|postgres(?:ql)?|mongodb(?:\+srv)?|mysql)(:/(?!/)|//|:(?=[a-z0-9-]+\.[a-z])|;//|\.//|:\\\\)",
        text,
        re.IGNORECASE,
    )
    if slipped is not None:
        end = slipped.end()
        yield Hit(
            problem="wrong_scheme", fix=f"write {slipped[1].lower()}://", at=at, end=at + end,
            edits=((at, at + end, f"{slipped[1].lower()}://"),),
            found=slipped[0], stops=True,
        )  # fmt: skip
        return
    host = re.match(
        r"(?://)?([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+|localhost|\[[0-9a-f:]+\])(:\d{1,5})?(?=[/?#]|$)", text
    )
    with_user = re.match(r"[^\s@/:=]{1,100}:[^\s@/]{1,200}@(?!tcp\(|unix\()[A-Za-z0-9.-]+(?::\d{1,5})?(?=[/?]|$)", text)
    if variable.kind in LISTS and (text in ("*", "null", "self") or host is None):
        return
    named = (
        variable.kind in LISTS
        or (
            variable.kind is not Kind.URL
            and words_of(variable.key)[-1:] in (("URL",), ("URI",), ("URLS",), ("BASE",), ("WEBSITE",))
        )
        or variable.declared is not None
    )
    if (
        host is None
        and with_user is None
        and not (variable.kind in _FITS and re.fullmatch(r"[a-z][a-z0-9-]{0,40}:\d{2,5}(?:/\S*)?", text))
    ):
        return
    if not named or (variable.kind is Kind.DATABASE_URL and re.search(r"\.(?:db|sqlite3?|mdb)$", text)):
        return
    local = host is not None and (is_loopback(host[1]) or is_private(host[1]))
    scheme = "http" if local else "https"
    public = host is not None and not local and not is_ip(host[1])
    sure = public and variable.kind in (Kind.HTTP_URL, *LISTS)
    said = f"{scheme}://" if variable.kind in (Kind.HTTP_URL, *LISTS) else _HINT.get(variable.kind, "its scheme")
    skip = 2 if text.startswith("//") else 0
    edits: tuple[Edit, ...] = ((at, at + skip, f"{scheme}://"),) if sure else ()
    yield Hit(
        problem="missing_scheme",
        fix=f"begin it with {said}",
        at=at,
        end=at + len(text),
        edits=edits,
        stops=variable.kind not in LISTS,
    )


def _wrong(variable: Variable, url: Url, text: str, at: int, case: Case) -> Hit | None:
    scheme, _, driver = url.scheme.partition("+")
    end = at + len(url.scheme)
    fits = {"http", "https"} if variable.kind in LISTS else _FITS.get(variable.kind)
    if variable.kind in LISTS and re.match(r"[a-z-]*extension|capacitor|ionic|app|tauri|file|vscode|exp", scheme):
        return None
    meant = [] if is_known_scheme(url.scheme) else _meant(scheme, fits)
    if meant:
        tail = f"+{driver}" if driver else ""
        return Hit(
            problem="wrong_scheme", fix="write " + " or ".join(f"{each}{tail}://" for each in meant), at=at, end=end,
            edits=((at, at + len(scheme), meant[0]),) if len(meant) == 1 else (),
            found=f"{url.scheme}://", stops=True,
        )  # fmt: skip
    if _is_a_dashboard(variable, url) or _is_of_another(url, case.context.reader):
        return Hit(
            problem="wrong_scheme", fix=f"begin it with {_HINT.get(variable.kind, 'the scheme of the database')}", at=at, end=end,
            found=f"{url.scheme}://", is_error=True, stops=True,
        )  # fmt: skip
    if fits is not None and scheme not in fits and url.scheme not in fits:
        if (
            variable.kind is Kind.POSTGRES_URL
            and scheme in ("http", "https")
            and words_of(variable.key)[-1:] != ("DSN",)
            and "REST" in words_of(variable.key)
        ):
            return None
        if variable.kind is Kind.HTTP_URL and scheme not in _KNOWN:
            return None  # an address of a kind that we do not know
        return Hit(
            problem="wrong_scheme",
            fix=f"begin it with {_HINT.get(variable.kind, 'https://')}",
            at=at,
            end=end,
            found=f"{url.scheme}://",
            stops=True,
            is_error=variable.kind is not Kind.HTTP_URL or scheme not in ("ws", "wss"),  # some APIs are sockets
        )
    return _for_reader(variable, url, at, end, case)


def _meant(scheme: str, fits: "frozenset[str] | set[str] | None") -> list[str]:
    """What one slip lies between, of what belongs there; where anything may, of the longer words that everybody knows."""
    among = [one for one in _KNOWN if (len(one) > 3 if fits is None else one in fits)]
    return [one for one in among if distance(scheme, one, 1) == 1]


def _is_a_dashboard(variable: Variable, url: Url) -> bool:
    """A database's name with the address of its maker's page or HTTP service."""
    makers = r".*\.(?:supabase\.co|supabase\.com|neon\.tech|planetscale\.com|mongodb\.net|mongodb\.com|railway\.app|render\.com)"
    return (
        variable.kind is Kind.DATABASE_URL
        and url.scheme in ("http", "https")
        and re.fullmatch(makers, url.hosts[0]) is not None
    )


def _is_of_another(url: Url, reader: str) -> bool:
    """A database of one make where the reader says that it wants another."""
    makes = {
        "postgresql": "postgres",
        "postgres": "postgres",
        "mysql": "mysql",
        "mariadb": "mysql",
        "mongodb": "mongo",
        "sqlite": "sqlite",
    }
    make = makes.get(url.scheme.split("+")[0])
    said = {word for word in ("postgres", "mysql", "mongo", "sqlite") if word in reader.lower()}
    return make is not None and len(said) == 1 and make not in said


def _for_reader(variable: Variable, url: Url, at: int, end: int, case: Case) -> Hit | None:
    """Schemes that one library takes and another does not."""
    reader = case.context.reader.lower()
    scheme, _, driver = url.scheme.partition("+")
    if (
        "sqlalchemy" in reader
        or "alembic" in reader
        or "sqlmodel" in reader
        or "flask-migrate" in reader
        or words_of(variable.key)[:1] == ("SQLALCHEMY",)
    ):
        old = re.search(r"sqlalchemy\s*[=<~]{0,2}\s*(?:0|1\.[0-3])\b", reader) is not None and ">=" not in reader
        if scheme == "postgres" and not old:
            fix = "postgresql:// is what SQLAlchemy knows since 1.4" + (
                ": the platform writes this variable, so let the program replace it" if case.context.managed else ""
            )
            edits: tuple[Edit, ...] = () if case.context.managed else ((at, at + len("postgres"), "postgresql"),)
            return Hit(
                problem="wrong_scheme", fix=fix, at=at, end=end, edits=edits, found=f"{url.scheme}://", is_error=True
            )
        if "async" in reader and scheme in ("postgresql", "mysql", "sqlite") and not driver:
            with_driver = {"postgresql": "postgresql+asyncpg", "mysql": "mysql+aiomysql", "sqlite": "sqlite+aiosqlite"}[
                scheme
            ]
            return Hit(
                problem="wrong_scheme",
                fix=f"an async engine needs an async driver: {with_driver}://",
                at=at,
                end=end,
                found=f"{url.scheme}://",
                is_error=True,
            )
        return None
    plain = re.search(
        r"psycopg|libpq|asyncpg|\bpsql\b|\bpg\b|node-postgres|prisma|pgx|jdbc|gorm|sequelize|knex|drizzle|typeorm|diesel|ecto|sqlx",
        reader,
    )
    if plain and driver and scheme in ("postgresql", "postgres"):
        return Hit(
            problem="wrong_scheme",
            fix=f"write {scheme}:// without +{driver[:20]}: only SQLAlchemy knows drivers there",
            at=at,
            end=end,
            edits=((at, end, scheme),),
            found=f"{url.scheme}://",
            is_error=True,
        )
    return None


def _insecure(variable: Variable, url: Url, at: int, case: Case, others: set[str]) -> Iterator[Hit]:
    if url.scheme not in ("http", "ws") or case.is_development or _NOT_PUBLIC & set(words_of(variable.key)):
        return
    host = url.hosts[0]
    on_platform = platform_domain(host) != ""
    if not on_platform and (not case.is_production or url.port not in ("", "80") or "." not in host):
        return
    if (
        is_ip(host)
        or is_loopback(host)
        or INTERNAL.fullmatch(host)
        or compose_name(host)
        or host.endswith((".test", ".example", ".w3.org", "schemas.xmlsoap.org"))
    ):
        return
    secure = {"http": "https", "ws": "wss"}[url.scheme]
    end = at + len(url.scheme)
    if variable.kind in LISTS and any(each.rstrip("/") == f"{secure}://{host}" for each in others):
        return
    yield Hit(
        problem="insecure_scheme",
        fix=f"write {secure}://" + (": the platform answers anything else with a redirect" if on_platform else ""), at=at,
        end=end, edits=((at, end, secure),) if on_platform else (), found=f"{url.scheme}://",
        is_error=on_platform and url.scheme == "ws",
    )  # fmt: skip


RULE = Rule(
    name="schemes",
    about="A URL without scheme, with a misspelled one, with one that its reader does not speak, or without TLS in production.",
    problems=("missing_scheme", "wrong_scheme", "insecure_scheme"),
    look=look,
    order=40,
    examples=(
        Example(("BACKEND_URL missing_scheme",), {"BACKEND_URL": "my-api.onrender.com/v1"}),
        Example(("CORS_ORIGINS missing_scheme",), {"CORS_ORIGINS": "https://a.example.com,b.example.com"}),
        Example(("REDIS_URL missing_scheme",), {"REDIS_URL": "cache.example.com:6379"}),
        Example(("API_URL wrong_scheme",), {"API_URL": "htps://api.example.com"}),
        Example(("API_URL wrong_scheme",), {"API_URL": "https//api.example.com"}),
        Example(("REDIS_URL wrong_scheme",), {"REDIS_URL": "https://cache.example.com"}),
        Example(
            ("DB_URL wrong_scheme",),
            {"DB_URL": "postgres://app:pw1x@db.example.com/app"},
            context={"reader": "SQLAlchemy 2.0"},
        ),
        Example(
            ("DB_URL wrong_scheme",),
            {"DB_URL": "postgresql+asyncpg://app:pw1x@db.example.com/app"},
            context={"reader": "asyncpg"},
        ),
        Example(("DATABASE_URL wrong_scheme",), {"DATABASE_URL": "https://abcdefghijklmnop.supabase.co"}),
        Example(
            ("DB_URL wrong_scheme",),
            {"DB_URL": "mysql://app:pw1x@db.example.com/app"},
            context={"reader": "prisma postgresql"},
        ),
        Example(("API_URL wrong_scheme",), {"API_URL": "htp://api.example.com"}),
        Example(("STORE_URL wrong_scheme",), {"STORE_URL": "htps://api.example.com"}),
        Example((), {"MAIL_URL": "smtps://app:pw1x@mail.example.com:465", "STREAM_URL": "rtmp://live.example.com/app"}),
        Example((), {"SUPPORT_URL": "mailto:help@example.com", "FEED_URL": "sftp://app@files.example.com/in"}),
        Example(("WS_URL wrong_scheme",), {"WS_URL": "https://chat.onrender.com/ws"}),
        Example(("API_URL insecure_scheme",), {"API_URL": "http://my-api.fly.dev"}),
        Example(("WS_URL insecure_scheme",), {"WS_URL": "ws://my-api.onrender.com/ws"}),
        Example(
            (),
            {
                "API_URL": "/api",
                "DATABASE_URL": "sqlite:///data.db",
                "UPSTASH_REDIS_REST_URL": "https://a-b.upstash.io",
            },
        ),
        Example((), {"DATABASE_URL": "app:pw1x@tcp(db.example.com:3306)/app", "S3_ENDPOINT": "s3.amazonaws.com"}),
        Example((), {"API_URL": "http://localhost:8000", "BACKEND_URL": "http://backend.railway.internal:8000"}),
        Example(
            (), {"DB_URL": "postgresql+asyncpg://app:pw1x@db.example.com/app"}, context={"reader": "sqlalchemy asyncio"}
        ),
        Example((), {"CORS_ORIGINS": "http://shop.example.com,https://shop.example.com", "ENVIRONMENT": "production"}),
    ),
)
