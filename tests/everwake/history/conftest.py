"""A history in a folder of its own, and values to put into it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from everwake.history import History
from everwake.model import Failure, FailureKind, Incident, Observation, Phase, State, Transition
from everwake.ports import Notice, Standing
from tests.support.fake_clock import FakeClock

REFUSED = Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT, detail="connection refused")


def look(
    at: datetime, service: str = "a", *, took_s: float = 0.1, status: int | None = 200, failure: Failure | None = None,
    check: str = "http",
) -> Observation:  # fmt: skip
    return Observation(service=service, check=check, at=at, took_s=took_s, status=status, failure=failure)


class Story:
    """Moves a service through its states as a keeper does: with an incident while it is down, told at once."""

    def __init__(self, history: History, service: str = "a") -> None:
        self.history, self.service = history, service
        self.state, self.incident = State.UNKNOWN, None

    def move(self, new: State, at: datetime) -> Incident | None:
        notices: tuple[Notice, ...] = ()
        incident: Incident | None = self.incident
        if new is State.DOWN and incident is None:
            incident = Incident(id=f"inc-{self.service}-{at.isoformat()}", service=self.service, opened_at=at)
            notices = (notice(incident, opened=True),)
        elif new is State.UP and incident is not None:
            incident = Incident(id=incident.id, service=self.service, opened_at=incident.opened_at, closed_at=at)
            notices = (notice(incident, opened=False),)
        self.history.moved(
            Transition(service=self.service, old=self.state, new=new, at=at, failure=REFUSED if incident else None),
            Standing(service=self.service, state=new, since=at, incident=incident, told=incident is not None),
            notices,
        )
        self.state = new
        self.incident = incident if incident is not None and incident.closed_at is None else None
        return incident


def notice(incident: Incident, *, opened: bool) -> Notice:
    return Notice(
        key=f"{incident.id}:{'opened' if opened else 'closed'}", service=incident.service, incident=incident.id,
        opened=opened, title="title", body="body", at=incident.opened_at if opened else incident.closed_at or incident.opened_at,
    )  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


@pytest.fixture
def history(path: Path, clock: FakeClock) -> Iterator[History]:
    made = History(path, clock)
    made.open()
    yield made
    made.close()


def hours(number: float) -> timedelta:
    return timedelta(hours=number)
