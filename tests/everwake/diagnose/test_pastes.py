"""Pastes of runtimes, builds, platforms and our own services that were once named wrongly, or not at all."""

# ruff: noqa: E501 - lines of logs and answers are as long as they are

from typing import Any

import pytest

from everwake.app.why import why_document

CASES: list[tuple[str, list[str]]] = [
    # what our own services log of their Redis
    (
        "dependency_redis",
        [
            '{"level":"warning","message":"[AI_ORCHESTRATOR] outbox not available: refused"}',
            '{"level":"warning","message":"hub.wire_broken ConnectionError"}',
        ],
    ),
    ("dependency_redis", ["WARNING [AI_ORCHESTRATOR] outbox not available: auth"]),
    (
        "dependency_redis",
        ["WARNING [AI_ORCHESTRATOR] outbox not available: disconnected", "WARNING hub.wire_broken ConnectionError"],
    ),
    ("dependency_tls", ["WARNING [AI_ORCHESTRATOR] outbox not available: tls"]),
    ("dependency_redis", ["Redis does not answer: auth (AUTH called without any password)"]),
    (
        "dependency_redis",
        [
            '{"level":"warning","message":"hub.wire_broken ConnectionError"}',
            '{"level":"warning","message":"[AI_ORCHESTRATOR] outbox not available: auth"}',
        ],
    ),
    # named wrongly before
    (
        "missing_env_var",
        [
            "PrismaClientInitializationError: ",
            "error: Environment variable not found: DATABASE_URL.",
            "  -->  schema.prisma:10",
        ],
    ),
    (
        "missing_env_var",
        [
            "PrismaClientInitializationError: Invalid `prisma.user.findMany()` invocation:",
            "error: Environment variable not found: DATABASE_URL.",
        ],
    ),
    (
        "crashed_at_start",
        [
            'PrismaClientInitializationError: Prisma Client could not locate the Query Engine for runtime "debian-openssl-3.0.x".'
        ],
    ),
    (
        "crashed_at_start",
        [
            "Error [PrismaClientInitializationError]: ",
            "Prisma Client could not locate the Query Engine for runtime debian",
            "==> Exited with status 1",
        ],
    ),
    (
        "app_error",
        [
            "2026/11/20 10:00:00 http: panic serving 10.1.2.3:52344: runtime error: invalid memory address or nil pointer dereference",
            "goroutine 34 [running]:",
            "net/http.(*conn).serve.func1()",
        ],
    ),
    (
        "build_failed",
        [
            "error: linker `cc` not found",
            "  |",
            "  = note: No such file or directory (os error 2)",
            "error: could not compile `proc-macro2` (build script) due to 1 previous error",
        ],
    ),
    (
        "dependency_database",
        [
            "2026-11-20 ERROR com.zaxxer.hikari.pool.HikariPool : HikariPool-1 - Exception during pool initialization.",
            "org.postgresql.util.PSQLException: The connection attempt failed.",
            "Caused by: java.net.UnknownHostException: db-prod",
            "2026-11-20 ERROR o.s.boot.SpringApplication : Application run failed",
        ],
    ),
    (
        "missing_env_var",
        [
            "***************************",
            "APPLICATION FAILED TO START",
            "***************************",
            "Description:",
            "",
            "Failed to configure a DataSource: 'url' attribute is not specified and no embedded datasource could be configured.",
            "Reason: Failed to determine a suitable driver class",
        ],
    ),
    (
        "wrong_port",
        [
            "Error: listen EACCES: permission denied 0.0.0.0:80",
            "    at Server.setupListenHandle [as _listen2] (node:net:1800:21)",
        ],
    ),
    ("wrong_port", ["nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)"]),
    (
        "missing_env_var",
        [
            "Unhandled exception. System.ArgumentNullException: Value cannot be null. (Parameter 'connectionString')",
            "   at Microsoft.Data.SqlClient",
        ],
    ),
    (
        "dependency_database",
        [
            'psycopg2.OperationalError: connection to server at "h.example.com" (10.0.0.2), port 5432 failed: FATAL:  password authentication failed for user "app"',
            'connection to server at "h.example.com" (10.0.0.2), port 5432 failed: FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", database "app", no encryption',
        ],
    ),
    (
        "wrong_port",
        [
            "==> Detected service running on port 3000",
            "Server ready at http://0.0.0.0:3000",
            "==> Port 10000 was not detected. Detected open ports: 3000",
        ],
    ),
    (
        "dependency_service",
        [
            "pika.exceptions.AMQPConnectionError: Connection to amqp://rabbit:5672 failed: [Errno 111] Connection refused"
        ],
    ),
    (
        "dependency_service",
        ["pika.exceptions.AMQPConnectionError: Connection to amqp://rabbit:5672 failed: [Errno 111]"],
    ),
    (
        "missing_env_var",
        [
            "PrismaClientInitializationError: ",
            "Invalid `prisma.user.count()` invocation:",
            "error: Environment variable not found: DATABASE_URL.",
            "Validation Error Count: 1",
            "  errorCode: 'P1012'",
        ],
    ),
    (
        "dependency_database",
        [
            "PrismaClientInitializationError: ",
            "Invalid `prisma.user.count()` invocation:",
            "Can't reach database server at `dpg-abc-a:5432`",
        ],
    ),
    (
        "dependency_database",
        ["PrismaClientInitializationError: Timed out fetching a new connection from the connection pool."],
    ),
    ("crashed_at_start", ["panic: runtime error: invalid memory address or nil pointer dereference", "exit status 2"]),
    (
        "dependency_tls",
        ['psycopg2.OperationalError: FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", no encryption'],
    ),
    ("wrong_port", ["listen tcp :80: bind: permission denied"]),
    (
        "wrong_port",
        [
            "[Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied",
            "==> Exited with status 1",
        ],
    ),
    ("dependency_external", ["TwilioRestException: ", "Unable to create record: Authenticate"]),
    (
        "dependency_external",
        ["ResponseError: Unauthorized", "    at /app/node_modules/@sendgrid/client/client.js:146:29 {"],
    ),
    (
        "dependency_service",
        ["consumer: Cannot connect to amqp://guest:**@127.0.0.1:5672//: [Errno 111] Connection refused."],
    ),
    ("dependency_service", ["kafka.errors.NoBrokersAvailable: NoBrokersAvailable"]),
    # not named before
    (
        "build_failed",
        [
            "[ERROR] Failed to execute goal maven-compiler-plugin: Fatal error compiling: error: release version 21 not supported",
            "[INFO] BUILD FAILURE",
        ],
    ),
    ("build_failed", ["[INFO] BUILD FAILURE"]),
    ("build_failed", ["==> Cloning from https://github.com/a/b", "==> Unable to clone https://github.com/a/b"]),
    (
        "build_failed",
        [
            "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading"
        ],
    ),
    (
        "build_failed",
        ["➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden."],
    ),
    (
        "build_failed",
        [
            "main.go:4:2: no required module provides package github.com/gin-gonic/gin; to add it:",
            "\tgo get github.com/gin-gonic/gin",
        ],
    ),
    ("build_failed", ["Your Ruby version is 3.1.2, but your Gemfile specified 3.2.0"]),
    (
        "crashed_at_start",
        [
            "Error: LinkageError occurred while loading main class com.example.App",
            "java.lang.UnsupportedClassVersionError: com/example/App has been compiled by a more recent version of the Java Runtime (class file version 65.0)",
        ],
    ),
    ("missing_env_var", ["TypeError: JwtStrategy requires a secret or key"]),
    ("missing_env_var", ["sqlalchemy.exc.ArgumentError: Expected string or URL object, got None"]),
    ("missing_env_var", ["DATABASE_URL environment variable is empty"]),
    (
        "app_error",
        [
            "2026/11/20 10:00:00 [Recovery] 2026/11/20 - 10:00:00 panic recovered:",
            "runtime error: index out of range [3] with length 3",
        ],
    ),
    ("app_error", ["[Recovery] 2026/11/20 - 10:00:00 panic recovered:"]),
    ("dependency_database", ["ERROR:  cannot execute INSERT in a read-only transaction"]),
    (
        "health_check_failing",
        ["Health check 'servicecheck-00-http-8080' on port 8080 has failed. Your app is not responding properly."],
    ),
    ("dependency_service", ["Failed to resolve 'kafka:9092': Name or service not known"]),
    (
        "dependency_service",
        [
            "%3|1700000000.1|FAIL|rdkafka#producer-1| [thrd:kafka:9092/bootstrap]: kafka:9092/bootstrap: Failed to resolve 'kafka:9092': Name or service not known (after 3ms in state CONNECT)"
        ],
    ),
    (
        "dependency_external",
        ["twilio.base.exceptions.TwilioRestException: HTTP 401 error: Unable to create record: Authenticate"],
    ),
    (
        "dependency_external",
        ["RestException [Error]: Authenticate status: 401 moreInfo: https://www.twilio.com/docs/errors/20003"],
    ),
    (
        "dependency_external",
        ["python_http_client.exceptions.UnauthorizedError: HTTP Error 401: Unauthorized", "sendgrid request failed"],
    ),
    (
        "dependency_external",
        ["SendGrid: 401 Unauthorized: The provided authorization grant is invalid, expired, or revoked"],
    ),
    (
        "app_error",
        [
            f"ERROR request {n} failed: TypeError: Cannot read properties of undefined (reading 'id')"
            for n in range(10000)
        ],
    ),
]
DOCUMENTS: list[tuple[str, dict[str, Any]]] = [
    (
        "app_error",
        {
            "http": {
                "url": "https://a.vercel.app/api",
                "status": 500,
                "headers": {"x-vercel-error": "FUNCTION_INVOCATION_FAILED"},
            }
        },
    ),
    (
        "maintenance_mode",
        {
            "http": {
                "url": "https://a.example.com/",
                "status": 503,
                "headers": {"content-type": "text/html"},
                "body": "<title>Service Unavailable</title> Illuminate\\Foundation\\Http\\Exceptions\\MaintenanceModeException",
            }
        },
    ),
    (
        "dependency_redis",
        {
            "http": {
                "url": "https://a.onrender.com/ready",
                "status": 503,
                "headers": {"content-type": "application/problem+json"},
                "body": '{"code":"store_unavailable","status":503,"detail":"Messages cannot be kept just now."}',
            },
            "log": [
                '{"level":"warning","message":"[AI_ORCHESTRATOR] outbox not available: auth"}',
                '{"level":"warning","message":"hub.wire_broken AuthenticationError"}',
            ],
        },
    ),
    (
        "dependency_tls",
        {
            "http": {
                "url": "https://a.onrender.com/ready",
                "status": 503,
                "headers": {"content-type": "application/problem+json"},
                "body": '{"code":"store_unavailable","status":503,"detail":"Messages cannot be kept just now."}',
            },
            "log": [
                '{"level":"warning","message":"[AI_ORCHESTRATOR] outbox not available: disconnected"}',
                '{"level":"warning","message":"hub.wire_broken ConnectionError"}',
            ],
            "variables": {"REDIS_URL": "redis://h.example.com:6379/0"},
        },
    ),
    (
        "dependency_redis",
        {
            "http": {
                "url": "https://a.onrender.com/ready",
                "status": 503,
                "headers": {"content-type": "application/problem+json"},
                "body": '{"code":"store_unavailable","status":503,"detail":"Messages cannot be kept just now."}',
            },
            "log": [
                '{"level":"warning","message":"[AI_ORCHESTRATOR] outbox not available: refused"}',
                '{"level":"warning","message":"hub.wire_broken ConnectionError"}',
            ],
            "variables": {"REDIS_URL": "redis://h.example.com:6379/0"},
        },
    ),
]


@pytest.mark.parametrize(
    ("want", "document"),
    [pytest.param(want, {"log": log}, id=f"{n}-{want}") for n, (want, log) in enumerate(CASES)]
    + [pytest.param(*case, id=f"document-{n}-{case[0]}") for n, case in enumerate(DOCUMENTS)],
)
def test_a_paste_is_named(want: str, document: dict[str, Any]) -> None:
    told, _ = why_document(document)
    assert told.causes, "nothing was found wrong"
    assert told.causes[0].cause == want


HEALTHY: list[list[str]] = [
    ["Your Ruby version is 3.2.0", "Server listening on port 10000"],
    ["==> Detected service running on port 10000", "==> Detected open ports: 10000", "==> Your service is live"],
    ["Connected to RabbitMQ", "Server listening on port 10000"],
    ["kafka: connection refused, retrying", "kafka: connected", "Server listening on port 10000"],
    ["WARN environment variable SENTRY_DSN is empty", "Server listening on port 10000"],
    ["nginx: bind() to 0.0.0.0:10000 ok", "Server listening on port 10000"],
    ["Health check 'servicecheck-00-http-8080' on port 8080 is now passing."],
    ["POST https://api.twilio.com/2010-04-01/Messages 201", "Server listening on port 10000"],
    ["[AI_ORCHESTRATOR] claim went to another backend", "Server listening on port 10000"],
]


@pytest.mark.parametrize("log", HEALTHY, ids=[str(n) for n in range(len(HEALTHY))])
def test_what_only_resembles_it_is_well(log: list[str]) -> None:
    told, _ = why_document({"log": log})
    assert not told.causes or told.causes[0].cause == "healthy"
