"""What was found out about an incident, and what was being confirmed, come back as they were; old files are taken along."""

import sqlite3
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from everwake.history import History, queries
from everwake.history.packing import (
    read_diagnosis,
    read_doubts,
    read_proof,
    write_diagnosis,
    write_doubts,
    write_proof,
)
from everwake.history.schema import MIGRATIONS
from everwake.model import (
    Action,
    Cause,
    Criterion,
    Diagnosis,
    Doubt,
    Evidence,
    Incident,
    Proof,
    RuledOut,
    State,
    Transition,
    VariableProblem,
)
from everwake.ports import Notice, Standing
from tests.everwake.history.conftest import REFUSED, look
from tests.support.fake_clock import START, FakeClock

texts = st.text(max_size=60)
causes = st.builds(
    Cause,
    cause=texts,
    sure=st.floats(0, 1),
    evidence=st.lists(st.builds(Evidence, source=texts, quote=texts), max_size=3).map(tuple),
    next=texts,
    remedy=st.none() | texts,
)
problems = st.builds(
    VariableProblem,
    key=texts,
    problem=texts,
    is_error=st.booleans(),
    fix=texts,
    line=st.none() | st.integers(1, 99),
    column=st.none() | st.integers(1, 99),
    found=texts,
    service=st.none() | texts,
    value=st.none(),
)
diagnoses = st.builds(
    Diagnosis,
    state=st.sampled_from(State),
    causes=st.lists(causes, max_size=3).map(tuple),
    ruled_out=st.lists(st.builds(RuledOut, cause=texts, why=texts), max_size=3).map(tuple),
    variables=st.lists(problems, max_size=3).map(tuple),
)


@given(diagnoses)
def test_a_diagnosis_is_read_as_it_was_written(diagnosis: Diagnosis) -> None:
    assert read_diagnosis(write_diagnosis(diagnosis)) == diagnosis


@given(st.lists(st.builds(Criterion, name=texts, met=st.none() | st.booleans(), said=texts), max_size=7).map(tuple))
def test_a_proof_is_read_as_it_was_written(criteria: tuple[Criterion, ...]) -> None:
    assert read_proof(write_proof(Proof(criteria=criteria))) == Proof(criteria=criteria)


def test_nothing_found_out_is_nothing_written() -> None:
    assert (write_diagnosis(None), write_proof(None), write_doubts(())) == (None, None, None)
    assert (read_diagnosis(None), read_proof(None), read_doubts(None)) == (None, None, ())


def test_nothing_is_proved_by_nothing_or_by_what_nobody_could_tell() -> None:
    assert not Proof().is_proved
    assert not Proof(criteria=(Criterion(name="alive", met=True), Criterion(name="soak", met=None))).is_proved
    assert Proof(criteria=(Criterion(name="alive", met=True),)).is_proved


async def test_an_incident_comes_back_with_why_what_was_done_and_the_proof(history: History, clock: FakeClock) -> None:
    at = clock.now()
    secret = VariableProblem(key="REDIS_URL", problem="quoted", is_error=True, fix="unquote", value="redis://u:pw@x")
    diagnosis = Diagnosis(
        state=State.DOWN,
        causes=(
            Cause(cause="redis_refused", sure=0.9, evidence=(Evidence(source="log", quote="redis://u:pw@x refused"),)),
        ),
        variables=(secret,),
    )
    incident = Incident(
        id="inc-1", service="a", opened_at=at, fell_at=at + timedelta(seconds=90), cause="redis_refused",
        first=look(at, failure=REFUSED, status=None),
        diagnosis=diagnosis, proof=Proof(criteria=(Criterion(name="alive", met=True, said="200"),)),
        actions=(Action(at=at, remedy="restart", step="restart", by="keeper", outcome="done"),),
    )  # fmt: skip
    doubt = Doubt(check="redis:0", looks=2, first=look(at, check="redis:0", failure=REFUSED, status=None))
    move = Transition(service="a", old=State.UP, new=State.DOWN, at=at)
    history.moved(move, Standing(service="a", state=State.DOWN, since=at, incident=incident, doubts=(doubt,)))
    assert history.flush()
    story = await history.read(queries.incident, "inc-1")
    assert story is not None
    found = story.incident
    assert (found.proof, found.actions, found.first) == (incident.proof, incident.actions, incident.first)
    assert found.diagnosis is not None
    assert found.diagnosis.causes[0].cause == "redis_refused"
    assert "pw@" not in found.diagnosis.causes[0].evidence[0].quote
    assert found.diagnosis.variables[0].value is None
    assert "u:pw" not in str(sqlite3.connect(history.path).execute("SELECT diagnosis FROM incidents").fetchall())
    (standing,) = history.standings()
    assert standing.doubts == (doubt,)
    assert standing.incident is not None
    assert standing.incident.fell_at == incident.fell_at
    history.moved(move, Standing(service="a", state=State.DOWN, since=at, incident=incident))
    assert history.flush()
    assert history.standings()[0].doubts == ()


def test_a_file_of_the_first_version_is_taken_along_with_all_that_is_in_it(path: Path, clock: FakeClock) -> None:
    run(path, MIGRATIONS[0])
    run(
        path,
        (
            "INSERT INTO services VALUES (1, 'a')",
            f"INSERT INTO standings VALUES (1, 'down', {START.timestamp() * 1e6:.0f}, NULL, -4, NULL)",
            f"INSERT INTO incidents VALUES ('inc-1', 1, {START.timestamp() * 1e6:.0f}, NULL, NULL, NULL, 0, 1, NULL, '[]')",
            "PRAGMA user_version = 1",
        ),
    )
    history = History(path, clock)
    history.open()
    (standing,) = history.standings()
    assert history.trouble is None
    history.close()
    assert standing.incident == Incident(id="inc-1", service="a", opened_at=START)
    assert (standing.state, standing.told, standing.doubts) == (State.DOWN, True, ())


def run(path: Path, statements: Iterable[str]) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_an_alert_is_not_put_off_by_a_clock_that_was_put_back(history: History, clock: FakeClock) -> None:
    at = clock.now()
    incident = Incident(id="inc-1", service="a", opened_at=at)
    notice = Notice(
        key="inc-1:opened@x",
        service="a",
        incident="inc-1",
        opened=True,
        title="down",
        body="why",
        at=incident.opened_at,
    )
    move = Transition(service="a", old=State.UP, new=State.DOWN, at=at)
    history.moved(move, Standing(service="a", state=State.DOWN, since=at, incident=incident), [notice])
    clock.jump(-3600)
    (claimed,) = await history.claim("w", clock.now(), 20.0)
    assert claimed.key == notice.key
    assert await history.claim("w", clock.now(), 20.0) == []
    await history.failed(notice.key, "503", clock.now() + timedelta(seconds=900))
    assert await history.claim("w", clock.now() + timedelta(seconds=890), 20.0) == []
    clock.jump(-3600)
    assert len(await history.claim("w", clock.now(), 20.0)) == 1


def test_what_closes_because_another_one_opens_never_closes_before_it_opened(
    history: History, clock: FakeClock
) -> None:
    at = clock.now()
    for n, opened_at in enumerate((at, at - timedelta(hours=1))):
        incident = Incident(id=f"inc-{n}", service="a", opened_at=opened_at)
        move = Transition(service="a", old=State.UP, new=State.DOWN, at=opened_at)
        history.moved(move, Standing(service="a", state=State.DOWN, since=opened_at, incident=incident))
    assert history.flush()
    rows = (
        sqlite3.connect(history.path).execute("SELECT id, closed_us >= opened_us FROM incidents ORDER BY id").fetchall()
    )
    assert rows == [("inc-0", 1), ("inc-1", None)]
