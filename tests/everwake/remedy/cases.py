"""Cases for the plan and the guard: a service that is down, as a test wants it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from everwake.model import (
    Cause,
    DeployRecord,
    Diagnosis,
    Evidence,
    Failure,
    FailureKind,
    Incident,
    Observation,
    Phase,
    PlatformService,
    RemedyRun,
    RunState,
    State,
    VariableProblem,
)
from everwake.remedy.plan import Act, Case
from everwake.remedy.steps import NEEDS, Do, step

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
VERBS = frozenset({verb for verbs in NEEDS.values() for verb in verbs} | {"deploys", "events", "logs"})
KEY = "BACKEND_CORS_ORIGINS"

__all__ = ["KEY", "NOW", "VERBS", "case", "cause", "deploy", "diagnosis", "incident", "plan", "problem", "run"]


def cause(
    name: str = "bad_env_var", sure: float = 0.97, remedy: str | None = "fix-variables", says: str = KEY
) -> Cause:
    return Cause(
        cause=name, sure=sure, evidence=(Evidence(source="log", quote=f"{says}: Extra data at position 88"),),
        next=f"{says}: remove what stands behind the list", remedy=remedy,
    )  # fmt: skip


def problem(key: str = KEY, value: str | None = '["https://a.example"]', **given: Any) -> VariableProblem:
    return VariableProblem(
        **{
            "key": key, "problem": "json_trailing_garbage", "is_error": True, "fix": "remove what stands behind the list",
            "column": 88, "value": value, **given,
        }
    )  # fmt: skip


def diagnosis(*causes: Cause, variables: tuple[VariableProblem, ...] = ()) -> Diagnosis:
    return Diagnosis(state=State.DOWN, causes=causes, variables=variables)


def incident(age_s: float = 600.0, **given: Any) -> Incident:
    opened_at = NOW - timedelta(seconds=age_s)
    first = Observation(
        service="chatbot", check="http", at=opened_at, took_s=0.1, status=502,
        failure=Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT),
    )  # fmt: skip
    return Incident(**{"id": "inc-1", "service": "chatbot", "opened_at": opened_at, "first": first, **given})


def deploy(
    id: str, status: str = "live", ago_s: float = 700.0, commit: str = "c1", trigger: str = "new_commit"
) -> DeployRecord:
    at = NOW - timedelta(seconds=ago_s)
    running = status in ("created", "build_in_progress", "update_in_progress")
    return DeployRecord(
        id=id, service_id="srv-1", status=status, trigger=trigger, commit_id=commit, created_at=at,
        finished_at=None if running else at + timedelta(seconds=30),
    )  # fmt: skip


HOST = PlatformService(id="srv-1", name="chatbot", url="https://chatbot.example", type="web_service", plan="free")


def case(found: Diagnosis | None = None, **given: Any) -> Case:
    return Case(
        **{
            "service": "chatbot", "state": State.DOWN, "at": NOW, "host": HOST, "deploys": (deploy("dep-1"),), "verbs": VERBS,
            "diagnosis": found or diagnosis(cause(), variables=(problem(),)), "incident": incident(),
            "first": incident().first, **given,
        }
    )  # fmt: skip


def plan(deploys: int = 1) -> Act:
    return Act(
        playbook="deploy", cause="no_live_deploy", why="nothing is live", steps=(step(Do.DEPLOY, "deploy"),), costs="one deploy",
        proved_by="it answers", deploys=deploys,
    )  # fmt: skip


def run(ago_s: float, state: RunState = RunState.PROVED, **given: Any) -> RemedyRun:
    at = NOW - timedelta(seconds=ago_s)
    return RemedyRun(
        **{
            "id": f"rem-{ago_s}", "service": "chatbot", "incident": "inc-1", "playbook": "deploy", "cause": "no_live_deploy",
            "asked_at": at, "began_at": at, "ended_at": None if state.is_open else at, "steps": (), "state": state, "deploys": 1,
            **given,
        }
    )  # fmt: skip
