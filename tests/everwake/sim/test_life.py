"""The platform's decisions, as pure values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.sim import answers
from everwake.sim.life import (
    Change,
    Direction,
    Health,
    Ledger,
    Rules,
    Seen,
    Throttle,
    Verdict,
    cause_of_end,
    direct,
    gate,
    may_sleep,
    passes,
    restart_wait_s,
    streak_after,
    superseded,
)
from everwake.sim.pace import Calendar, Pace
from everwake.sim.records import Commit, Deploy, DeployStatus, Service, ServiceType, Suspender, Trigger

NOW = datetime(2026, 11, 27, tzinfo=UTC)
RULES = Rules()
FREE = Service(
    id="srv-1", owner_id="own-1", name="one", type=ServiceType.WEB, plan="free", created_at=NOW, updated_at=NOW, port=1
)  # fmt: skip


def suspended(*by: Suspender) -> Service:
    return replace(FREE, suspenders=frozenset(by))


@pytest.mark.parametrize(
    ("seen", "html", "direction"),
    [
        (Seen(service=None), False, Direction.NO_SERVER),
        (Seen(service=FREE), False, Direction.NO_DEPLOY),
        (Seen(service=FREE, has_live=True), False, Direction.NO_DEPLOY),
        (Seen(service=FREE, has_live=True, is_ready=True), True, Direction.FORWARD),
        (Seen(service=FREE, has_live=True, is_ready=True, is_cut=True), False, Direction.UNREACHABLE),
        (Seen(service=FREE, has_live=True, is_asleep=True), False, Direction.HOLD),
        (Seen(service=FREE, has_live=True, is_asleep=True), True, Direction.LOADING),
        (Seen(service=FREE, has_live=True, is_asleep=True, is_waking=True), False, Direction.HOLD),
        (Seen(service=FREE, has_live=True, is_asleep=True, has_failed_wake=True), True, Direction.WAKE_FAILED),
        (Seen(service=FREE, has_live=True, is_asleep=True, is_admitted=False), False, Direction.THROTTLED),
        (Seen(service=suspended(Suspender.BILLING), has_live=True, is_ready=True), False, Direction.SUSPENDED),
        (
            Seen(service=suspended(Suspender.BILLING, Suspender.USER), has_live=True), False, Direction.SUSPENDED_BY_USER,
        ),
    ],
)  # fmt: skip
def test_where_a_request_goes(seen: Seen, html: bool, direction: Direction) -> None:
    assert direct(seen, wants_html=html) is direction


@given(
    service=st.sampled_from([None, FREE, suspended(Suspender.USER), suspended(Suspender.BILLING)]),
    flags=st.lists(st.booleans(), min_size=7, max_size=7), html=st.booleans(),
)  # fmt: skip
def test_a_request_is_forwarded_only_to_a_ready_instance_of_a_service_nobody_suspended(
    service: Service | None, flags: list[bool], html: bool
) -> None:
    names = ("has_live", "is_ready", "is_asleep", "is_waking", "is_admitted", "has_failed_wake", "is_cut")
    seen = Seen(service=service, **dict(zip(names, flags, strict=True)))
    direction = direct(seen, wants_html=html)
    if direction is Direction.FORWARD:
        assert seen.is_ready
        assert seen.service is not None
        assert not seen.service.suspenders
    elif direction is not Direction.HOLD:
        refusal = answers.refusal(direction, is_free=True)
        assert 400 <= refusal.status < 600
        assert refusal.routing


def test_every_direction_that_goes_nowhere_has_the_answer_of_the_real_edge() -> None:
    told = {
        each: (said.status, said.routing, said.retry_after_s)
        for each in Direction
        if each not in (Direction.FORWARD, Direction.HOLD)
        for said in [answers.refusal(each, is_free=True)]
    }
    assert told == {
        Direction.LOADING: (503, "hibernate-pending-wake", 5),
        Direction.WAKE_FAILED: (503, "hibernate-wake-error", None),
        Direction.THROTTLED: (429, "hibernate-rate-limited", 10),
        Direction.NO_SERVER: (404, "no-server", None),
        Direction.NO_DEPLOY: (502, "no-deploy", None),
        Direction.UNREACHABLE: (502, "dynamic-free-error", None),
        Direction.SUSPENDED: (503, "suspend", None),
        Direction.SUSPENDED_BY_USER: (503, "suspend-by-user", None),
    }
    assert answers.refusal(Direction.UNREACHABLE, is_free=False).routing == "dynamic-paid-error"
    assert answers.refusal(Direction.WAKE_FAILED, is_free=True).body == ""


@given(st.lists(st.floats(0, 50), max_size=80), st.floats(1, 20))
def test_the_throttle_never_lets_more_pass_than_its_burst_and_what_was_refilled(
    gaps: list[float], burst: float
) -> None:
    rules, throttle, now, passed = replace(RULES, wake_burst=burst), Throttle(burst, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        throttle, admitted = throttle.ask(now, rules)
        passed += admitted
        assert passed <= burst + now / rules.wake_refill_s + 1e-6
        assert 0 <= throttle.left <= burst


def test_only_a_free_web_service_may_sleep_and_only_after_the_idle_time() -> None:
    assert not may_sleep(FREE, 0.0, 899.9, RULES)
    assert may_sleep(FREE, 0.0, 900.0, RULES)
    for other in (replace(FREE, plan="starter"), replace(FREE, type=ServiceType.WORKER)):
        assert not may_sleep(other, 0.0, 1e9, RULES)


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (302, True), (399, True), (400, False), (503, False), (None, False), (100, False)]
)
def test_a_health_check_passes_with_2xx_and_3xx(status: int | None, good: bool) -> None:
    assert passes(status) is good


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 8)), max_size=60))
def test_out_after_15_s_and_restarted_after_60_s_of_unbroken_failure_and_never_sooner(
    seen: list[tuple[bool, float]],
) -> None:
    health, now, failing_since = Health(), 0.0, None
    for good, took in seen:
        asked, now = now, now + took
        health, verdict = health.seen(good, asked, now, RULES)
        failing_since = None if good else asked if failing_since is None else failing_since
        failing_s = 0.0 if failing_since is None else now - failing_since
        if verdict is Verdict.RESTART:
            assert failing_s >= RULES.restart_after_s
            return
        assert failing_s < RULES.restart_after_s
        assert health.is_out == (failing_s >= RULES.out_after_s)
        if verdict is Verdict.BACK:
            assert good


def test_a_gate_waits_until_the_window_is_over() -> None:
    window = {"window_s": 900.0}
    assert gate(listens=False, health=None, waited_s=899, **window) is Verdict.WAIT
    assert gate(listens=False, health=None, waited_s=900, **window) is Verdict.FAIL
    assert gate(listens=True, health=None, waited_s=0, **window) is Verdict.PASS
    assert gate(listens=True, health=False, waited_s=899, **window) is Verdict.WAIT
    assert gate(listens=True, health=True, waited_s=901, **window) is Verdict.PASS


def test_the_first_restart_is_at_once_and_the_delays_grow_up_to_the_longest() -> None:
    waits = [restart_wait_s(crashes, RULES) for crashes in range(1, 200)]
    assert waits[0] == 0
    assert all(a <= b for a, b in pairwise(waits))
    assert waits[-1] == RULES.longest_restart_s


@given(st.lists(st.floats(0, 1000), max_size=40))
def test_only_an_instance_that_lasted_ends_the_streak_of_crashes(lives: list[float]) -> None:
    crashes = 0
    for lived_s in lives:
        before, crashes = crashes, streak_after(crashes, lived_s, RULES)
        assert crashes == (1 if lived_s >= RULES.lasting_s else before + 1)


def test_how_an_end_is_told() -> None:
    assert cause_of_end(3) == {"evicted": False, "nonZeroExit": 3}
    assert cause_of_end(-9) == {"evicted": False, "nonZeroExit": 137}
    assert cause_of_end(0) == {"evicted": False, "earlyExit": True}
    assert cause_of_end(-9, memory_limit_bytes=512 * 2**20) == {"evicted": False, "oomKilled": {"memoryLimit": "512Mi"}}
    assert "unhealthy" in cause_of_end(None, is_unhealthy=True)


def test_a_newer_deploy_cancels_the_older_ones_that_run_and_no_newer() -> None:
    def deploy(id_: str, status: DeployStatus) -> Deploy:
        commit = Commit(id="c", message="", created_at=NOW)
        return Deploy(
            id=id_, service_id="srv-1", commit=commit, status=status, trigger=Trigger.API, created_at=NOW, updated_at=NOW
        )  # fmt: skip

    newest, middle = deploy("3", DeployStatus.CREATED), deploy("2", DeployStatus.BUILDING)
    oldest, live = deploy("1", DeployStatus.QUEUED), deploy("0", DeployStatus.LIVE)
    every = [newest, middle, oldest, live]
    assert superseded(every, middle) == (oldest,)
    assert superseded(every, newest) == (middle, oldest)
    assert superseded(every, None) == (newest, middle, oldest)


@given(st.lists(st.tuples(st.sampled_from(["2026-11", "2026-12", "2027-01"]), st.floats(0, 400)), max_size=40))
def test_hours_count_within_a_month_and_suspend_once_and_resume_once(charges: list[tuple[str, float]]) -> None:
    ledger, suspended_now = Ledger(owner_id="own-1", month="2026-11"), False
    for month, hours in sorted(charges, key=lambda each: each[0]):
        before = ledger
        ledger, change = ledger.charge(month, hours, RULES)
        if change is Change.SUSPEND:
            assert not suspended_now
            assert ledger.used_h >= RULES.free_hours > before.used_h
            suspended_now = True
        elif change is Change.RESUME:
            assert suspended_now
            assert month != before.month
            suspended_now = False
        assert ledger.is_exhausted is suspended_now


@given(st.floats(0.01, 1e6))
def test_paced_waits_are_shorter_never_longer_and_never_too_short_for_a_process(speed: float) -> None:
    paced = RULES.paced(Pace(speed))
    assert paced.idle_s == pytest.approx(900 / speed)
    if speed >= 1:
        assert 2.0 <= paced.health_timeout_s <= 5.0
        assert paced.restart_after_s > paced.out_after_s
        assert paced.wake_refill_s == RULES.wake_refill_s
        assert paced.start_tries == RULES.start_tries


@given(st.floats(0.1, 1e5), st.floats(0, 1e6))
def test_the_calendar_runs_at_the_pace_and_never_back(speed: float, after_s: float) -> None:
    calendar = Calendar(NOW, NOW, Pace(speed))
    later = NOW + timedelta(seconds=after_s)
    assert calendar.shows(later) >= NOW
    assert calendar.shows(NOW - timedelta(days=1)) == NOW
    ends = later + timedelta(seconds=calendar.month_ends_in_s(later) + 0.01)
    assert calendar.month(ends) > calendar.month(later)
