"""Logs whose words are easily taken for another cause: errors that a program outlives, trouble that is over, ports named twice.

Several names in `want`: from this evidence alone each of them is right; "healthy" stands for no cause at all, too.
"""
# ruff: noqa: E501 - lines of logs are as long as they are

import pytest

from everwake.app.why import why_document

CASES: list[tuple[str, list[str]]] = [
    ("unknown|healthy|app_error", ["Error: card declined", "GET /health 200 1ms", "GET / 200 3ms"]),
    (
        "unknown|healthy|app_error",
        ["Error: user not found", "INFO request done status=200 in 3ms", "INFO request done status=200 in 4ms"],
    ),
    (
        "unknown|healthy|app_error",
        ["[ERROR] Error: validation of order failed", "processing job 12", "processing job 13", "processing job 14"],
    ),
    (
        "unknown|healthy|app_error",
        [
            "ERROR: payment rejected by bank",
            '10.0.0.1 - - "GET / HTTP/1.1" 200 12',
            '10.0.0.1 - - "GET / HTTP/1.1" 200 12',
        ],
    ),
    ("unknown|healthy|app_error", ["Server listening on port 3000", "TypeError: x is undefined", "GET /a 200 5 ms"]),
    (
        "unknown|healthy|app_error",
        ["==> Running 'npm start'", "Error: no such coupon", "POST /buy 422 3.2 ms", "GET /health 200 1 ms"],
    ),
    (
        "crashed_at_start",
        ["==> Running 'npm start'", "Error: boom", "    at Object.<anonymous> (/app/x.js:1:1)", "Node.js v20.1.0"],
    ),
    ("dependency_external", ["Error: Invalid login: 535-5.7.8 Username and Password not accepted."]),
    ("dependency_external", ["smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed')"]),
    (
        "dependency_external",
        [
            "Error: Invalid login: 535 Authentication failed",
            "    at SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection/index.js:784:19)",
        ],
    ),
    (
        "dependency_database",
        ["PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /app/index.php:3"],
    ),
    (
        "wrong_service_url",
        [
            '{"level":"error","msg":"call to https://chatbot-ww0z.onrender.com/api answered 404 x-render-routing: no-server"}'
        ],
    ),
    (
        "wrong_service_url",
        ["ERROR upstream https://backend-ab12.onrender.com/health returned 404 (x-render-routing: no-server)"],
    ),
    (
        "dependency_external",
        [
            "botocore.exceptions.ClientError: An error occurred (InvalidAccessKeyId) when calling the PutObject operation: The AWS Access Key Id you provided does not exist in our records."
        ],
    ),
    ("dependency_external", ["InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records."]),
    (
        "dependency_external",
        ["SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided."],
    ),
    (
        "healthy",
        [
            "WARN could not connect to redis: ECONNREFUSED, retrying in 1s",
            "Redis service initialized",
            "Server listening on port 10000",
            "==> Your service is live",
        ],
    ),
    (
        "healthy",
        [
            "could not connect to server: Connection refused, is postgres running? retry 1/5",
            "Connected to PostgreSQL",
            "Server listening on 0.0.0.0:8080",
        ],
    ),
    (
        "healthy",
        [
            "MongooseServerSelectionError: connection timed out, retrying",
            "MongoDB connected",
            "Server running on port 3000",
        ],
    ),
    (
        "healthy",
        [
            "redis: connection refused",
            "Server listening on port 3000",
            "==> Your service is live",
            "GET / 200 3ms",
            "GET /x 200 2ms",
        ],
    ),
    (
        "healthy",
        [
            "openai: error 503 service unavailable, retrying",
            "Server listening on 10000",
            "==> Your service is live",
            '1.1.1.1 - "POST /chat HTTP/1.1" 200 OK',
        ],
    ),
    (
        "dependency_redis",
        [
            "Redis service initialized",
            "Server listening on port 10000",
            "==> Your service is live",
            "Error: redis connection lost ECONNREFUSED 10.0.0.4:6379",
        ],
    ),
    (
        "dependency_redis",
        [
            "==> Your service is live",
            "redis ECONNREFUSED 10.0.0.4:6379",
            "GET /health 200 1ms",
            "redis ECONNREFUSED 10.0.0.4:6379",
        ],
    ),
    ("dependency_redis", ["WARN could not connect to redis: ECONNREFUSED, retrying in 1s", "PostgreSQL connected"]),
    (
        "wrong_port",
        [
            "Default STARTUP TCP probe failed 1 time consecutively for container on port 8080. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.",
            "Server started on port 3000",
        ],
    ),
    (
        "wrong_port",
        [
            "Server started on port 3000",
            "The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.",
        ],
    ),
    (
        "wrong_port",
        ["Listening on http://0.0.0.0:5173", "==> Port scan timeout reached, no open ports detected on 10000."],
    ),
    (
        "missing_env_var",
        [
            "❌ Invalid environment variables: {",
            "  DATABASE_URL: [ 'Required' ]",
            "}",
            "Error: Invalid environment variables",
        ],
    ),
    (
        "missing_env_var",
        [
            "❌ Invalid environment variables:",
            "[",
            "  {",
            "    code: 'invalid_type',",
            "    expected: 'string',",
            "    received: 'undefined',",
            "    path: [ 'NEXTAUTH_SECRET' ],",
            "    message: 'Required'",
            "  }",
            "]",
            "Error: Invalid environment variables",
        ],
    ),
    (
        "missing_env_var",
        [
            "ZodError: [",
            "  {",
            '    "code": "invalid_type",',
            '    "expected": "string",',
            '    "received": "undefined",',
            '    "path": [ "JWT_SECRET" ],',
            '    "message": "Required"',
        ],
    ),
    (
        "dependency_redis",
        ["Cannot connect to redis://cache:6379: Error 111 connecting to cache:6379. Connection refused."],
    ),
    (
        "dependency_redis",
        [
            "[2024-01-01] consumer: Cannot connect to redis://redis:6379/0: Error 111 connecting to redis:6379. Connection refused.. Trying again in 2.00 seconds"
        ],
    ),
    (
        "suspended_free_quota",
        ["You have used all 750 free instance hours for this month.", "HTTP/2 503", "x-render-routing: suspend"],
    ),
    (
        "crashed_at_start|wrong_port",
        [
            "***************************",
            "APPLICATION FAILED TO START",
            "***************************",
            "Web server failed to start. Port 8080 was already in use.",
        ],
    ),
    (
        "wrong_port",
        [
            "Launch timed out, space was not healthy after 30 min",
            " * Serving Flask app 'app'",
            " * Running on http://127.0.0.1:5000",
        ],
    ),
    (
        "wrong_port",
        [
            " * Serving Flask app 'app'",
            " * Running on http://127.0.0.1:5000",
            "Launch timed out, workload was not healthy after 30 min",
        ],
    ),
    (
        "slow_start",
        [
            "loading shards 12%",
            "loading shards 40%",
            "loading shards 88%",
            "==> Port scan timeout reached, no open ports detected.",
        ],
    ),
    (
        "slow_start",
        [
            "loading shards 12%",
            "loading shards 40%",
            "loading shards 88%",
            "==> Port scan timeout reached, no open ports detected.",
            "==> Common ways to troubleshoot your deploy: https://render.com/docs/troubleshooting-deploys",
        ],
    ),
    (
        "slow_start",
        [
            "Downloading model weights: 12%",
            "Downloading model weights: 62%",
            "The user-provided container failed to start and listen on the port defined by PORT=8080 within the allocated timeout.",
        ],
    ),
    (
        "missing_env_var",
        [
            'production.ERROR: No application encryption key has been specified. {"exception":"[object] (Illuminate\\\\Encryption\\\\MissingAppKeyException(code: 0)'
        ],
    ),
    ("missing_env_var", ["RuntimeException: No application encryption key has been specified."]),
    (
        "missing_env_var",
        [
            "ArgumentError: Missing `secret_key_base` for 'production' environment, set this string with `bin/rails credentials:edit`"
        ],
    ),
    ("suspended_by_owner", ["==> Service suspended (user)"]),
    ("suspended_by_owner", ["==> Service suspended by user"]),
    ("suspended_by_platform", ["==> Service suspended (billing)"]),
    (
        "unknown|healthy|app_error",
        [
            "2026-01-01T10:00:00Z ERROR c.a.OrderService - OrderException: Error: out of stock",
            "2026-01-01T10:00:01Z INFO c.a.OrderService - order 12 stored",
            "2026-01-01T10:00:02Z INFO c.a.OrderService - order 13 stored",
        ],
    ),
    (
        "unknown|healthy|app_error",
        [
            'time=2026-01-01T10:00:00Z level=error msg="card declined"',
            'time=2026-01-01T10:00:01Z level=info msg="GET /" status=200',
            'time=2026-01-01T10:00:01Z level=info msg="GET /" status=200',
        ],
    ),
    (
        "unknown|healthy|app_error",
        [
            '{"level":"error","msg":"user 12 not found"}',
            '{"level":"info","msg":"request completed","res":{"statusCode":200}}',
            '{"level":"info","msg":"request completed","res":{"statusCode":200}}',
        ],
    ),
    (
        "unknown|healthy|app_error",
        [
            "E, [2026-01-01T10:00:00] ERROR -- : StripeError: card declined",
            "I, [2026] INFO -- : Completed 200 OK in 12ms",
            "I, [2026] INFO -- : Completed 200 OK in 13ms",
        ],
    ),
    (
        "unknown|healthy|app_error",
        [
            "ValueError: bad coupon",
            'INFO:     10.0.0.1:1 - "GET /health HTTP/1.1" 200 OK',
            'INFO:     10.0.0.1:1 - "GET / HTTP/1.1" 200 OK',
        ],
    ),
    (
        "unknown|healthy|app_error",
        [
            "Error: rate of exchange missing",
            '[GIN] 2026/01/01 - 10:00:00 | 200 |  1.2ms | 10.0.0.1 | GET      "/health"',
            '[GIN] 2026/01/01 - 10:00:00 | 200 |  1.2ms | 10.0.0.1 | GET      "/"',
        ],
    ),
    ("crashed_at_start", ["panic: boom", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:5 +0x1d"]),
    (
        "crashed_at_start",
        [
            "Traceback (most recent call last):",
            '  File "/app/main.py", line 3, in <module>',
            "    boom()",
            "ValueError: bad",
            "==> Exited with status 1",
        ],
    ),
    (
        "crashed_at_start",
        [
            "/app/server.js:3",
            "throw new Error('boom')",
            "^",
            "",
            "Error: boom",
            "    at Object.<anonymous> (/app/server.js:3:7)",
            "Node.js v20.11.0",
        ],
    ),
    (
        "crashed_at_start",
        [
            "==> Running 'node x.js'",
            "Error: boom",
            "    at a (/app/x.js:1:1)",
            "    at b (/app/x.js:1:1)",
            "==> Exited with status 1",
            "==> Common ways to troubleshoot your deploy",
        ],
    ),
    ("crashed_at_start", ["Error: boom", "    at a (/app/x.js:1:1)", "npm ERR! code ELIFECYCLE", "npm ERR! errno 1"]),
    ("dependency_external", ["Net::SMTPAuthenticationError: 535-5.7.8 Username and Password not accepted."]),
    (
        "dependency_external",
        ["jakarta.mail.AuthenticationFailedException: 535 5.7.8 Error: authentication failed: bad password"],
    ),
    ("dependency_external", ["535 5.7.0 Invalid login or password"]),
    ("dependency_external", ["panic: 535 Authentication credentials invalid (sendgrid smtp)"]),
    (
        "dependency_external",
        ["S3ServiceException [SignatureDoesNotMatch]: The request signature we calculated does not match"],
    ),
    (
        "dependency_external",
        [
            "operation error S3: PutObject, https response error StatusCode: 403, api error InvalidAccessKeyId: The Access Key Id you provided does not exist"
        ],
    ),
    ("dependency_external", ["Aws::S3::Errors::AccessDenied: Access Denied"]),
    (
        "dependency_database",
        ["PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] No such file or directory in /app/i.php:3"],
    ),
    (
        "dependency_database",
        ['SQLSTATE[08006] [7] connection to server at "10.0.0.3", port 5432 failed: Connection refused'],
    ),
    (
        "dependency_database",
        ["Illuminate\\Database\\QueryException: SQLSTATE[HY000] [2002] Connection timed out (SQL: select 1)"],
    ),
    (
        "wrong_service_url",
        ["[proxy] request to https://backend-x1y2.onrender.com/api/v1 returned 404, x-render-routing: no-server"],
    ),
    ("wrong_service_url", ["ERROR: upstream https://api-zz9.onrender.com responded with status 404 (no-server)"]),
    (
        "healthy",
        [
            "[ioredis] Unhandled error event: Error: connect ECONNREFUSED 10.0.0.4:6379",
            "Redis connected",
            "Listening on port 3000",
            "==> Your service is live",
        ],
    ),
    (
        "healthy",
        [
            "redis.exceptions.ConnectionError: Error 111 connecting to red-abc:6379. Connection refused. Retry 1 of 5",
            "redis ready",
            "INFO:     Application startup complete.",
            "==> Your service is live",
        ],
    ),
    (
        "healthy",
        [
            "HikariPool-1 - Connection is not available, request timed out after 30000ms; retrying",
            "HikariPool-1 - database connection established",
            "Tomcat started on port 8080",
            "Started App in 3 seconds",
        ],
    ),
    (
        "healthy",
        [
            "Traceback (most recent call last):",
            '  File "/app/db.py", line 3',
            "psycopg2.OperationalError: could not connect to server: Connection refused",
            "waiting 2 s",
            "Connected to database",
            "INFO:     Uvicorn running on http://0.0.0.0:10000",
        ],
    ),
    (
        "healthy",
        [
            "waiting for postgres... connection refused",
            "waiting for postgres... connection refused",
            "PostgreSQL started",
            "Server listening on 0.0.0.0:3000",
            "==> Your service is live",
            "GET / 200 2 ms",
        ],
    ),
    (
        "healthy",
        [
            "ERROR anthropic overloaded_error, attempt 1",
            "anthropic call succeeded on attempt 2",
            "Server listening on port 3000",
        ],
    ),
    (
        "dependency_redis",
        [
            "Connected to PostgreSQL",
            "redis ECONNREFUSED 10.0.0.4:6379",
            "Server listening on port 3000",
            "==> Exited with status 1",
        ],
    ),
    (
        "dependency_redis",
        ["redis ECONNREFUSED, retrying", "Redis connected", "redis ECONNREFUSED", "redis ECONNREFUSED"],
    ),
    (
        "dependency_database",
        ["Redis connected", "could not connect to server: Connection refused port 5432", "==> Exited with status 1"],
    ),
    (
        "dependency_database",
        ["Connected to MongoDB", "Server listening on 3000", "MongoNetworkError: connection timed out"],
    ),
    (
        "wrong_port",
        [
            "uvicorn running on http://0.0.0.0:8000",
            "ERROR: The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable.",
        ],
    ),
    (
        "wrong_port",
        [
            "Now listening on: http://[::]:5000",
            "Container failed to start and then listen on the port defined by the PORT environment variable. PORT=8080",
        ],
    ),
    (
        "missing_env_var",
        ["❌ Invalid environment variables: { DATABASE_URL: [ 'Required' ], AUTH_SECRET: [ 'Required' ] }"],
    ),
    (
        "missing_env_var",
        [
            "Invalid environment variables: [",
            "  {",
            "    expected: 'string',",
            "    code: 'invalid_type',",
            "    path: [ 'OPENAI_API_KEY' ],",
            "    message: 'Invalid input: expected string, received undefined'",
            "  }",
            "]",
            "    at onValidationError",
        ],
    ),
    (
        "bad_env_var",
        [
            "❌ Invalid environment variables: {",
            "  DATABASE_URL: [ 'Invalid url' ]",
            "}",
            "Error: Invalid environment variables",
        ],
    ),
    (
        "bad_env_var|missing_env_var",
        ["❌ Invalid environment variables: {", "  DATABASE_URL: [ 'Invalid url' ],", "  X_KEY: [ 'Required' ]", "}"],
    ),
    ("missing_env_var", ['Environment validation error: "JWT_SECRET" is required']),
    ("dependency_redis", ["redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused."]),
    (
        "dependency_database",
        ['psycopg2.OperationalError: connection to server at "db" (172.18.0.2), port 5432 failed: Connection refused'],
    ),
    ("bad_env_var", ["==> Running 'npm start'", "Error: getaddrinfo ENOTFOUND redis"]),
    (
        "suspended_free_quota",
        ["HTTP/2 503", "x-render-routing: suspend", "Your free instance hours have been used up for this month"],
    ),
    ("suspended_free_quota", ["You've used all 750 of your free instance hours", "==> Service suspended"]),
    (
        "crashed_at_start|wrong_port",
        [
            "Identify and stop the process that's listening on port 8080",
            "Web server failed to start. Port 8080 was already in use.",
        ],
    ),
    (
        "crashed_at_start|wrong_port",
        ["System.IO.IOException: Failed to bind to address http://[::]:8080: address already in use."],
    ),
    (
        "wrong_port",
        [
            " * Running on http://127.0.0.1:5000 (Press CTRL+C to quit)",
            "==> No open ports detected on 0.0.0.0, continuing to scan...",
            "==> Port scan timeout reached, no open ports detected on 0.0.0.0.",
        ],
    ),
    (
        "slow_start",
        [
            "Loading shards 12%",
            "Loading shards 55%",
            "loading shards 88%",
            "Default STARTUP TCP probe failed 1 time consecutively for container on port 8080. failed to start and listen on the port defined by PORT=8080",
        ],
    ),
    ("slow_start", ["epoch 1 of 3 training", "==> Port scan timeout reached, no open ports detected."]),
    ("missing_env_var", ["local.ERROR: No application encryption key has been specified."]),
    ("missing_env_var", ["Illuminate\\Encryption\\MissingAppKeyException"]),
    ("suspended_by_owner", ["==> Service suspended by owner"]),
    ("suspended_by_owner", ["Service has been suspended (user)", "GET / 503"]),
    ("suspended_by_platform", ["==> Service suspended: payment failed"]),
    (
        "dependency_redis",
        [
            "redis ECONNREFUSED",
            "Redis connected",
            "redis ECONNREFUSED",
            "Redis connected",
            "redis ECONNREFUSED",
            "Redis connected",
        ],
    ),
    ("dependency_redis", ["Redis connected", "ReplyError: NOAUTH Authentication required.", "Redis connected"]),
    ("dependency_redis", ["redis: connection refused", "Initializing redis connection", "==> Exited with status 1"]),
    (
        "dependency_redis",
        [
            "redis: connection refused",
            "openai overloaded_error, attempt 1",
            "attempt 2 succeeded",
            "==> Exited with status 1",
        ],
    ),
    ("dependency_redis", ["redis: connection refused", "Listening on 3000", "GET /health 503 2 ms"]),
    (
        "dependency_service",
        ["call to https://chatbot.onrender.com/api answered 503 x-render-routing: dynamic-free-error"],
    ),
    (
        "app_error",
        ["Server listening on port 3000", "GET /api 500 12 ms", "TypeError: x is not a function", "GET /api 500 11 ms"],
    ),
    (
        "dependency_database",
        ["could not connect to server: Connection refused", "database ready check skipped", "==> Exited with status 1"],
    ),
    ("unknown|healthy|app_error", ["Error: timeout of 5000ms exceeded for job 3", "job 4 done", "job 5 done"]),
]


@pytest.mark.parametrize(("want", "log"), CASES, ids=[f"{n}-{want[:30]}" for n, (want, _) in enumerate(CASES)])
def test_the_first_cause_is_what_the_words_mean(want: str, log: list[str]) -> None:
    told, _ = why_document({"log": log})
    assert (told.causes[0].cause if told.causes else "healthy") in want.split("|"), told.causes


@pytest.mark.parametrize("line", ["==> Service suspended (user)", "==> Service suspended by owner"])
def test_an_owner_who_stops_a_service_is_not_its_platform(line: str) -> None:
    told, _ = why_document({"log": [line]})
    assert [one.cause for one in told.causes] == ["suspended_by_owner"]


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_trouble_after_a_recovery_stands(name: str) -> None:
    before = [
        f"{name}: connection refused, retrying",
        f"{name} connected",
        "Server listening on 3000",
        "==> Your service is live",
    ]
    assert not why_document({"log": before})[0].causes or why_document({"log": before})[0].causes[0].cause == "healthy"
    again = why_document({"log": [*before, f"{name}: connection refused"]})[0]
    assert again.causes[0].cause == ("dependency_redis" if name == "redis" else "dependency_database")


def test_one_dependency_that_is_back_excuses_no_other() -> None:
    told, _ = why_document({"log": ["redis: connection refused", "postgres connected", "Server listening on 3000"]})
    assert told.causes[0].cause == "dependency_redis"


def test_the_step_for_a_loopback_listener_names_the_address_and_the_port() -> None:
    told, _ = why_document(
        {"log": ["Running on http://127.0.0.1:5000", "==> Port scan timeout reached, no open ports detected."]}
    )
    assert told.causes[0].cause == "wrong_port"
    assert "0.0.0.0" in told.causes[0].next
    assert "$PORT" in told.causes[0].next


def test_a_port_that_was_sought_and_one_that_was_opened_are_both_named() -> None:
    log = ["Server started on port 3000", "The container failed to start and listen on the port defined by PORT=8080."]
    told, _ = why_document({"log": log})
    assert "3000" in told.causes[0].next
    assert "8080" in told.causes[0].next
