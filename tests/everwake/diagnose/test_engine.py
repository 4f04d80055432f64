"""What the engine makes of several findings: the first error of a cascade, what only follows, and the refusal to guess."""
# ruff: noqa: E501 - lines of logs and answers are as long as they are

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from everwake.diagnose import _registry, diagnose
from everwake.diagnose.documents import facts_of
from everwake.diagnose.engine import rank
from everwake.diagnose.facts import Facts, facts_of_observation
from everwake.diagnose.rule import Finding, Rule
from everwake.model import (
    DeployRecord,
    Diagnosis,
    Evidence,
    Failure,
    FailureKind,
    Observation,
    Phase,
    PlatformEvent,
    PlatformLine,
    PlatformService,
    State,
    VariableProblem,
)

NOW = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)
WEB = PlatformService(
    id="srv-1", name="chatbot", url="https://chatbot.onrender.com", type="web_service", plan="free", instances=("a",)
)


def of(**document: Any) -> Diagnosis:
    return diagnose(facts_of(document))


def names(found: Diagnosis) -> list[str]:
    return [one.cause for one in found.causes]


def seen(status: int | None, routing: str = "", **more: Any) -> Observation:
    failure = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT) if status is not None and status >= 400 else None
    headers = {"x-render-routing": routing} if routing else {}
    return Observation(
        service="chatbot",
        check="http",
        at=NOW,
        took_s=0.2,
        status=status,
        headers=headers,
        **{"failure": failure, **more},
    )


def said(*texts: str, at: datetime = NOW, instance: str = "") -> tuple[PlatformLine, ...]:
    return tuple(
        PlatformLine(id=f"{n}", at=at + timedelta(seconds=n), text=text, instance=instance)
        for n, text in enumerate(texts)
    )


# --- the mission's own incident -------------------------------------------------------------------------------------------


def test_the_missions_incident_is_a_bad_variable_with_its_column_and_not_what_follows_from_it() -> None:
    problem = VariableProblem(
        key="BACKEND_CORS_ORIGINS", problem="json_trailing_garbage", is_error=True, fix="remove what stands after the list", column=88, found="-rsss"
    )  # fmt: skip
    found = diagnose(
        facts_of_observation(
            [seen(502, "no-deploy")], url="https://chatbot.onrender.com/health", platform="render", service=WEB,
            deploys=[DeployRecord(id="dep-2", service_id="srv-1", status="update_failed", finished_at=NOW)],
            lines=said("==> Running 'chatify chatbot'", "ValidationError: 1 validation error for Settings - BACKEND_CORS_ORIGINS: Extra data at position 88", "==> Exited with status 1", "==> No open ports detected, continuing to scan..."),
            problems=[problem], has_variables=True,
        )
    )  # fmt: skip
    assert names(found)[0] == "bad_env_var"
    assert found.causes[0].sure >= 0.95
    assert found.causes[0].remedy == "fix-variables"
    assert found.state is State.DOWN
    assert {"no_live_deploy", "crashed_at_start"} <= {one.cause for one in found.ruled_out}
    assert any("Extra data at position 88" in one.quote for one in found.causes[0].evidence)


def test_shutting_down_after_a_session_is_the_old_instance_when_a_deploy_went_live_a_minute_before() -> None:
    found = diagnose(
        facts_of_observation(
            [seen(200)], platform="render", service=WEB,
            deploys=[DeployRecord(id="dep-3", service_id="srv-1", status="live", finished_at=NOW - timedelta(seconds=62))],
            lines=said("[SESSION] Created session 1 with response limit: 20", '"POST /api/v1/chatbot/session HTTP/1.1" 200 OK', "INFO:     Shutting down", "INFO:     Finished server process [38]"),
        )
    )  # fmt: skip
    assert found.state is State.UP
    assert names(found) == ["benign_shutdown"]
    assert found.causes[0].sure > 0.8


# --- time and order ---------------------------------------------------------------------------------------------------------


def test_the_first_error_of_a_cascade_is_the_cause_however_the_log_runs() -> None:
    lines = [
        "2026-01-01T10:00:00Z ==> Running 'npm start'",
        "2026-01-01T10:00:01Z Error: connect ECONNREFUSED 10.0.0.9:5432",
        "2026-01-01T10:00:02Z TypeError: Cannot read properties of undefined (reading 'query')",
        "2026-01-01T10:00:03Z ==> Exited with status 1",
        "2026-01-01T10:00:09Z ==> Port scan timeout reached, no open ports detected.",
    ]
    assert names(of(log=lines))[0] == names(of(log=lines[::-1]))[0] == "dependency_database"
    assert names(of(log=[lines[3], *lines[:3], lines[4]]))[0] == "dependency_database"


def test_of_two_dependencies_that_fail_the_earlier_one_is_surer() -> None:
    redis, database = (
        "redis.exceptions.ConnectionError: Error 111 connecting to red-1:6379.",
        'psycopg2.OperationalError: connection to server at "10.1.1.1", port 5432 failed',
    )
    assert names(of(log=[redis, database]))[0] == "dependency_redis"
    assert names(of(log=[database, redis]))[0] == "dependency_database"


def test_a_wake_that_fails_once_is_a_wake_that_failed_and_one_that_fails_for_long_a_crash() -> None:
    look = {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "hibernate-wake-error"}}
    assert names(of(http={**look, "at": "2026-01-01T10:00:00Z"}))[0] == "wake_failed"
    later = [{**look, "at": f"2026-01-01T1{n}:00:00Z"} for n in range(3)]
    assert names(of(http={**look, "at": "2026-01-01T13:00:00Z", "probes": later}))[0] == "crashed_at_start"


def test_a_refusal_that_soon_becomes_an_answer_was_a_start() -> None:
    look = {"url": "https://a.onrender.com/health", "status": 404, "headers": {"x-render-routing": "no-server"}}
    assert names(of(http={**look, "probes": [{"status": 200, "body": "{}"}]}))[0] == "waking"


def test_what_it_answered_before_does_not_make_a_failure_now_a_start() -> None:
    bad = {"url": "https://a.onrender.com/health", "status": 404, "headers": {"x-render-routing": "no-server"}}
    assert names(of(http=[{"url": "https://a.onrender.com/health", "status": 200}, bad]))[0] == "no_live_deploy"


# --- an answer, and an old log ------------------------------------------------------------------------------------------------


def test_a_service_that_answers_is_not_called_down_for_an_old_crash_in_its_log() -> None:
    found = of(
        http={"url": "https://a.onrender.com/health", "status": 200, "body": "{}"},
        log=["ModuleNotFoundError: No module named 'x'", "==> Exited with status 1"],
    )
    assert found.state is State.UP
    assert found.causes == ()
    assert "crashed_at_start" in {one.cause for one in found.ruled_out}


def test_a_failed_deploy_beside_an_old_one_that_serves_is_told_and_does_not_make_it_down() -> None:
    found = of(
        http={"url": "https://a.onrender.com/health", "status": 200, "body": "{}"},
        platform_state={"deploys": [{"id": "dep-2", "status": "build_failed"}, {"id": "dep-1", "status": "live"}]},
    )
    assert names(found)[0] == "build_failed"
    assert found.state is State.DEGRADED


def test_a_200_with_a_part_that_is_not_well_is_not_healthy() -> None:
    found = of(
        http={
            "url": "https://a.onrender.com/health",
            "status": 200,
            "body": '{"status":"healthy","redis":{"state":"failed","note":"refused"}}',
        }
    )
    assert names(found)[0] == "dependency_redis"
    assert found.state is State.DEGRADED


def test_a_variable_with_an_error_is_no_cause_while_it_answers_but_is_told() -> None:
    problem = VariableProblem(key="REDIS_URL", problem="tls_required", is_error=True, fix="write rediss://")
    found = diagnose(facts_of({"http": {"url": "https://a.onrender.com/health", "status": 200}}, [problem]))
    assert found.causes == ()
    assert found.variables == (problem,)


def test_a_browsers_cors_message_over_an_edges_503_is_a_by_product() -> None:
    log = ["Access to fetch at 'https://a.onrender.com/x' from origin 'https://b.com' has been blocked by CORS policy"]
    assert names(of(log=log))[0] == "cors_only"
    found = of(
        log=log,
        http={"url": "https://a.onrender.com/x", "status": 503, "headers": {"x-render-routing": "suspend-by-user"}},
    )
    assert names(found) == ["suspended_by_owner"]


# --- refusal to guess -----------------------------------------------------------------------------------------------------------


def test_thin_evidence_is_unknown_and_says_what_to_look_at_next() -> None:
    found = of(log=["hello", "world"])
    assert names(found) == ["unknown"]
    assert "GET" in found.causes[0].next
    assert found.causes[0].evidence[0].quote == "world"
    assert names(diagnose(Facts())) == ["unknown"]


def test_nothing_wrong_is_no_cause_at_all() -> None:
    found = of(http={"url": "https://a.onrender.com/health", "status": 200, "body": '{"status":"healthy"}'})
    assert (found.state, found.causes) == (State.UP, ())
    assert of(variables={"PORT": "8000"}).causes == ()


def test_two_readings_of_the_same_words_do_not_beat_each_other() -> None:
    found = of(http={"url": "https://a.up.railway.app/", "status": 404, "headers": {"x-railway-fallback": "true"}})
    assert names(found)[:2] == ["no_such_service", "suspended_by_owner"]


def test_a_rule_of_somebody_else_that_breaks_does_not_cost_the_diagnosis() -> None:
    def breaks(facts: Facts) -> Finding | None:
        raise ZeroDivisionError

    broken = Rule(cause="theirs", explain=breaks, needs=frozenset({"log"}))
    found = rank(facts_of({"log": ["==> Out of memory (used over 512Mi)"]}), {**_registry.rules(), "theirs": broken})
    assert names(found)[0] == "out_of_memory"
    assert "its rule broke: ZeroDivisionError" in {one.why for one in found.ruled_out}


def test_a_rule_of_somebody_else_is_ranked_among_ours() -> None:
    def explain(facts: Facts) -> Finding | None:
        return Finding(
            sure=0.98, because=(Evidence(source="log", quote="gremlins"),), next="Feed them before midnight."
        )

    theirs = Rule(cause="gremlins", explain=explain, needs=frozenset({"log"}), beats=frozenset({"out_of_memory"}))
    found = rank(
        facts_of({"log": ["gremlins", "==> Out of memory (used over 512Mi)"]}),
        {**_registry.rules(), "gremlins": theirs},
    )
    assert names(found) == ["gremlins"]
    assert found.state is State.DOWN


# --- from the keeper's own nouns --------------------------------------------------------------------------------------------------


def test_hours_that_are_used_up_need_more_than_the_edges_word() -> None:
    look = {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend"}}
    assert names(of(http=look))[0] == "suspended_by_platform"
    spent = of(
        http=look,
        platform_state={
            "service": {"suspended": "suspended", "suspenders": ["billing"], "plan": "free"},
            "hours_left": 0,
        },
    )
    assert names(spent)[0] == "suspended_free_quota"
    left = of(
        http=look,
        platform_state={
            "service": {"suspended": "suspended", "suspenders": ["billing"], "plan": "free"},
            "hours_left": 338,
        },
    )
    assert names(left)[0] == "suspended_by_platform"
    assert (
        names(diagnose(facts_of_observation([seen(503, "suspend")], service=replace(WEB, suspenders=("billing",)))))[0]
        == "suspended_free_quota"
    )


def test_an_event_of_the_adapter_is_read_with_its_nested_reason() -> None:
    event = PlatformEvent(
        id="e", type="server_failed", at=NOW, details={"reason": {"oomKilled": {"memoryLimit": "512Mi"}}}
    )
    found = diagnose(
        facts_of_observation([seen(502, "dynamic-free-error")], platform="render", service=WEB, events=[event])
    )
    assert names(found)[0] == "out_of_memory"


def test_a_timeout_on_a_free_plan_is_waking_and_on_a_paid_one_is_not() -> None:
    late = seen(None, failure=Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE))
    url = "https://a.onrender.com/health"
    assert names(diagnose(facts_of_observation([late], url=url)))[0] == "waking"
    paid = PlatformService(id="s", name="a", url=url, type="web_service", plan="starter")
    assert names(diagnose(facts_of_observation([late], url=url, service=paid)))[0] == "instance_unreachable"


def test_errors_of_two_instances_do_not_lead_to_each_other() -> None:
    lines = said("MemoryError", instance="aaaaaaaa") + said(
        "ModuleNotFoundError: No module named 'x'",
        "==> Exited with status 1",
        at=NOW + timedelta(minutes=1),
        instance="bbbbbbbb",
    )
    found = diagnose(facts_of_observation([], service=WEB, lines=lines))
    assert {"out_of_memory", "crashed_at_start"} & set(names(found)[:1])


def test_lines_and_events_before_the_newest_deploy_are_about_other_code() -> None:
    old = said("ModuleNotFoundError: No module named 'x'", "==> Exited with status 1", at=NOW - timedelta(minutes=9))
    new = said("==> Running 'npm start'", "KeyError: 'JWT_SECRET'", "==> Exited with status 1", at=NOW)
    crash = PlatformEvent(
        id="e",
        type="server_failed",
        at=NOW - timedelta(minutes=9),
        details={"reason": {"oomKilled": {"memoryLimit": "512Mi"}}},
    )
    deploys = [
        DeployRecord(id="dep-3", service_id="s", status="canceled", created_at=NOW + timedelta(minutes=1)),
        DeployRecord(id="dep-2", service_id="s", status="update_failed", created_at=NOW - timedelta(seconds=5)),
    ]
    found = diagnose(facts_of_observation([], service=WEB, deploys=deploys, events=[crash], lines=old + new))
    assert names(found)[0] == "missing_env_var"
    assert "out_of_memory" not in names(found)


def test_a_free_service_that_is_live_and_has_no_instance_sleeps_and_a_paid_one_was_scaled_down() -> None:
    live = [DeployRecord(id="dep-1", service_id="s", status="live")]
    assert names(diagnose(facts_of_observation([], service=replace(WEB, instances=()), deploys=live)))[0] == "asleep"
    paid = replace(WEB, plan="starter", instances=())
    assert names(diagnose(facts_of_observation([], service=paid, deploys=live)))[0] == "scaled_to_zero"


def test_a_redis_that_hangs_up_wants_tls_only_where_the_variable_has_none() -> None:
    log = ["redis.exceptions.ConnectionError: Connection closed by server."]
    assert names(of(log=log, variables={"REDIS_URL": "redis://h.example.com:6379"}))[0] == "dependency_tls"
    assert names(of(log=log, variables={"REDIS_URL": "rediss://h.example.com:6379"}))[0] == "dependency_redis"
    assert names(of(log=log))[0] == "dependency_redis"


def test_beside_a_fault_nothing_benign_is_named() -> None:
    found = of(
        platform_state={"deploys": [{"id": "3", "status": "live"}, {"id": "2", "status": "canceled"}]},
        http={
            "url": "https://a.onrender.com/x",
            "status": 500,
            "headers": {"x-render-origin-server": "Render"},
            "body": "boom",
        },
    )
    assert names(found) == ["app_error"]


def test_whoever_was_beaten_by_one_who_was_beaten_too_follows_from_the_last() -> None:
    found = of(
        log=[
            "==> No open ports detected, continuing to scan...",
            "KeyError: 'JWT_SECRET'",
            "==> Exited with status 1",
            "==> Exited with status 1",
        ]
    )
    assert {one.why for one in found.ruled_out if "follows" in one.why} == {"it only follows from missing_env_var"}
