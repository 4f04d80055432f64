"""A keeper that is to be killed: moves services about, flushes, and says on stdout which moves are safe.

python -m tests.everwake.history.killed FILE FIRST_NUMBER
"""

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from everwake.clock import SystemClock
from everwake.history import History
from everwake.model import Incident, Level, LogLine, Observation, State, Transition
from everwake.ports import Notice, Standing

SERVICES = tuple(f"s{n}" for n in range(5))
NEXT = {
    State.UNKNOWN: (State.UP, State.DOWN),
    State.UP: (State.DOWN, State.WAKING),
    State.WAKING: (State.UP, State.DOWN),
    State.DOWN: (State.UP, State.WAKING),
}


def main() -> None:
    path, number = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(number)
    history = History(path, SystemClock())
    history.open()
    standings = {standing.service: standing for standing in history.standings()}
    print("ready", flush=True)
    while True:
        fresh = []
        for _ in range(dice.randrange(1, 20)):
            name = dice.choice(SERVICES)
            now = datetime.now(UTC)
            was = standings.get(name) or Standing(service=name, state=State.UNKNOWN, since=now)
            new, incident, notices = dice.choice(NEXT[was.state]), was.incident, ()
            if new is State.DOWN and incident is None:
                incident = Incident(id=f"inc-{number}", service=name, opened_at=now)
                notices = (told(incident, "opened", now),)
            elif new is State.UP and incident is not None:
                incident = replace(incident, closed_at=now)
                notices = (told(incident, "closed", now),)
            move = Transition(service=name, old=was.state, new=new, at=now, cause=str(number))
            after = Standing(service=name, state=new, since=now, incident=incident, told=incident is not None)
            history.looked([Observation(service=name, check="http", at=now, took_s=0.1, status=200)])
            history.said(LogLine(at=now, level=Level.INFO, text=str(number), service=name))
            history.moved(move, after, notices)
            standings[name] = replace(after, incident=None) if incident and incident.closed_at else after
            fresh.append(number)
            number += 1
        if history.flush(30):
            print(*fresh, flush=True)


def told(incident: Incident, what: str, at: datetime) -> Notice:
    return Notice(
        key=f"{incident.id}:{what}", service=incident.service, incident=incident.id, opened=what == "opened",
        title=what, body="", at=at,
    )  # fmt: skip


if __name__ == "__main__":
    main()
