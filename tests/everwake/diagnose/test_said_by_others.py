"""What a line holds that is not its own trouble: harmless phrases beside real errors, users' words, and what is over by now."""

# ruff: noqa: E501 - lines of logs are as long as they are

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.app.why import why_document
from everwake.diagnose.log._speech import is_grave, level_of, own_words, without_noise
from everwake.diagnose.log.reader import read
from everwake.diagnose.log.signs import SignKind
from everwake.model import State

OK_200 = 'INFO:     10.0.0.1:0 - "GET /health HTTP/1.1" 200 OK'


def first(log: list[str], **more: object) -> str:
    told, _ = why_document({"log": log, **more})
    return told.causes[0].cause if told.causes else "healthy"


@pytest.mark.parametrize(
    ("want", "log"),
    [
        (
            "dependency_redis",
            [
                '{"level":"error","error_code":"connection_error","msg":"redis: dial tcp 10.0.0.5:6379: connect: connection refused"}'
            ],
        ),
        (
            "dependency_external|bad_env_var",
            [
                "anthropic.AuthenticationError: Error code: 401 - {'type': 'error', 'error': {'type': 'authentication_error', 'message': 'invalid x-api-key'}}"
            ],
        ),
        (
            "dependency_external|bad_env_var",
            [
                "Traceback (most recent call last):",
                '  File "/app/main.py", line 3, in <module>',
                "anthropic.AuthenticationError: Error code: 401 - {'type': 'error', 'error': {'type': 'authentication_error', 'message': 'invalid x-api-key'}}",
            ],
        ),
        ("dependency_database", ['FATAL: migration_error: relation "users" does not exist']),
        (
            "dependency_database|bad_env_var",
            ['level=error msg="application_error" err="dial tcp: lookup db: no such host"'],
        ),
        (
            "dependency_redis",
            [
                "ERROR [auth] session_error: redis.exceptions.ConnectionError: Error 111 connecting to 10.0.0.4:6379. Connection refused."
            ],
        ),
        ("crashed_at_start|app_error|unknown", ["Unhandled exception in errorHandler: TypeError: x is not a function"]),
        (
            "missing_env_var|crashed_at_start",
            ["CRITICAL app crashed. Error tracking sent event 123: KeyError DATABASE_URL"],
        ),
        ("crashed_at_start", ['found 3 vulnerabilities. npm error Missing script: "start"']),
        ("dependency_database", ["Error: connect ECONNREFUSED 10.0.0.3:5432 (errors: 0 ignored)"]),
        ("dependency_redis", ["ERROR 10 errors: redis connection refused"]),
        (
            "dependency_redis",
            ["UserWarning: cache is off. redis.exceptions.ConnectionError: Error 111 connecting to h.example.com:6379"],
        ),
    ],
)
def test_a_harmless_phrase_hides_no_error_that_stands_beside_it(want: str, log: list[str]) -> None:
    told, _ = why_document({"log": log})
    assert told.state is not State.UP
    assert first(log) in want.split("|")


@pytest.mark.parametrize(
    "line", ["error reporting failed", "the error handler crashed", "CRITICAL authentication_error"]
)
def test_noise_that_has_failed_is_no_sign_of_health(line: str) -> None:
    told, _ = why_document({"log": [line]})
    assert told.state is not State.UP


@pytest.mark.parametrize("level", ["ERROR", "FATAL", "CRITICAL", "level=error msg=", "[error]"])
def test_a_line_of_nothing_but_noise_that_calls_itself_an_error_is_unknown_and_never_well(level: str) -> None:
    told, _ = why_document({"log": [f"{level} the worker ended, errors: 0"]})
    assert told.causes[0].cause == "unknown"
    assert told.state is not State.UP


@pytest.mark.parametrize(
    "line",
    [
        "[notice] not running as pid 1",
        "migration finished: 12 tables, 0 errors",
        "INFO error tracking is on",
        "DeprecationWarning: the error argument goes away",
        "found 3 vulnerabilities",
        "Setting error_log to /dev/stderr",
    ],
)
def test_noise_alone_is_noise(line: str) -> None:
    assert first([line]) == "healthy"
    assert set(read([line], str).counts) == {SignKind.NOISE}


USERS_WORDS = [
    'INFO: user said "connection refused, out of memory, help!"',
    "[CHAT] assistant: OOMKilled means that the kernel killed your container because it ran out of memory.",
    'INFO ticket #881 title="ECONNREFUSED 127.0.0.1:6379 in production"',
    "INFO user asked: why do I get ModuleNotFoundError: No module named flask?",
    '{"level":"info","msg":"message received","content":"redis connection refused, what now?"}',
    '{"level":30,"msg":"user asked: is the database connection refused?"}',
    '2026-11-20T10:00:00Z {"severity":"INFO","message":"user 42 wrote: KeyError: \'DATABASE_URL\' ???"}',
    "user 42 asked: why CrashLoopBackOff?",
    "DEBUG prompt: explain the error 'FATAL: password authentication failed for user x'",
    'INFO:app.chat:message="my pod was OOMKilled by the kernel"',
    "[CHAT] user: Error: Cannot find module 'express', what does it mean",
    "2026-11-20 10:00:00 INFO [chat] user=42 text=service suspended, is it?",
    'INFO conversation title "Build failed: what now"',
    "2026-01-01 10:00:00,123 - app.chat - INFO - Received message: out of memory and connection refused to redis",
    "INFO:chat:User message: my redis says NOAUTH Authentication required",
    '[INFO] prompt="How do I fix psycopg2.OperationalError: connection refused?"',
    '{"level":"info","message":"chat","payload":{"text":"OOMKilled pod"}}',
    '{"msg":"user asked: why error: redis connection refused","level":"info"}',
    'DEBUG openai request: {"messages":[{"role":"user","content":"my app crashed with ECONNREFUSED 127.0.0.1:5432"}]}',
    "[CHAT] alice: postgres connection refused again",
    "[chat] bob -> OOMKilled?",
    "[MESSAGE] Build failed, help",
    "INFO chat reply sent: Your container was OOMKilled because of memory limit",
    "INFO [AI_ORCHESTRATOR] Message sent to AI: why OOMKilled",
    "2026-11-20T10:00:00Z INFO webchat: visitor typed: port scan timeout reached, no open ports detected",
    'INFO - Processing question: what does "Exited with status 137" mean?',
    "INFO issue title='Cannot find module express'",
    "INFO email subject: Your account suspended",
    "[BOT] reply: ModuleNotFoundError means that it is not installed",
]


@pytest.mark.parametrize("line", USERS_WORDS)
def test_what_a_user_wrote_is_no_trouble_of_the_service(line: str) -> None:
    assert first([line, OK_200]) == "healthy"
    assert first([line]) in ("healthy", "unknown")
    told, _ = why_document(
        {"http": {"url": "https://a.example.com/health", "status": 200, "body": "{}"}, "log": [line]}
    )
    assert told.state is State.UP


@pytest.mark.parametrize(
    ("want", "line"),
    [
        (
            "dependency_redis",
            "INFO redis connect failed: 'Error 111 connecting to h.example.com:6379. Connection refused.'",
        ),
        ("dependency_redis", 'level=info msg="redis: dial tcp 10.0.0.5:6379: connection refused"'),
        ("dependency_redis", '{"level":"info","message":"redis: dial tcp 10.0.0.5:6379: connection refused"}'),
        ("dependency_redis", 'ERROR user said nothing: "redis connection refused"'),
        ("missing_env_var", "INFO: KeyError: 'DATABASE_URL'"),
        ("crashed_at_start", "INFO Cannot find module 'express of mine'"),
        ("out_of_memory", "INFO worker failed, message: out of memory"),
        ("dependency_database", 'FATAL:  password authentication failed for user "app"'),
        ("dependency_external", "INFO openai answered {'error': {'code': 'insufficient_quota'}}"),
        ("dependency_redis", 'INFO app "redis" says: NOAUTH Authentication required.'),
        ("dependency_database", 'INFO Worker "main of all" failed: connection refused postgres'),
        ("dependency_database", 'time="x" level=info msg="connection to database failed: connection refused"'),
        ("dependency_redis", "[CHAT] redis: connection refused"),
        ("dependency_external", '{"message":"openai error 401 of user: x","level":50}'),
        ("crashed_at_start", "ERROR user asked nothing. ModuleNotFoundError: No module named 'flask'"),
    ],
)
def test_a_services_own_trouble_counts_at_any_level(want: str, line: str) -> None:
    assert first([line]) == want


def test_who_answers_after_it_was_not_killed() -> None:
    line = "WARN text filter saw: out of memory"
    assert first([line]) == "out_of_memory"
    assert first([line, OK_200]) == "healthy"
    assert first([line, "==> Running 'npm start'", "Server listening on 10000", OK_200]) == "out_of_memory"
    assert first(["==> Out of memory (used over 512Mi)", OK_200]) == "out_of_memory"


def test_who_answers_after_it_did_not_end_of_it_either() -> None:
    log = ["INFO user asked:", "ModuleNotFoundError: No module named 'flask'"]
    assert first(log) == "crashed_at_start"
    assert first([*log, OK_200]) in ("unknown", "app_error", "healthy")
    assert first([*log, "==> Exited with status 1", OK_200]) == "crashed_at_start"


SUSPENDED = ["==> Service suspended (billing)"]


def test_what_the_platform_says_now_outweighs_an_old_line() -> None:
    assert first(SUSPENDED) == "suspended_by_platform"
    now = {"platform_state": {"service": {"suspended": "not_suspended", "suspenders": []}}}
    told, _ = why_document({"log": SUSPENDED, **now})
    assert "suspended_by_platform" not in {one.cause for one in told.causes}
    assert {one.cause: one.why for one in told.ruled_out}["suspended_by_platform"].startswith("its platform says")
    assert first(["==> Service suspended by owner"], **now) not in ("suspended_by_owner", "suspended_by_platform")
    assert first(["Error: usage limit exceeded"], **now) != "suspended_free_quota"
    assert first(["Error: usage limit exceeded"], platform_state={"hours_left": 300}) != "suspended_free_quota"
    assert first(SUSPENDED, http={"url": "https://a.example.com/health", "status": 200}) == "healthy"


@pytest.mark.parametrize("after", ["==> Service resumed", "==> Your service is live", OK_200])
def test_a_suspension_ends(after: str) -> None:
    # That it was let go on says nothing yet of how it is.
    assert first([*SUSPENDED, after]) == ("unknown" if "resumed" in after else "healthy")
    assert first([after, *SUSPENDED]) == "suspended_by_platform"


WIRE = '{"level":"warning","message":"hub.wire_broken ConnectionError"}'
OUTBOX = '{"level":"warning","message":"[AI_ORCHESTRATOR] outbox not available: disconnected"}'


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_store_that_our_service_complains_of_no_more_is_there_again(scheme: str) -> None:
    log = [f"2026-11-20T10:00:00Z {WIRE}", f"2026-11-20T10:00:01Z {OUTBOX}"]
    look = {"url": "https://a.example.com/health", "status": 200, "headers": {"content-type": "application/json"}}
    also = {"variables": {"REDIS_URL": f"{scheme}://h.example.com:6379/0"}}
    at_once = {**look, "body": "{}", "at": "2026-11-20T10:00:20Z"}
    later = {**look, "body": "{}", "at": "2026-11-20T10:30:00Z"}
    assert first(log, http=at_once, **also) == ("dependency_tls" if scheme == "redis" else "dependency_redis")
    assert first(log, http=later, **also) == "healthy"
    assert first(log, http={**later, "status": 503}, **also) in ("dependency_tls", "dependency_redis")
    still = {**later, "body": '{"status":"healthy","outbox":{"store":"redis","state":"unavailable"}}'}
    assert first(log, http=still, **also) == "dependency_redis"


@given(st.text(max_size=300))
def test_own_words_are_words_of_the_line(text: str) -> None:
    low = text.lower()
    own = own_words(low)
    assert own is low or len(own) <= len(low) * 6 + 2
    assert level_of(low) in ("", "ordinary", "warning", "grave")
    assert len(without_noise(low)) <= len(low)
    assert is_grave(f"error {low}")


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=80))
def test_what_is_said_in_a_json_line_never_counts(said: str) -> None:
    line = json.dumps({"level": "info", "msg": "received", "content": f"{said} out of memory"})
    assert not read([line], str).counts
