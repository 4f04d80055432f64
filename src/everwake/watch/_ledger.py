"""Enters what the state machine decided into the book of incidents, and has written down what follows from it.

A transition, what stands after it, its incident and the messages about it go to the recorder in one call: one transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from everwake.fleet.schema import Fleet, Service
from everwake.model import Diagnosis, Incident, LogLine, Observation, State, Transition
from everwake.ports import Clock, Notice, Recorder, Standing
from everwake.watch import incidents, state, words
from everwake.watch._kept import Kept, host_of, policy_of

__all__ = ["Ledger"]

# Twice what it takes to confirm a failure: a look may wait for another one that is under way.
CONFIRMED_S = 10.0


class Ledger:
    """All incidents of one keeper. kept: its services, as they come and go.   The callables are `Keeper`'s own."""

    def __init__(
        self,
        fleet: Fleet,
        kept: Mapping[str, Kept],
        recorder: Recorder,
        clock: Clock,
        *,
        said: Callable[[LogLine], None],
        changed: Callable[[str], None],
        told: Callable[[Incident], None],
        link: Callable[[Incident], str],
    ) -> None:
        self.take(fleet)
        self._kept, self._recorder, self._clock = kept, recorder, clock
        self._said, self._changed, self._told, self._link = said, changed, told, link
        self._book = incidents.Book()
        self._orphans: list[Standing] = []

    def take(self, fleet: Fleet) -> None:
        """Who depends on whom, from now on."""
        self._depends_on = {service.name: service.depends_on for service in fleet.services}
        self._timeout_s = {service.name: service.timeout_s for service in fleet.services}

    def resume(self, fleet: Fleet, standings: Iterable[Standing]) -> None:
        """Go on with what was open when the last keeper ended; `begin` closes what is open of services that left the fleet."""
        known = tuple(standings)
        names = {service.name for service in fleet.services}
        still_open = {standing.incident.id for standing in known if standing.incident}
        now, now_s = self._clock.now(), self._clock.monotonic()
        for standing in known:
            if standing.service in names:
                wait_s = self._wait_s(standing.service)
                self._book = incidents.resume(self._book, standing, still_open, now, now_s, wait_s)
            elif standing.incident is not None and standing.incident.closed_at is None:
                self._orphans.append(standing)

    def begin(self) -> None:
        """The keeper runs: write down the end of what nobody looks at any more."""
        orphans, self._orphans = self._orphans, []
        for standing in orphans:
            service = Service(name=standing.service, url="")
            watch = state.Watch(state=standing.state, since=standing.since, cause=standing.cause)
            kept = Kept(service=service, host=host_of(service), policy=policy_of(service), watch=watch)
            self._book = incidents.resume(self._book, standing, (), self._clock.now(), self._clock.monotonic())
            self.gone(kept)

    # --- what is open -------------------------------------------------------------------------------------------------

    @property
    def open(self) -> tuple[Incident, ...]:
        """All incidents that are open now, in the order in which they opened."""
        return tuple(entry.incident for entry in self._book.open.values())

    def of(self, name: str) -> Incident | None:
        """The open one of a service."""
        entry = self._book.open.get(name)
        return entry.incident if entry else None

    def unsure_of(self, kept: Kept) -> tuple[Kept, ...]:
        """What a service that fails depends on and was not seen well since then; without whom nobody looks at now."""
        began_at = kept.watch.first.at if kept.watch.first else kept.watch.since
        needs = (self._kept.get(name) for name in incidents.ancestors(kept.service.name, self._depends_on))
        return tuple(
            other
            for other in needs
            if other is not None
            and other.watch.state not in (State.PAUSED, State.ASLEEP)
            and not (
                other.watch.confirming is None
                and other.watch.good_at is not None
                and (began_at is None or other.watch.good_at >= began_at)
            )
        )

    def lacks(self, kept: Kept, check: str) -> bool:
        """Whether something that a service depends on is not there, or fails in the same kind of check: then that check of it
        tells nothing of the service itself."""
        kind = check.partition(":")[0]
        needs = (self._kept.get(name) for name in incidents.ancestors(kept.service.name, self._depends_on))
        return any(
            other is not None
            and (
                other.watch.state not in (State.UP, State.DEGRADED)
                or other.watch.first is not None
                or any(doubt.check.partition(":")[0] == kind for doubt in other.watch.failing)
            )
            for other in needs
        )

    def _is_unsure(self, name: str) -> bool:
        kept = self._kept.get(name)
        return kept is not None and bool(self.unsure_of(kept))

    def _wait_s(self, name: str) -> float:
        """A look at what it depends on may take its whole timeout, and is confirmed after that."""
        needs = [service for service in incidents.ancestors(name, self._depends_on) if service in self._timeout_s]
        return max([incidents.GRACE_S, *(self._timeout_s[service] + CONFIRMED_S for service in needs)])

    # --- what happens -------------------------------------------------------------------------------------------------

    def moved(self, kept: Kept, move: Transition, first: Observation | None) -> None:
        """A service moved. first: the look from which that is dated. What was due before has been passed (`pass_time`), while it
        still stood as it did: else an incident that settles in this moment would be stored with a state nobody has moved to."""
        now_s = self._clock.monotonic()
        self._book, changed = incidents.follow(
            self._book, move, first, self._depends_on, now_s, self._wait_s(move.service)
        )
        self._book, told = incidents.pass_time(self._book, now_s, self._is_unsure)
        news = {one.incident.service: one for one in told}
        self._say(words.of_move(kept.service, move, self._clock.now()))
        for incident in changed:
            if incident.service != move.service and incident.service not in news:
                self._store(self._kept.get(incident.service), None, incident)
        mine = news.pop(move.service, None)
        self._store(kept, move, mine.incident if mine else self.of(move.service), self._notices(kept, mine))
        for one in news.values():
            self._news(one)
        self._changed(kept.service.name)

    def pass_time(self) -> None:
        """Tell what is due to be told and close what has settled."""
        if not self._book.open:
            return
        self._book, told = incidents.pass_time(self._book, self._clock.monotonic(), self._is_unsure)
        for one in told:
            self._news(one)

    def doubted(self, kept: Kept) -> None:
        """What is being confirmed began or ended: a keeper that is started now goes on from here."""
        self._store(kept, None, self.of(kept.service.name))

    def notify(self, kept: Kept, notice: Notice) -> None:
        """Tell people something beside the incidents; written down with how `kept` stands."""
        self._store(kept, None, self.of(kept.service.name), (notice,))

    def gone(self, kept: Kept) -> None:
        """A service left the fleet: nothing is known of it from now on, and what was open of it ends."""
        now = self._clock.now()
        kept.watch, move = state.tell(kept.watch, kept.service.name, State.UNKNOWN, now, words.NOT_WATCHED)
        self._book, told = incidents.drop(self._book, kept.service.name, now, self._clock.monotonic())
        closed = told[0] if told else None
        notices: tuple[Notice, ...] = ()
        if closed is not None and closed.is_news:
            notices = (words.left(kept.service, closed.incident, self._link(closed.incident)),)
        self._store(kept, move, closed.incident if closed else None, notices)

    def diagnosed(self, which: str, diagnosis: Diagnosis) -> Incident | None:
        """Somebody found out why. which: a service, or the id of its open incident.   None: nothing is open there any more."""
        name = next((entry.incident.service for entry in self._book.open.values() if entry.incident.id == which), which)
        top = diagnosis.causes[0].cause if diagnosis.causes else None

        def change(incident: Incident) -> Incident:
            return replace(incident, diagnosis=diagnosis, cause=top if top not in (None, "unknown") else incident.cause)

        incident = self.amend(name, change)
        kept = self._kept.get(name)
        if incident is not None and kept is not None and top is not None:
            self._say(words.of_diagnosis(kept.service, diagnosis, self._clock.now()))
        return incident

    def amend(self, name: str, change: Callable[[Incident], Incident]) -> Incident | None:
        """Put what was found out, done or proved into a service's open incident; None where nothing is open."""
        kept = self._kept.get(name)
        if kept is None:
            return None
        self._book, incident = incidents.amend(self._book, name, change)
        if incident is None:
            return None
        if kept.watch.state not in (State.UP, State.PAUSED, State.UNKNOWN):
            kept.watch = replace(kept.watch, cause=incident.cause or kept.watch.cause)
        self._store(kept, None, incident)
        self._changed(name)
        return incident

    # --- writing it down ----------------------------------------------------------------------------------------------

    def _news(self, one: incidents.Told) -> None:
        kept = self._kept.get(one.incident.service)
        if kept is not None:
            self._store(kept, None, one.incident, self._notices(kept, one))
            self._changed(kept.service.name)

    def _notices(self, kept: Kept, one: incidents.Told | None) -> tuple[Notice, ...]:
        if one is None or not one.is_news:
            return ()
        link = self._link(one.incident)
        return (words.notice(kept.service, one.incident, link, opened=one.opened, state=kept.watch.state),)

    def _store(
        self, kept: Kept | None, move: Transition | None, incident: Incident | None, notices: tuple[Notice, ...] = ()
    ) -> None:
        if kept is None:
            return
        watch, name, entry = kept.watch, kept.service.name, self._book.open.get(kept.service.name)
        at = move.at if move else self._clock.now()
        standing = Standing(
            service=name,
            state=watch.state,
            since=watch.since or at,
            cause=watch.cause,
            streak=watch.streak,
            incident=incident,
            told=entry is not None and entry.was_told,
            last=kept.last,
            doubts=state.doubts(watch),
        )
        same = Transition(service=name, old=watch.state, new=watch.state, at=at, cause=watch.cause)
        self._recorder.moved(move or same, standing, notices)
        if incident is not None:
            self._told(incident)

    def _say(self, line: LogLine | None) -> None:
        if line is None:
            return
        self._recorder.said(line)
        self._said(line)
