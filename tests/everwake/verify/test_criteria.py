"""The seven criteria: met by evidence, not met by evidence, and not shown where nothing could be seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.model import (
    Beat,
    BeatKind,
    DeployRecord,
    Failure,
    FailureKind,
    Observation,
    Phase,
    PlatformLine,
    State,
)
from everwake.verify.criteria import (
    NAMES,
    Evidence,
    KeeperSaid,
    judge,
    lacking,
    least_s,
    progress,
    proof,
    seconds_left,
    tolerance_s,
)

BEGAN = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)
REFUSED = Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def look(seconds: float, failure: Failure | None = None, **more: object) -> Observation:
    status = 200 if failure is None else None
    return Observation(
        service="a", check="http", at=at(seconds), took_s=0.2, failure=failure, **{"status": status, **more}
    )  # type: ignore[arg-type]


def talk(seconds: float, failure: Failure | None = None) -> Observation:
    return Observation(service="a", check="chat:0", at=at(seconds), took_s=1.5, failure=failure, status=200)


def beats(*seconds: float) -> tuple[Beat, ...]:
    made = [Beat(service="a", kind=BeatKind.CONNECTED, at=at(0))]
    return (*made, *(Beat(service="a", kind=BeatKind.BEAT, at=at(each)) for each in seconds))


def line(seconds: float, text: str, instance: str = "old") -> PlatformLine:
    return PlatformLine(id=f"log-{seconds}", at=at(seconds), text=text, instance=instance)


def alive(**given: object) -> Evidence:
    """Everything as it should be, looked at for 16 minutes."""
    seen = Evidence(
        service="a", since=BEGAN, until=at(960), looks=tuple(look(n * 60) for n in range(17)),
        keeper=tuple(KeeperSaid(at=at(n * 60), state=State.UP, since=at(-5)) for n in range(17)),
        beat_every_s=30.0, beats=beats(*range(0, 960, 30)), has_chat=True, talks=(talk(1), talk(30), talk(60)),
        through="backend", log=(line(10, "INFO: Uvicorn running"),), log_since=at(-900),
    )  # fmt: skip
    return replace(seen, **given)  # type: ignore[arg-type]


def met(seen: Evidence) -> dict[str, bool | None]:
    return {criterion.name: criterion.met for criterion in judge(seen)}


def said(seen: Evidence, name: str) -> str:
    return next(criterion.said for criterion in judge(seen) if criterion.name == name)


def test_all_seven_are_met_by_one_that_is_alive() -> None:
    assert met(alive()) == dict.fromkeys(NAMES, True)
    assert proof(alive()).is_proved
    assert seconds_left(alive()) == 0
    assert set(progress(alive()).values()) == {1.0}


def test_without_any_evidence_nothing_is_met_and_nothing_is_refuted() -> None:
    nothing = Evidence(service="a", since=BEGAN, until=BEGAN, beat_every_s=30.0, has_chat=True)
    assert met(nothing) == dict.fromkeys(NAMES)
    assert all(criterion.said.startswith("not shown: ") for criterion in judge(nothing))
    assert not proof(nothing).is_proved


def test_a_service_without_chat_and_heartbeat_lacks_their_criteria_and_that_is_said() -> None:
    seen = alive(has_chat=False, talks=(), beat_every_s=None, beats=())
    assert tuple(met(seen)) == ("health", "keeper", "uptime", "log")
    assert dict(lacking(seen)) == {
        "heartbeat": "the fleet file names no heartbeat for it", "sessions": "it has no chat", "messages": "it has no chat",
    }  # fmt: skip
    assert proof(seen).is_proved


# --- one by one -------------------------------------------------------------------------------------------------------


def test_one_look_that_fails_is_not_consistent() -> None:
    seen = alive(looks=(look(0), look(1), look(2, REFUSED), look(3)))
    assert met(seen)["health"] is False
    assert said(seen, "health") == "1 of 4 looks failed, the first at 11:30:02 UTC: refused"


def test_a_slow_look_was_answered_and_a_fault_of_ours_says_nothing() -> None:
    slow = Failure(kind=FailureKind.SLOW, phase=Phase.EXPECT)
    ours = Failure(kind=FailureKind.INTERNAL, phase=Phase.CONNECT)
    assert met(alive(looks=(look(0), look(1, slow, status=200), look(2))))["health"] is True
    assert met(alive(looks=(look(0), look(1, ours), look(2, ours))))["health"] is None


@pytest.mark.parametrize("state", [state for state in State if state is not State.UP])
def test_only_up_is_green(state: State) -> None:
    said_ = (KeeperSaid(at=at(0), state=State.UP), KeeperSaid(at=at(1), state=state, cause="why"))
    assert met(alive(keeper=said_))["keeper"] is False


def test_without_a_keeper_green_is_not_shown() -> None:
    assert met(alive(keeper=None))["keeper"] is None
    assert "no keeper runs here" in said(alive(keeper=None), "keeper")


@pytest.mark.parametrize(("every_s", "allowed_s"), [(30.0, 2.0), (5.0, 0.5), (60.0, 4.0)])
def test_the_tolerance_grows_with_the_period(every_s: float, allowed_s: float) -> None:
    assert tolerance_s(every_s) == allowed_s
    good, late = every_s + allowed_s - 0.1, every_s + allowed_s + 0.1
    assert met(alive(beat_every_s=every_s, beats=beats(0, good, 2 * good)))["heartbeat"] is True
    assert met(alive(beat_every_s=every_s, beats=beats(0, good, good + late)))["heartbeat"] is False


def test_one_gap_shows_no_rhythm_yet() -> None:
    assert met(alive(beats=beats(0, 30)))["heartbeat"] is None


@pytest.mark.parametrize("kind", [BeatKind.CLOSED, BeatKind.FAILED, BeatKind.MISSED])
def test_a_line_that_does_not_hold_is_no_heartbeat(kind: BeatKind) -> None:
    broken = (*beats(0, 30, 60), Beat(service="a", kind=kind, at=at(70)))
    assert met(alive(beats=broken))["heartbeat"] is False


def test_a_session_that_is_not_made_is_not_created() -> None:
    failure = Failure(kind=FailureKind.STATUS, phase=Phase.SESSION, detail="status 503")
    seen = alive(talks=(talk(1, failure),))
    assert (met(seen)["sessions"], met(seen)["messages"]) == (False, False)


def test_a_session_whose_message_is_not_answered_was_created_all_the_same() -> None:
    failure = Failure(kind=FailureKind.TIMEOUT, phase=Phase.REPLY)
    seen = alive(talks=(talk(1), talk(30), talk(60, failure)))
    assert (met(seen)["sessions"], met(seen)["messages"]) == (True, False)


def test_the_missions_own_incident_a_shutdown_right_after_a_session() -> None:
    seen = alive(log=(line(2, "[SESSION] Created session"), line(3, "INFO:     Shutting down")))
    assert (met(seen)["sessions"], met(seen)["log"]) == (False, False)
    assert said(seen, "sessions") == "a shutdown came after a session, at 11:30:03 UTC: INFO: Shutting down"


def test_who_does_not_answer_after_a_session_did_not_survive_it() -> None:
    assert met(alive(looks=(look(0), look(10), look(20, REFUSED))))["sessions"] is False


def test_up_for_fifteen_minutes_counts_also_by_the_keepers_word() -> None:
    young = alive(until=at(60), looks=(look(0), look(20), look(40)))
    assert met(replace(young, keeper=None))["uptime"] is None
    assert "wanted are more than 15 min" in said(replace(young, keeper=None), "uptime")
    old = (KeeperSaid(at=at(1), state=State.UP, since=at(-900)),) * 2
    assert met(replace(young, keeper=old))["uptime"] is True
    assert said(replace(young, keeper=old), "uptime") == "up for 16 min, by the keeper"


def test_what_the_keeper_says_of_a_service_that_fails_now_does_not_help_it() -> None:
    old = (KeeperSaid(at=at(1), state=State.UP, since=at(-9000)),) * 2
    assert met(alive(keeper=old, looks=(look(0), look(1), look(2, REFUSED))))["uptime"] is False


# --- "Shutting down" --------------------------------------------------------------------------------------------------


def deploy(finished_s: float, status: str = "live") -> DeployRecord:
    return DeployRecord(id="dep-1", service_id="srv-1", status=status, finished_at=at(finished_s))


def test_the_shutdown_of_a_rollover_is_not_a_failure() -> None:
    seen = alive(log=(line(62, "INFO:     Shutting down"),), deploys=(deploy(1),), instances=("new",))
    assert met(seen)["log"] is True
    assert "1 of a rollover, by a newer deploy or a restart" in said(seen, "log")
    assert met(seen)["sessions"] is True


def test_nor_is_that_of_an_instance_that_was_restarted_on_purpose() -> None:
    restarted = (alive().since + timedelta(seconds=1),)
    log = (line(62, "INFO:     Shutting down", "old"),)
    assert met(alive(log=log, replaced=restarted, instances=("new",)))["log"] is True
    assert (
        met(alive(log=(line(62, "INFO:     Shutting down", "new"),), replaced=restarted, instances=("new",)))["log"]
        is False
    )
    assert met(alive(log=log, replaced=(alive().since - timedelta(seconds=500),), instances=("new",)))["log"] is False


@pytest.mark.parametrize(
    ("deploys", "instance"),
    [
        ((), "old"),
        ((deploy(-500),), "old"),
        ((deploy(300),), "old"),
        ((deploy(1, "update_failed"),), "old"),
        ((deploy(1),), "new"),
    ],
)
def test_any_other_shutdown_is(deploys: tuple[DeployRecord, ...], instance: str) -> None:
    log = (line(62, "INFO:     Shutting down", instance),)
    assert met(alive(log=log, deploys=deploys, instances=("new",)))["log"] is False


@pytest.mark.parametrize("code", [1001, 1012])
def test_without_a_log_a_line_that_a_server_closes_as_it_goes_counts_as_a_shutdown_seen(code: int) -> None:
    closed = Beat(service="a", kind=BeatKind.CLOSED, at=at(70), code=code)
    seen = alive(log=None, beats=(*beats(0, 30, 60), closed))
    assert met(seen)["log"] is False


def test_without_a_log_nothing_seen_is_not_shown_and_never_passed() -> None:
    seen = alive(log=None, missing={"log": "there is no key for render"})
    assert met(seen)["log"] is None
    assert said(seen, "log").startswith("not shown: its log could not be read, there is no key for render.")
    assert not proof(seen).is_proved


# --- how long ---------------------------------------------------------------------------------------------------------


def test_what_the_keeper_knows_shortens_the_soak_to_two_beats() -> None:
    known = (KeeperSaid(at=at(0), state=State.UP, since=at(-5000)),)
    seen = alive(until=at(0), looks=(look(0),), beats=(), talks=(), keeper=known, log=())
    assert seconds_left(seen) == pytest.approx(least_s(seen)) == pytest.approx(68.0)
    assert seconds_left(replace(seen, keeper=None)) == pytest.approx(900.0)


def test_one_that_is_refuted_is_not_soaked_for_nothing() -> None:
    seen = alive(until=at(70), keeper=None, looks=(look(0), look(10), look(20, REFUSED)))
    assert seconds_left(seen) == 0


FAILURES = st.sampled_from([None, REFUSED, Failure(kind=FailureKind.STATUS, phase=Phase.SESSION)])
LINES = st.sampled_from(["INFO: Shutting down", "shutting down now", "all is well", "\x1b[31m", ""])
EVIDENCE = st.builds(
    lambda looks, states, gaps, talks, log, soak: Evidence(
        service="a", since=BEGAN, until=at(500), soak_s=soak,
        looks=tuple(look(n, failure) for n, failure in enumerate(looks)),
        keeper=None if states is None else tuple(KeeperSaid(at=at(n), state=one) for n, one in enumerate(states)),
        beat_every_s=30.0, beats=beats(*[sum(gaps[: n + 1]) for n in range(len(gaps))]), has_chat=True,
        talks=tuple(talk(n, failure) for n, failure in enumerate(talks)),
        log=None if log is None else tuple(line(n, text) for n, text in enumerate(log)),
    ),
    st.lists(FAILURES, max_size=5), st.none() | st.lists(st.sampled_from(State), max_size=4),
    st.lists(st.floats(0, 90), max_size=5), st.lists(FAILURES, max_size=4), st.none() | st.lists(LINES, max_size=4),
    st.floats(0, 2000),
)  # fmt: skip


@given(EVIDENCE)
def test_green_is_earned_whatever_was_seen(seen: Evidence) -> None:
    verdicts = met(seen)
    assert tuple(verdicts) == NAMES
    if verdicts["health"]:
        assert len(seen.looks) >= 3
        assert all(one.failure is None for one in seen.looks)
    if verdicts["keeper"]:
        assert seen.keeper
        assert {one.state for one in seen.keeper} == {State.UP}
    if verdicts["log"]:
        assert seen.log is not None
        assert not any("shutting down" in one.text.lower() for one in seen.log)
    if verdicts["messages"]:
        assert all(one.failure is None for one in seen.talks)
    assert all(0 <= share <= 1 for share in progress(seen).values())
    assert seconds_left(seen) >= 0
