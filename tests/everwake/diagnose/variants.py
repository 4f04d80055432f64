"""Cases of our own making, many a cause: each line stands for a meaning, and for what another log or edge may say in its place.

Several names in `want`: from this evidence alone each of them is right.
"""
# ruff: noqa: E501 - lines of logs and answers are as long as they are

from typing import Any

__all__ = ["CASES"]

CASES: list[tuple[str, dict[str, Any]]] = []
GET = "GET"


def log(want: str, *lines: str, platform: str | None = None) -> None:
    """A log, and nothing else."""
    CASES.append((want, {"log": list(lines), **({"platform": platform} if platform else {})}))


def http(
    want: str, url: str, status: int | None, headers: dict[str, str] | None = None, body: str = "", method: str = GET,
    *, sent: dict[str, str] | None = None, **more: Any,
) -> None:  # fmt: skip
    """One answer."""
    request = {"method": method, "headers": sent or {}}
    CASES.append(
        (
            want,
            {
                "http": {
                    "url": url,
                    "status": status,
                    "headers": headers or {},
                    "body": body,
                    "request": request,
                    **more,
                }
            },
        )
    )


def plat(want: str, **state: Any) -> None:
    """What Render's API says."""
    CASES.append((want, {"platform": "render", "platform_state": state}))


HOME = "https://a.onrender.com/health"

STANDS = {"suspended": "not_suspended", "suspenders": []}
plat("suspended_by_owner", service={"suspended": "suspended", "suspenders": ["user"]})
plat("suspended_by_platform|suspended_free_quota", service={"suspended": "suspended", "suspenders": ["billing"]})
plat("suspended_by_platform|suspended_by_owner", service={"suspended": "suspended", "suspenders": ["parent_service"]})
plat("suspended_by_platform", service={"suspended": "suspended", "suspenders": ["unknown"]})
plat("suspended_by_platform", service={"suspended": "suspended", "suspenders": ["hipaa_enablement"]})
plat("deploy_in_progress", service=STANDS, deploys=[{"id": "1", "status": "build_in_progress"}])
plat("deploy_in_progress", service=STANDS, deploys=[{"id": "1", "status": "queued"}, {"id": "0", "status": "live"}])
plat(
    "deploy_in_progress",
    service=STANDS,
    deploys=[{"id": "1", "status": "pre_deploy_in_progress"}, {"id": "0", "status": "live"}],
)
plat(
    "deploy_superseded|healthy",
    service=STANDS,
    deploys=[{"id": "2", "status": "live"}, {"id": "1", "status": "canceled"}],
)
plat(
    "deploy_superseded|deploy_in_progress",
    service=STANDS,
    deploys=[{"id": "2", "status": "build_in_progress"}, {"id": "1", "status": "canceled"}],
)
plat(
    "build_failed|no_live_deploy",
    service=STANDS,
    deploys=[{"id": "2", "status": "build_failed"}, {"id": "1", "status": "build_failed"}],
)
plat(
    "crashed_at_start|no_live_deploy|health_check_failing",
    service=STANDS,
    deploys=[{"id": "2", "status": "update_failed"}, {"id": "1", "status": "live"}],
)
plat(
    "crashed_at_start|no_live_deploy|build_failed",
    service=STANDS,
    deploys=[{"id": "2", "status": "pre_deploy_failed"}, {"id": "1", "status": "live"}],
)
plat(
    "out_of_memory",
    service=STANDS,
    events=[
        {"type": "server_failed", "details": {"reason": {"evicted": False, "oomKilled": {"memoryLimit": "512Mi"}}}}
    ],
)
plat(
    "crashed_at_start|crash_loop",
    service=STANDS,
    events=[{"type": "server_failed", "details": {"reason": {"evicted": False, "nonZeroExit": 1}}}],
)
plat(
    "slow_start|health_check_failing|wrong_port",
    service=STANDS,
    events=[
        {
            "type": "deploy_ended",
            "details": {
                "deployStatus": "update_failed",
                "reason": {"timedOutSeconds": 900, "timedOutReason": "port scan timeout"},
            },
        }
    ],
)
plat("build_failed", service=STANDS, events=[{"type": "pipeline_minutes_exhausted"}])
plat(
    "benign_shutdown|healthy",
    service=STANDS,
    events=[{"type": "server_restarted", "details": {"reason": {"newDeploy": "dep-1"}}}],
)
plat(
    "benign_shutdown|healthy|unknown",
    service=STANDS,
    events=[{"type": "server_restarted", "details": {"triggeredByUser": "x"}}],
)
plat(
    "healthy",
    service=STANDS,
    deploys=[{"id": "1", "status": "live"}],
    events=[{"type": "deploy_ended", "details": {"deployStatus": "succeeded"}}, {"type": "server_available"}],
)
plat(
    "crashed_at_start|crash_loop",
    service=STANDS,
    events=[
        {"type": "server_failed", "details": {"reason": {"nonZeroExit": 1}}},
        {"type": "server_failed", "details": {"reason": {"nonZeroExit": 1}}},
        {"type": "server_failed", "details": {"reason": {"nonZeroExit": 1}}},
    ],
)

for routing, cause, status in (
    ("suspend-by-user", "suspended_by_owner", 503),
    ("suspend", "suspended_by_platform", 503),
    ("hibernate-pending-wake", "waking", 503),
    ("hibernate-wake-error", "wake_failed", 502),
    ("no-deploy", "no_live_deploy", 502),
    ("no-server", "no_live_deploy|no_such_service", 405),
    ("dynamic-paid-error", "instance_unreachable", 502),
    ("rewrite-error", "wrong_service_url", 502),
):
    http(cause, HOME, status, {"x-render-routing": routing})
http("healthy", HOME, 200, {"x-render-origin-server": "Render"}, '{"status":"ok"}')
http("healthy", HOME, 404, {"x-render-origin-server": "Render", "content-type": "text/html"}, "Cannot GET /health")
http("healthy", HOME, 405, {}, '{"detail":"Method Not Allowed"}', "HEAD")
http("healthy", HOME, 401, {"x-render-origin-server": "Render"}, "Unauthorized")
http("app_error", HOME, 500, {"x-render-origin-server": "Render"}, "Internal Server Error")
http("app_error", HOME, 500, {"content-type": "text/plain"}, "Internal Server Error")
http(
    "dependency_database|health_check_failing",
    HOME,
    503,
    {"content-type": "application/json"},
    '{"status":"unhealthy","checks":{"db":"connection refused","redis":"ok"}}',
)
http(
    "dependency_redis",
    HOME,
    200,
    {"content-type": "application/json"},
    '{"status":"degraded","redis":{"connected":false}}',
)
http(
    "healthy",
    HOME,
    200,
    {"content-type": "application/json"},
    '{"status":"healthy","service":"chatify_chatbot","redis":{"state":"ready"},"error":null,"failed":0}',
)
http(
    "dependency_redis",
    HOME,
    200,
    {"content-type": "application/json"},
    '{"status":"healthy","service":"chatify_chatbot","redis":{"state":"failed","note":"refused"}}',
)
http("waking|asleep|instance_unreachable|unknown", HOME, None, {}, "", elapsed_ms=30000)
http("waking", HOME, None, {}, "", elapsed_ms=30000, failure="timed out")
http("maintenance_mode", HOME, 503, {}, "<h1>This site is offline for maintenance</h1>")
http("edge_blocked", HOME, 403, {"server": "cloudflare", "cf-mitigated": "challenge"}, "")
http("edge_blocked", "https://x.com/", 403, {"server": "cloudflare"}, "<title>Attention Required! | Cloudflare</title>")
http("edge_blocked", "https://x.com/", 403, {}, "error code: 1010")
http("instance_unreachable", "https://x.com/", 521, {"server": "cloudflare"}, "error code: 521")
http("instance_unreachable", "https://x.com/", 522, {"server": "cloudflare"}, "")
http("instance_unreachable|app_error", "https://x.com/", 524, {"server": "cloudflare"}, "")
http("dependency_tls|domain_misrouted", "https://x.com/", 525, {"server": "cloudflare"}, "")
http("dependency_tls|domain_misrouted", "https://x.com/", 526, {"server": "cloudflare"}, "Invalid SSL certificate")
http("tunnel_down|domain_misrouted", "https://x.com/", 530, {"server": "cloudflare"}, "error code: 1033")
http("no_such_service", "https://a.herokuapp.com/", 404, {"server": "Cowboy"}, "<title>No such app</title>")
http(
    "crashed_at_start|instance_unreachable",
    "https://a.herokuapp.com/",
    503,
    {"server": "Cowboy"},
    "<title>Application Error</title>",
)
http("crashed_at_start|instance_unreachable", "https://a.herokuapp.com/", 503, {}, "")
http(
    "no_such_service|suspended_by_owner",
    "https://a.up.railway.app/",
    404,
    {},
    '{"status":"error","code":404,"message":"Application not found","request_id":"x"}',
)
http(
    "instance_unreachable|crashed_at_start",
    "https://a.up.railway.app/",
    502,
    {"x-railway-fallback": "true"},
    '{"status":"error","code":502,"message":"Application failed to respond"}',
)
http("healthy", "https://a.up.railway.app/x", 404, {"server": "railway-edge"}, '{"detail":"Not Found"}')
http(
    "no_live_deploy|no_such_service",
    "https://a.koyeb.app/",
    404,
    {"server": "cloudflare"},
    "<title>404 - No active service</title>",
)
http("asleep", "https://a.hf.space/", 503, {}, "This Space is sleeping due to inactivity")
http("suspended_by_owner", "https://a.hf.space/", 503, {}, "This Space has been paused by its owner")
http("build_failed", "https://a.hf.space/", 503, {}, "Build error")
http(
    "no_such_service",
    "https://a.vercel.app/",
    404,
    {"x-vercel-error": "DEPLOYMENT_NOT_FOUND"},
    "The deployment could not be found on Vercel.",
)
http(
    "app_error|slow_start|dependency_database|dependency_external",
    "https://a.vercel.app/api",
    504,
    {"x-vercel-error": "FUNCTION_INVOCATION_TIMEOUT"},
    "An error occurred with your deployment FUNCTION_INVOCATION_TIMEOUT",
)
http(
    "static_assets_missing|no_live_deploy",
    "https://a.vercel.app/x",
    404,
    {"x-vercel-error": "NOT_FOUND"},
    "404: NOT_FOUND",
)
http(
    "static_assets_missing|no_live_deploy",
    "https://a.vercel.app/x",
    404,
    {},
    "404: NOT_FOUND Code: NOT_FOUND ID: fra1::abc",
)
http(
    "edge_blocked|healthy",
    "https://a.vercel.app/",
    401,
    {},
    "<title>Authentication Required</title> vercel authentication",
)
http("no_such_service", "https://a.netlify.app/", 404, {"server": "Netlify"}, "Not Found - Request ID: 01ABC")
http(
    "suspended_by_platform|suspended_free_quota",
    "https://a.netlify.app/",
    503,
    {"server": "Netlify"},
    "Site not available. usage_exceeded",
)
http(
    "instance_unreachable|crashed_at_start|wrong_port",
    "https://a-uc.a.run.app/",
    503,
    {"server": "Google Frontend"},
    "Service Unavailable",
)
http(
    "edge_blocked|healthy",
    "https://a-uc.a.run.app/",
    403,
    {"server": "Google Frontend"},
    "<title>403 Forbidden</title> Your client does not have permission to get URL / from this server.",
)
http(
    "tunnel_down",
    "https://a.ngrok-free.app/",
    404,
    {"ngrok-error-code": "ERR_NGROK_3200"},
    "The endpoint a.ngrok-free.app is offline. ERR_NGROK_3200",
)
http(
    "instance_unreachable|wrong_port|tunnel_down",
    "https://a.ngrok-free.app/",
    502,
    {"ngrok-error-code": "ERR_NGROK_8012"},
    "",
)
http(
    "domain_misrouted|no_such_service",
    "https://www.x.com/",
    404,
    {"server": "GitHub.com"},
    "There isn't a GitHub Pages site here.",
)
http("domain_misrouted", "https://www.x.com/", 200, {}, "<h1>Welcome to nginx!</h1>")
http(
    "cors_only",
    "https://api.x.com/a",
    204,
    {},
    "",
    "OPTIONS",
    sent={"Origin": "https://app.x.com", "Access-Control-Request-Method": "POST"},
)
http(
    "healthy",
    "https://api.x.com/a",
    204,
    {"access-control-allow-origin": "https://app.x.com"},
    "",
    "OPTIONS",
    sent={"Origin": "https://app.x.com"},
)
http(
    "cors_only",
    "https://api.x.com/a",
    200,
    {"access-control-allow-origin": "https://app.x.com/"},
    "",
    "GET",
    sent={"Origin": "https://app.x.com"},
)
http(
    "waking",
    "https://api.onrender.com/a",
    503,
    {"x-render-routing": "hibernate-pending-wake"},
    "",
    "OPTIONS",
    sent={"Origin": "https://app.x.com"},
)
http(
    "bad_env_var|app_error",
    "https://a.onrender.com/",
    400,
    {"content-type": "text/html"},
    "<!doctype html><html><head><title>Bad Request (400)</title></head><body><h1>Bad Request (400)</h1><p></p></body></html>",
)
http("healthy", "https://a.fly.dev/", 302, {"location": "/login"}, "")
http(
    "instance_unreachable|wrong_port|crashed_at_start",
    "https://a.fly.dev/",
    502,
    {"fly-request-id": "x", "server": "Fly/1"},
    "",
)
http(
    "dependency_external|app_error",
    "https://a.onrender.com/chat",
    500,
    {"content-type": "application/json"},
    '{"error":"Incorrect API key provided: sk-***"}',
)
http(
    "dependency_database|app_error",
    "https://a.onrender.com/x",
    500,
    {"content-type": "application/json"},
    '{"error":"connect ECONNREFUSED 10.0.0.3:5432"}',
)
http(
    "dependency_service|app_error",
    "https://a.onrender.com/chat",
    502,
    {"content-type": "application/json", "x-render-origin-server": "Render"},
    '{"error":"AI service unavailable"}',
)
http(
    "healthy",
    "https://a.onrender.com/x",
    422,
    {"content-type": "application/json"},
    '{"detail":[{"loc":["body"],"msg":"field required"}]}',
    "POST",
)
http(
    "healthy|app_error",
    "https://a.onrender.com/x",
    400,
    {"content-type": "application/json"},
    '{"error":"bad input"}',
    "POST",
)
http("waking", HOME, 200, {"content-type": "text/html"}, "<title>Render</title><div>Application loading</div>")

log("out_of_memory", "==> Ran out of memory (used over 512MB) while running your code.")
log(
    "out_of_memory",
    "<--- Last few GCs --->",
    "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory",
    "==> Exited with status 134",
)
log(
    "out_of_memory",
    "heroku[web.1]: Error R15 (Memory quota vastly exceeded)",
    "heroku[web.1]: Stopping process with SIGKILL",
)
log("out_of_memory", "Killed process 331 (node) total-vm:1GB", "oom_reaper: reaped process 331")
log(
    "out_of_memory",
    "[12.3] Out of memory: Killed process 234 (python)",
    "INFO Main child exited with signal (with signal 'SIGKILL', core dumped? false)",
)
log("crashed_at_start", 'npm error Missing script: "start"', "==> Exited with status 1")
log(
    "crashed_at_start",
    "Traceback (most recent call last):",
    '  File "/opt/render/project/src/main.py", line 3, in <module>',
    "    from flask_cors import CORS",
    "ModuleNotFoundError: No module named 'flask_cors'",
)
log("crashed_at_start", "/bin/sh: 1: gunicorn: not found")
log("crashed_at_start", "Error: Cannot find module '/opt/render/project/src/index.js'", "  code: 'MODULE_NOT_FOUND'")
log(
    "crashed_at_start",
    "SyntaxError: Unexpected token 'export'",
    "    at wrapSafe (node:internal/modules/cjs/loader:1378:20)",
    "==> Exited with status 1",
)
log("crashed_at_start", "exec /usr/local/bin/entrypoint.sh: exec format error")
log("crashed_at_start", 'Error: Could not import module "app.main".')
log(
    "crashed_at_start",
    "AppImportError: Failed to find attribute 'app' in 'main'.",
    "[INFO] Shutting down: Master",
    "[INFO] Reason: App failed to load.",
)
log("crashed_at_start", "==> Application exited early")
log("crashed_at_start", "ImportError: cannot import name 'url_quote' from 'werkzeug.urls'", "==> Exited with status 1")
log("missing_env_var", 'Error: Missing API key. Pass it to the constructor `new Resend("re_123")`')
log(
    "missing_env_var",
    "OpenAIError: The OPENAI_API_KEY environment variable is missing or empty; either provide it, or instantiate the OpenAI client with an apiKey option",
)
log(
    "missing_env_var",
    "openai.OpenAIError: The api_key client option must be set either by passing api_key to the client or by setting the OPENAI_API_KEY environment variable",
)
log(
    "missing_env_var",
    "TypeError: Cannot read properties of undefined (reading 'split')",
    "Error: DATABASE_URL is not defined",
)
log("missing_env_var", "panic: required key DATABASE_URL missing value")
log("missing_env_var", "thread 'main' panicked at 'DATABASE_URL must be set: NotPresent'")
log("missing_env_var", "error: Environment variable not found: DATABASE_URL.", "  -->  schema.prisma:10")
log(
    "missing_env_var",
    "ArgumentError: Missing `secret_key_base` for 'production' environment, set this string with `bin/rails credentials:edit`",
)
log("missing_env_var", "Error: secretOrPrivateKey must have a value")
log("missing_env_var", "Error: supabaseUrl is required.")
log(
    "missing_env_var",
    "java.lang.IllegalArgumentException: Could not resolve placeholder 'DB_URL' in value \"${DB_URL}\"",
)
log(
    "missing_env_var|bad_env_var",
    "discord.errors.LoginFailure: Improper token has been passed.",
    "KeyError: 'TOKEN'",
)
log(
    "missing_env_var",
    "decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default value.",
)
log("missing_env_var", "Error: Neither apiKey nor config.authenticator provided")
log("bad_env_var", "sqlalchemy.exc.ArgumentError: Could not parse SQLAlchemy URL from string 'psql postgresql://'")
log(
    "bad_env_var",
    "redis.exceptions.ConnectionError: Redis URL must specify one of the following schemes (redis://, rediss://, unix://)",
)
log("bad_env_var", "ValueError: Redis URL must specify one of the following schemes (redis://, rediss://, unix://)")
log(
    "bad_env_var",
    "RangeError [ERR_SOCKET_BAD_PORT]: options.port should be >= 0 and < 65536. Received type string ('tcp://10.0.0.1:3000').",
)
log(
    "bad_env_var",
    "json.decoder.JSONDecodeError: Extra data: line 1 column 89 (char 88)",
    'pydantic_settings.sources.SettingsError: error parsing value for field "BACKEND_CORS_ORIGINS" from source "EnvSettingsSource"',
)
log("bad_env_var", "FirebaseAppError: Failed to parse private key: Error: Invalid PEM formatted message.")
log("bad_env_var", "error:1E08010C:DECODER routines::unsupported")
log("bad_env_var", 'panic: parse "postgres://user:pa#ss@host:5432/db": invalid port ":pa" after host')
log("bad_env_var", 'TypeError [ERR_INVALID_CHAR]: Invalid character in header content ["Authorization"]')
log(
    "bad_env_var|dependency_database",
    "Error: getaddrinfo ENOTFOUND base",
    "    at GetAddrInfoReqWrap.onlookupall [as oncomplete] (node:dns:120:26)",
)
log("bad_env_var|dependency_redis", "Error: getaddrinfo EAI_AGAIN redis")
log("bad_env_var|dependency_database", 'could not translate host name "db" to address: Name or service not known')
log(
    "dependency_database",
    "pymongo.errors.ServerSelectionTimeoutError: cluster0-shard.mongodb.net:27017: connection closed, Timeout: 30s",
)
log("dependency_database", "Error: connect ETIMEDOUT 34.1.2.3:5432")
log("dependency_database", "Error: P1001: Can't reach database server at `dpg-abc-a:5432`", "==> Exited with status 1")
log("dependency_database", 'FATAL: database "app" does not exist')
log("dependency_database", 'error: password authentication failed for user "postgres"', "==> Exited with status 1")
log("dependency_database", "bad auth : Authentication failed.", "MongoServerError: bad auth : Authentication failed.")
log(
    "dependency_database",
    "[error] Unable to connect to the database: SequelizeConnectionRefusedError: connect ECONNREFUSED 10.2.3.4:5432",
)
log("dependency_database", "FATAL: Tenant or user not found")
log("dependency_database|app_error", "MongooseError: Operation `users.findOne()` buffering timed out after 10000ms")
log("dependency_database|dependency_tls", "psycopg2.OperationalError: SSL connection has been closed unexpectedly")
log(
    "dependency_database",
    "org.postgresql.util.PSQLException: Connection to dpg-x:5432 refused. Check that the hostname and port are correct",
)
log("dependency_tls", "psycopg2.OperationalError: FATAL: SSL/TLS required")
log("dependency_tls", "Error: unable to verify the first certificate")
log("dependency_tls", "error: The server does not support SSL connections")
log(
    "dependency_tls|dependency_redis",
    "redis.exceptions.ConnectionError: Connection closed by server.",
    "REDIS_URL=redis://x.upstash.io:6379",
)
log(
    "dependency_tls",
    "MongoServerSelectionError: 00A: error:0A000438:SSL routines:ssl3_read_bytes:tlsv1 alert internal error",
)
log("dependency_redis", "Error: connect ECONNREFUSED 10.1.2.3:6379")
log("dependency_redis", "NOAUTH Authentication required.")
log("dependency_redis", "redis.exceptions.ResponseError: max requests limit exceeded. Limit: 500000, Usage: 500000")
log("dependency_redis", "redis.exceptions.TimeoutError: Timeout connecting to server")
log("dependency_redis|dependency_tls", "[ioredis] Unhandled error event: Error: read ECONNRESET")
log("dependency_external", "openai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}")
log("dependency_external", "Error: 429 You exceeded your current quota, please check your plan and billing details.")
log("dependency_external", "google.api_core.exceptions.ResourceExhausted: 429 Quota exceeded for quota metric")
log(
    "dependency_external",
    "telegram.error.Conflict: Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
)
log(
    "bad_env_var|dependency_external",
    "openai.AuthenticationError: Error code: 401 - {'error': {'message': 'Incorrect API key provided: sk-abc***.'}}",
)
log("dependency_external|bad_env_var", "StripeAuthenticationError: Invalid API Key provided: sk_test_***")
log(
    "wrong_port",
    "==> No open ports detected on 0.0.0.0, continuing to scan...",
    "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
)
log(
    "wrong_port",
    " * Running on http://127.0.0.1:5000",
    "==> Port scan timeout reached, no open ports detected on 0.0.0.0. Detected open ports on localhost -- did you mean to bind one of these to 0.0.0.0?",
)
log(
    "wrong_port|crashed_at_start",
    "Cloud Run error: The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable.",
)
log(
    "wrong_port",
    "[error] instance refused connection. is your app listening on 0.0.0.0:8080?",
    "Server listening on 127.0.0.1:3000",
)
log(
    "health_check_failing",
    'Warning  Unhealthy  10s  kubelet  Liveness probe failed: Get "http://10.0.0.1:8080/health": context deadline exceeded',
)
log(
    "health_check_failing",
    "Attempt #1 failed with service unavailable. Continuing to retry for 4m49s",
    "Attempt #2 failed with service unavailable. Continuing to retry for 4m39s",
    "1/1 replicas never became healthy!",
    "Healthcheck failed!",
    platform="railway",
)
log("crash_loop|crashed_at_start", "Warning BackOff kubelet Back-off restarting failed container", "CrashLoopBackOff")
log("slow_start", "[CRITICAL] WORKER TIMEOUT (pid:55)", "[WARNING] Worker with pid 55 was terminated due to signal 6")
log(
    "slow_start|out_of_memory",
    "[CRITICAL] WORKER TIMEOUT (pid:55)",
    "[ERROR] Worker (pid:55) was sent SIGKILL! Perhaps out of memory?",
)
log(
    "build_failed",
    "==> Running build command 'yarn'...",
    "error TS2307: Cannot find module 'x' or its corresponding type declarations.",
    "==> Build failed 😞",
)
log(
    "build_failed",
    "ERROR: Could not find a version that satisfies the requirement pywin32==306 (from versions: none)",
    "ERROR: No matching distribution found for pywin32==306",
)
log(
    "build_failed",
    'ERROR: failed to solve: process "/bin/sh -c npm run build" did not complete successfully: exit code: 1',
)
log(
    "build_failed",
    '==> Service Root Directory "/opt/render/project/src/backend" is missing.',
    "builder.sh: line 51: cd: /opt/render/project/src/backend: No such file or directory",
)
log("build_failed", "remote: ! Push rejected, failed to compile Node.js app.")
log("build_failed", "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'requirements.txt'")
log("build_failed", "Module not found: Error: Can't resolve './Navbar' in '/opt/build/repo/src'", "Failed to compile.")
log("scaled_to_zero", 'heroku[router]: at=error code=H14 desc="No web processes running" method=GET path="/"')
log(
    "app_error",
    '2024-01-01T00:00:00+00:00 heroku[router]: at=error code=H12 desc="Request timeout" method=GET path="/" service=30001ms status=503',
)
log(
    "benign_shutdown|healthy",
    "INFO:     Shutting down",
    "INFO:     Waiting for application shutdown.",
    "INFO:     Application shutdown complete.",
    "INFO:     Finished server process [1]",
)
log(
    "benign_shutdown|healthy",
    "npm error signal SIGTERM",
    "npm error command sh -c node server.js",
    "npm error A complete log of this run can be found in: /opt/render/.npm/_logs/x-debug-0.log",
)
log(
    "benign_shutdown|healthy",
    "==> Your service is live 🎉",
    "npm ERR! path /opt/render/project/src",
    "npm ERR! command failed",
    "npm ERR! signal SIGTERM",
)
log(
    "benign_shutdown|asleep|healthy",
    "[info] Sending signal SIGINT to main child process w/ PID 314",
    "[info] Main child exited normally with code: 0",
    "[info] Starting clean up.",
    "[info] Umounting /dev/vdb from /data",
    platform="fly",
)
log(
    "asleep|benign_shutdown",
    "proxy[918] iad [info] App demo has excess capacity, autostopping machine 918. 0 out of 1 machines left running (region=iad, process group=app)",
    "app[918] iad [info] INFO Sending signal SIGINT to main child process w/ PID 314",
    platform="fly",
)
log(
    "healthy|waking",
    "proxy[918] iad [info] Starting machine",
    "proxy[918] iad [info] machine started in 1.2s",
    "app[918] iad [info] INFO Listening on http://0.0.0.0:8080",
    platform="fly",
)
log("deploy_superseded", "==> Deploy canceled", "==> Another deploy started")
log(
    "suspended_free_quota|suspended_by_platform",
    "Your free instance hours for this month have been used up; service suspended",
)
log(
    "cors_only",
    "Access to XMLHttpRequest at 'https://api.x.com/login' from origin 'http://localhost:3000' has been blocked by CORS policy: Response to preflight request doesn't pass access control check",
)
log(
    "healthy",
    "(node:56) [DEP0040] DeprecationWarning: The `punycode` module is deprecated.",
    "Server running on port 10000",
    "MongoDB connected",
    "==> Your service is live 🎉",
)
log(
    "healthy",
    "INFO:     Application startup complete.",
    'INFO:     1.2.3.4:0 - "GET /favicon.ico HTTP/1.1" 404 Not Found',
    'INFO:     1.2.3.4:0 - "GET /wp-login.php?error=failed HTTP/1.1" 404 Not Found',
)
log(
    "healthy",
    "[Nest] 56  - LOG [NestFactory] Starting Nest application...",
    "[Nest] 56  - LOG [NestApplication] Nest application successfully started",
    "==> Detected service running on port 3000",
    "==> Your service is live",
)
log("platform_incident|crashed_at_start", "0/6 nodes are available: insufficient memory. FailedScheduling")
log(
    "crashed_at_start|dependency_database",
    "django.db.migrations.exceptions.NodeNotFoundError: Migration app.0002 dependencies reference nonexistent parent node",
    "==> Exited with status 1",
)
log("crashed_at_start", "Error: listen EADDRINUSE: address already in use :::10000")
log(
    "tunnel_down",
    'ERR Register tunnel error from server side error="Unauthorized: Failed to get tunnel"',
    "ERR Failed to serve tunnel connection",
)
log("wrong_service_url|dependency_service", "getaddrinfo ENOTFOUND chatify-chatbot-ww0z.onrender.com")
log(
    "dependency_service",
    "httpx.ConnectError: All connection attempts failed: https://chatbot.internal:8000/session",
    "ERROR AI service unavailable",
)
log(
    "dependency_service|waking",
    "AxiosError: Request failed with status code 503",
    "  url: 'https://chatbot.onrender.com/api/v1/chatbot/session'",
)
log("unknown", "hello", "world")
log("unknown|healthy", "Booting up", "doing something")
# cascade & order
log(
    "missing_env_var",
    "==> Exited with status 1",
    "==> No open ports detected, continuing to scan...",
    "KeyError: 'SECRET_KEY'",
    "    return os.environ['SECRET_KEY']",
)
log(
    "dependency_database",
    "2026-01-01T10:00:05Z ==> Port scan timeout reached, no open ports detected.",
    "2026-01-01T10:00:01Z Error: connect ECONNREFUSED 10.0.0.9:5432",
    "2026-01-01T10:00:00Z ==> Running 'npm start'",
)
log(
    "bad_env_var",
    "2026-01-01T10:00:00Z ==> Running 'x'",
    "2026-01-01T10:00:01Z pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
    "2026-01-01T10:00:01Z DEBUG",
    "2026-01-01T10:00:01Z   Input should be a valid boolean, unable to interpret input [type=bool_parsing, input_value='yes please', input_type=str]",
    "2026-01-01T10:00:02Z ==> Exited with status 1",
)


log(
    "dependency_tls|dependency_database",
    "Error: self signed certificate in certificate chain",
    "    at TLSSocket.onConnectSecure",
    "  code: 'SELF_SIGNED_CERT_IN_CHAIN'",
)
log("dependency_database", 'error: connection to server at "dpg-abc" (10.0.0.1), port 5432 failed: Connection refused')
log(
    "dependency_database",
    'sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at "x.render.com", port 5432 failed: FATAL:  password authentication failed for user "u"',
)
log("dependency_tls|dependency_database", "connection to server failed: FATAL:  SSL/TLS required")
log("dependency_database|dependency_tls", "ERROR 2026 (HY000): SSL connection error: error:00000000:lib(0)")
log(
    "missing_env_var|dependency_database", "sequelize: Error: Dialect needs to be explicitly supplied as of v4.0.0"
) if False else None
log("bad_env_var|missing_env_var", "Error: Dialect needs to be explicitly supplied as of v4.0.0")
log("missing_env_var", "RuntimeError: Neither SQLALCHEMY_DATABASE_URI nor SQLALCHEMY_BINDS is set.")
log("missing_env_var", "django.core.exceptions.ImproperlyConfigured: Set the DATABASE_URL environment variable")
log("missing_env_var", "KeyError: \"Environment variable 'SECRET' not set\"")
log("missing_env_var", 'Error: Config validation error: "JWT_SECRET" is required')
log("missing_env_var", "❌ Invalid environment variables: { DATABASE_URL: [ 'Required' ] }")
log(
    "missing_env_var",
    'ZodError: [ { "code": "invalid_type", "expected": "string", "received": "undefined", "path": [ "DATABASE_URL" ], "message": "Required" } ]',
)
log("missing_env_var", "TypeError: Cannot read property 'split' of undefined", "[ERROR] BOT_TOKEN is missing in .env")
log("missing_env_var", "FATAL Missing environment variables: MONGO_URI, JWT_SECRET", "==> Exited with status 1")
log("missing_env_var", 'environs.exceptions.EnvError: Environment variable "BOT_TOKEN" not set')
log("missing_env_var", "ERROR: DISCORD_TOKEN not found in environment variables")
log("missing_env_var", "Error [TokenInvalid]: An invalid token was provided.")
log("missing_env_var", "streamlit.errors.StreamlitSecretNotFoundError: No secrets found.")
log("missing_env_var", "google.auth.exceptions.DefaultCredentialsError: File /etc/secrets/key.json was not found.")
log("bad_env_var|missing_env_var", "FirebaseError: Firebase: Error (auth/invalid-api-key).")
log("bad_env_var", 'ValueError: Invalid service account certificate. Certificate must contain a "project_id" property')
log(
    "bad_env_var",
    "pymongo.errors.InvalidURI: Username and password must be escaped according to RFC 3986, use urllib.parse.quote_plus",
)
log("bad_env_var", "MongoParseError: Password contains unescaped characters")
log(
    "bad_env_var", "pymongo.errors.InvalidURI: Invalid URI scheme: URI must begin with 'mongodb://' or 'mongodb+srv://'"
)
log("bad_env_var", "Error: P1013: The provided database string is invalid. invalid port number in database URL.")
log(
    "bad_env_var",
    "Error: P1012 error: Error validating datasource `db`: the URL must start with the protocol `postgresql://`",
)
log("bad_env_var", "ValueError: Port could not be cast to integer value as 'pass@host'")
log("bad_env_var", "Error: getaddrinfo ENOTFOUND HOST")
log("bad_env_var", "error: The `PORT` must be a number")
log("bad_env_var", "Error: '$PORT' is not a valid port number.")
log("bad_env_var", "Error: Invalid value for '--port': '$PORT' is not a valid integer.")
log("bad_env_var|crashed_at_start", "gunicorn: error: argument -b: invalid value '0.0.0.0:$PORT'")
log("bad_env_var", "django.core.exceptions.ImproperlyConfigured: No support for ''. We support: cockroach, mssql")
log("bad_env_var|dependency_tls", "ValueError: Invalid SSL Cert Requirements Flag: required")
log("bad_env_var", "redis.exceptions.ConnectionError: Error -2 connecting to redis:6379. Name or service not known.")
log(
    "dependency_redis",
    "redis.exceptions.ConnectionError: Error -2 connecting to apn1-abc.upstash.io:6379. Name or service not known.",
)
log("dependency_redis", "Error: Redis connection lost and command aborted")
log("dependency_redis", "RedisError: LOADING Redis is loading the dataset in memory")
log(
    "dependency_redis",
    "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
)
log("dependency_redis", "ClientClosedError: The client is closed", "    at Commander._RedisClient_sendCommand")
log(
    "dependency_redis|dependency_tls", "SocketClosedUnexpectedlyError: Socket closed unexpectedly", "redis client error"
)
log("out_of_memory", "==> Instance failed: Ran out of memory (used over 512MB)")
log("out_of_memory", "Process exited: signal: killed (out of memory)")
log("out_of_memory|crashed_at_start", "/bin/bash: line 1:    78 Killed                  python app.py")
log("out_of_memory", "torch.cuda.OutOfMemoryError: CUDA out of memory.")
log("out_of_memory", "The container was OOMKilled (exit code 137)")
log("out_of_memory", "Memory usage of 100% exceeded limit, restarting instance") if False else None
log("out_of_memory", "Workload evicted, storage/memory limit exceeded (16G)") if False else None
log("crashed_at_start", "sh: next: not found", "==> Exited with status 127")
log("crashed_at_start", "sh: 1: nodemon: Permission denied", "==> Exited with status 126")
log("crashed_at_start", "Error: ENOENT: no such file or directory, open './config.json'", "==> Exited with status 1")
log(
    "crashed_at_start",
    "npm ERR! code ENOENT",
    "npm ERR! enoent ENOENT: no such file or directory, open '/opt/render/project/src/package.json'",
)
log(
    "crashed_at_start", "python: can't open file '/opt/render/project/src/main.py': [Errno 2] No such file or directory"
)
log("crashed_at_start", "Error: Unable to access jarfile target/app.jar")
log("crashed_at_start", "TypeError: app.listen is not a function", "==> Exited with status 1")
log("crashed_at_start", "ReferenceError: require is not defined in ES module scope", "==> Exited with status 1")
log("crashed_at_start", "AttributeError: module 'bcrypt' has no attribute '__about__'", "==> Exited with status 1")
log("crashed_at_start", "ImportError: libGL.so.1: cannot open shared object file: No such file or directory")
log("crashed_at_start", "terminate called after throwing an instance of 'std::runtime_error'", "Aborted (core dumped)")
log(
    "crashed_at_start",
    "[ERROR] Worker (pid:7) exited with code 3",
    "[ERROR] Shutting down: Master",
    "[ERROR] Reason: Worker failed to boot.",
)
log(
    "crashed_at_start|bad_env_var",
    "ModuleNotFoundError: No module named 'your_application'",
    "[ERROR] Exception in worker process",
)
log(
    "crashed_at_start",
    "Could not find a production build in the '.next' directory. Try building your app with 'next build'",
)
log("crashed_at_start", "error: unrecognized arguments: --bind", "==> Exited with status 2")
log("crashed_at_start", "2022 heroku[web.1]: Process exited with status 127", "bash: node: command not found")
log("crashed_at_start", 'at=error code=H10 desc="App crashed"', "heroku[web.1]: State changed from starting to crashed")
log(
    "crashed_at_start|missing_env_var",
    "heroku[web.1]: State changed from starting to crashed",
    "app[web.1]: Error: Cannot find module 'dotenv'",
)
log(
    "crash_loop|crashed_at_start",
    "Container failed to start. Restarting (5/10)",
    "Container failed to start. Restarting (6/10)",
)
log(
    "crash_loop|crashed_at_start",
    "web exited with code 1",
    "web exited with code 1",
    "web exited with code 1",
    platform="docker",
)
log(
    "wrong_port|slow_start",
    "==> Timed Out",
    "==> Port scan timeout reached, no open HTTP ports detected. If you don't need to receive public HTTP traffic, create a private service instead.",
)
log(
    "healthy",
    "==> New primary port detected: 5000. Restarting deploy to update network configuration...",
    "==> Your service is live",
)
log(
    "healthy|wrong_port",
    "==> No open HTTP ports detected on 0.0.0.0, continuing to scan...",
    "==> Detected service running on port 8080",
    "==> Your service is live 🎉",
)
log("wrong_port", "Error: Server listening on 127.0.0.1:3000", "==> No open ports detected")
log(
    "wrong_port",
    "[PC01] instance refused connection. is your app listening on 0.0.0.0:8080? make sure it is not only listening on 127.0.0.1",
)
log("health_check_failing", "Health check on port 8080 has failed. Your app is not responding properly.")
log(
    "health_check_failing|slow_start",
    "==> Timed out after waiting for internal health check to return a successful response code at: a.onrender.com:10000 /",
)
log("health_check_failing", "Instance failed: HTTP health check failed (timed out after 5 seconds)")
log("health_check_failing|app_error", "HTTP health check failed (status 404)")
log("health_check_failing", "TCP health check failed on port 8000.", "Instance is stopping.", platform="koyeb")
log(
    "instance_unreachable|wrong_port|unknown",
    "[PR04] could not find a good candidate within 90 attempts at load balancing",
    platform="fly",
)
log(
    "scaled_to_zero",
    'heroku[router]: at=error code=H14 desc="No web processes running"',
    "heroku[web.1]: Process exited with status 0",
)
log("app_error", 'at=error code=H13 desc="Connection closed without response" status=503')
log(
    "app_error",
    "[ERROR] Error handling request /api",
    "Traceback (most recent call last):",
    "KeyError: 'user_id'",
    '10.0.0.1 - - [01/Jan/2026] "POST /api HTTP/1.1" 500 -',
)
log(
    "app_error",
    "Internal Server Error: /api/x",
    'django.db.utils.ProgrammingError: relation "app_user" does not exist',
    '"GET /api/x HTTP/1.1" 500',
)
log(
    "app_error|dependency_database",
    'sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation "users" does not exist',
)
log(
    "dependency_external",
    "Error: Request failed with status code 429",
    "    url: 'https://api.openai.com/v1/chat/completions'",
)
log("dependency_external", "groq.RateLimitError: Error code: 429 - Rate limit reached for model")
log("dependency_external", "anthropic.BadRequestError: Your credit balance is too low to access the Anthropic API.")
log(
    "dependency_external",
    "openai.NotFoundError: Error code: 404 - The model `gpt-4` does not exist or you do not have access to it.",
)
log(
    "dependency_external",
    "googleapiclient.errors.HttpError: <HttpError 403 when requesting https://www.googleapis.com returned quotaExceeded>",
)
log("dependency_external", "Error: Connection timeout ETIMEDOUT smtp.gmail.com:587")
log(
    "bad_env_var|dependency_external",
    "google.api_core.exceptions.InvalidArgument: 400 API key not valid. Please pass a valid API key.",
)
log(
    "bad_env_var|missing_env_var|dependency_external",
    "telegram.error.InvalidToken: The token `***` was rejected by the server.",
)
log("bad_env_var|missing_env_var", "discord.errors.LoginFailure: Improper token has been passed.")
log("bad_env_var|missing_env_var", "telebot: Exception: Token must contain a colon")
log(
    "build_failed",
    "==> Installing dependencies failed",
    "error: subprocess-exited-with-error",
    "× Getting requirements to build wheel did not run successfully.",
    "==> Build failed 😞",
)
log("build_failed", "npm error code E404", "npm error 404 Not Found - GET https://registry/x", "==> Build failed")
log("build_failed", 'ERR_PNPM_OUTDATED_LOCKFILE Cannot install with "frozen-lockfile"')
log("build_failed", 'error: could not compile `app` (bin "app") due to 2 previous errors')
log("build_failed", 'Error: Command "npm run build" exited with 1', platform="vercel")
log(
    "build_failed",
    "error: failed to push some refs to 'https://git.heroku.com/a.git'",
    "! [remote rejected] main -> main (pre-receive hook declined)",
)
log("build_failed", "Nixpacks was unable to generate a build plan for this app.")
log("build_failed", "error: metadata-generation-failed", "× Encountered error while generating package metadata.")
log("build_failed", "manifest for registry/app:latest not found: manifest unknown: manifest unknown")
log("deploy_superseded|healthy", "==> Build canceled", "==> Deploy cancelled because a newer deploy was started")
log("suspended_by_owner", "Service suspended by user")
log("suspended_by_platform|suspended_free_quota", "==> Service suspended: billing")
log("suspended_free_quota|suspended_by_platform", "Your app has exceeded its monthly free dyno hours quota")
log("platform_incident", "INTERNAL ERROR: platform error while starting container")
log(
    "platform_incident",
    "Failed to launch VM: aborted: could not reserve resource for machine: insufficient memory available to fulfill request",
)
log("maintenance_mode", 'at=info code=H80 desc="Maintenance mode" status=503')
log(
    "benign_shutdown|healthy",
    "2026-01-01T00:00:00Z ==> Your service is live",
    "2026-01-01T00:00:58Z [INFO] Handling signal: term",
    "2026-01-01T00:00:58Z [INFO] Worker exiting (pid: 57)",
    "2026-01-01T00:00:59Z [INFO] Shutting down: Master",
)
log(
    "benign_shutdown|healthy",
    "SIGTERM received, shutting down gracefully",
    "HTTP server closed",
    "Exited with status 0",
)
log(
    "benign_shutdown|healthy",
    'error Command failed with signal "SIGTERM".',
    "info Visit https://yarnpkg.com/en/docs/cli/run",
    "==> Your service is live",
)
log("benign_shutdown|asleep", "Stopping Container", "npm error signal SIGTERM", platform="railway")
log(
    "benign_shutdown|healthy|deploy_in_progress",
    "kubelet Stopping container web",
    "Scaled down replica set web-1 to 0 from 1",
)
log(
    "healthy",
    "Watching for file changes",
    "Server started successfully on 0.0.0.0:10000",
    "[SESSION] Created session abc with response limit: 20",
)
log(
    "healthy",
    "Redis not configured, using SQLite",
    "Firebase not configured",
    "Server started successfully on 0.0.0.0:8000",
)
log("healthy", "warn: NODE_ENV is not set, defaulting to production", "Listening on port 10000")
log("healthy", "  VITE ready in 300 ms", "Local: http://localhost:5173/")
log(
    "healthy",
    "DeprecationWarning: collection.ensureIndex is deprecated",
    "MongoDB Connected",
    "Server Running on Port 10000",
)
log("asleep", "Downscaling app my-space: no traffic", "Service scaled to zero", platform="koyeb")
log("tunnel_down", "ERR_NGROK_3200 The endpoint is offline")
log("cors_only", "Error: Not allowed by CORS")
log("dependency_service", "[AI_ORCHESTRATOR] Failed to create AI session: Request failed with status code 503")
log(
    "dependency_service|wrong_service_url",
    "[AI_ORCHESTRATOR] error: fetch failed https://chatify-chatbot.onrender.com/api/v1/chatbot/session ECONNREFUSED",
)
log("edge_blocked", "<title>Just a moment...</title>")

http("suspended_by_owner|no_such_service", "https://a.up.railway.app/", 404, {"x-railway-fallback": "true"}, "")
http("healthy", HOME, 204, {}, "")
http("healthy", HOME, 301, {"location": "https://a.onrender.com/health/"}, "")
http("healthy", HOME, 403, {"x-powered-by": "Express"}, "Forbidden")
http("healthy", HOME, 426, {"x-render-origin-server": "uvicorn"}, "Upgrade Required")
http(
    "app_error", HOME, 500, {}, "<pre>Error: Cannot read properties of undefined<br> &nbsp; at /app/index.js:3:1</pre>"
)
http(
    "dependency_external",
    HOME.replace("health", "chat"),
    503,
    {"content-type": "application/problem+json"},
    '{"code":"provider_unavailable"}',
)
http(
    "dependency_redis",
    HOME,
    503,
    {"content-type": "application/json"},
    '{"status":"unhealthy","service":"redis_service","redis":{"error":"refused"}}',
)
http("waking|asleep|instance_unreachable|unknown", HOME, 503, {}, "")
http(
    "instance_unreachable",
    "https://a.example.com/",
    504,
    {"server": "nginx"},
    "<html><head><title>504 Gateway Time-out</title></head><body><center><h1>504 Gateway Time-out</h1></center></body></html>",
)
http(
    "instance_unreachable|app_error|deploy_in_progress",
    "https://a.example.com/",
    503,
    {},
    "<html><body><h1>503 Service Unavailable</h1>No server is available to handle this request.</body></html>",
)
http(
    "crashed_at_start|app_error",
    "https://a.vercel.app/api",
    500,
    {},
    "A server error has occurred\n\nFUNCTION_INVOCATION_FAILED",
)
http(
    "no_such_service|domain_misrouted",
    "https://a.vercel.app/",
    404,
    {"server": "Vercel"},
    "The deployment could not be found on Vercel. DEPLOYMENT_NOT_FOUND",
)
http(
    "suspended_by_platform|suspended_free_quota",
    "https://a.vercel.app/",
    402,
    {},
    "Payment required DEPLOYMENT_DISABLED",
)
http(
    "suspended_by_owner|suspended_free_quota", "https://a.vercel.app/", 503, {"x-vercel-error": "DEPLOYMENT_PAUSED"}, ""
)
http("healthy", "https://a.herokuapp.com/", 200, {"server": "Cowboy", "via": "1.1 vegur"}, "ok")
http("no_live_deploy|no_such_service", "https://a.herokuapp.com/", 502, {}, "There's nothing here, yet.")
http("maintenance_mode", "https://a.herokuapp.com/", 503, {}, "<title>Offline for Maintenance</title>")
http(
    "deploy_in_progress|waking|no_live_deploy",
    "https://a.hf.space/",
    503,
    {},
    "Your space is building, check its status on hf.co",
)
http("asleep|waking", "https://a.hf.space/", 503, {}, "Your space is sleeping, check its status on hf.co")
http("no_such_service", "https://a.hf.space/", 404, {}, "Sorry, we can't find the page you are looking for.")
http("suspended_by_owner", "https://a.hf.space/", 503, {}, "your space is paused, ask a maintainer to restart it")
http("edge_blocked", HOME, 429, {"server": "cloudflare"}, "error code: 1015")
http(
    "domain_misrouted",
    "https://x.com",
    None,
    {},
    "",
    failure="SSL: no alternative certificate subject name matches target host name 'x.com'",
)
http(
    "no_such_service|domain_misrouted",
    "https://x.onrender.com",
    None,
    {},
    "",
    failure="Could not resolve host: x.onrender.com",
)
http("instance_unreachable|wrong_port", "http://x.com:8000", None, {}, "", failure="Connection refused")
