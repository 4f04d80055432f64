"""What the platform knows of every service, in memory and on disk alike: written first, then known."""

import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from everwake.sim.life import Ledger
from everwake.sim.records import Broken, Deploy, EnvGroup, Event, Owner, Service, Standing
from everwake.sim.store import Record, Store, identity
from everwake.sim.verbs import Refused

__all__ = ["Books", "new_id"]

KEPT_EVENTS = 500
KEPT_DEPLOYS = 200
_LETTERS = string.ascii_lowercase + string.digits

R = TypeVar("R", Service, EnvGroup)


def new_id(kind: str, length: int = 20) -> str:
    """An id such as the platform gives: `kind`, "-" and lower-case letters and digits."""
    return f"{kind}-{''.join(secrets.choice(_LETTERS) for _ in range(length))}"


class Books:
    """Reads answer from memory; `put` is one transaction and then seen by every read."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self.now = now
        self.owners = {each.id: each for each in store.read(Owner)}
        self.services = {each.id: each for each in store.read(Service)}
        self.groups = {each.id: each for each in store.read(EnvGroup)}
        self.standings = {each.service_id: each for each in store.read(Standing)}
        self.broken = {each.service_id: each for each in store.read(Broken)}
        self.ledgers = {each.owner_id: each for each in store.read(Ledger)}
        self._deploys: dict[str, dict[str, Deploy]] = {}
        self._events: dict[str, dict[str, Event]] = {}
        for deploy in store.read(Deploy):
            self._deploys.setdefault(deploy.service_id, {})[deploy.id] = deploy
        for event in store.read(Event):
            self._events.setdefault(event.service_id, {})[event.id] = event

    def put(self, *records: Record, gone: Sequence[Record] = (), facts: Mapping[str, str] | None = None) -> None:
        """Write these in one transaction. Of events and ended deploys the oldest make room."""
        old = [stale for each in records for stale in self._too_old(each)]
        self._store.write(records, [*gone, *old], facts)
        for each in (*gone, *old):
            self._forget(each)
        for each in records:
            self._know(each)

    def service(self, service_id: str) -> Service:
        """One service.

        Raises:
            Refused: 404.
        """
        return _found(self.services, service_id, "service")

    def group(self, group_id: str) -> EnvGroup:
        """One env group.

        Raises:
            Refused: 404.
        """
        return _found(self.groups, group_id, "environment group")

    def standing(self, service_id: str) -> Standing:
        """Where it stands."""
        return self.standings.get(service_id) or Standing(service_id=service_id)

    def ledger(self, owner_id: str) -> Ledger:
        """The hours of a workspace."""
        return self.ledgers.get(owner_id) or Ledger(owner_id=owner_id)

    def deploys(self, service_id: str) -> list[Deploy]:
        """Newest first."""
        return list(reversed(self._deploys.get(service_id, {}).values()))

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """One deploy.

        Raises:
            Refused: 404.
        """
        found = self._deploys.get(service_id, {}).get(deploy_id)
        if found is None:
            raise Refused(404, f"not found: deploy {deploy_id}")
        return found

    def live(self, service_id: str) -> Deploy | None:
        """Its live deploy."""
        return self._deploys.get(service_id, {}).get(self.standing(service_id).live)

    def events(self, service_id: str) -> list[Event]:
        """Newest first."""
        return list(reversed(self._events.get(service_id, {}).values()))

    def event(self, event_id: str) -> Event:
        """One event.

        Raises:
            Refused: 404.
        """
        for those in self._events.values():
            if event_id in those:
                return those[event_id]
        raise Refused(404, f"not found: event {event_id}")

    def happened(self, service_id: str, type_: str, **details: object) -> Event:
        """An event of now, to be put."""
        return Event(id=new_id("evt"), service_id=service_id, at=self.now(), type=type_, details=details)

    def env_of(self, service: Service) -> dict[str, str]:
        """What a deploy of it is given: its groups' variables in the order they were linked, then its own."""
        merged: dict[str, str] = {}
        for group_id in service.groups:
            merged.update(self.groups[group_id].env)
        return {**merged, **service.env}

    def touched(self, service: Service, **changes: object) -> Service:
        """The service changed now, to be put."""
        return replace(service, updated_at=self.now(), **changes)  # type: ignore[arg-type]

    def _too_old(self, record: Record) -> list[Record]:
        if isinstance(record, Event):
            known = self._events.get(record.service_id, {})
            return [next(iter(known.values()))] if len(known) >= KEPT_EVENTS else []
        if isinstance(record, Deploy) and record.id not in (those := self._deploys.get(record.service_id, {})):
            live = self.standing(record.service_id).live
            ended = [each for each in those.values() if not each.status.is_running and each.id != live]
            return list(ended[:1]) if len(those) >= KEPT_DEPLOYS else []
        return []

    def _know(self, record: Record) -> None:
        if isinstance(record, Deploy):
            self._deploys.setdefault(record.service_id, {})[record.id] = record
        elif isinstance(record, Event):
            self._events.setdefault(record.service_id, {})[record.id] = record
        else:
            self._shelf(record)[identity(record)] = record

    def _forget(self, record: Record) -> None:
        if isinstance(record, Deploy):
            self._deploys.get(record.service_id, {}).pop(record.id, None)
        elif isinstance(record, Event):
            self._events.get(record.service_id, {}).pop(record.id, None)
        else:
            self._shelf(record).pop(identity(record), None)

    def _shelf(self, record: Record) -> dict[str, Record]:
        shelves: dict[type, object] = {
            Owner: self.owners, Service: self.services, EnvGroup: self.groups, Standing: self.standings,
            Broken: self.broken, Ledger: self.ledgers,
        }  # fmt: skip
        return shelves[type(record)]  # type: ignore[return-value]


def _found(shelf: Mapping[str, R], wanted: str, what: str) -> R:
    if wanted not in shelf:
        raise Refused(404, f"not found: {what} {wanted}")
    return shelf[wanted]
