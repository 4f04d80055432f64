"""Values as the API writes them: times, states, failures, services, incidents. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from everwake.model import Diagnosis, Failure, Incident, LogLine, Observation, Proof, State
from everwake.ports import Switch
from everwake.watch.view import Heart, Seen, ServiceView, overall
from everwake.web.door import SPANS, Rollup, Uptime
from everwake.web.sentence import sentence

__all__ = [
    "LETTERS", "NO_UPTIME", "Head", "diagnosis", "incident", "json_bytes", "line", "observation", "rollup", "service", "switch",
    "when",
]  # fmt: skip

NO_UPTIME: Uptime = dict.fromkeys(SPANS)

LETTERS: Mapping[State, str] = {
    State.UP: "u", State.DEGRADED: "g", State.WAKING: "w", State.ASLEEP: "a", State.DOWN: "d", State.PAUSED: "p",
    State.UNKNOWN: "?",
}  # fmt: skip
"""How a strip writes a state."""

_LETTER_BY_NAME = {state.name: letter for state, letter in LETTERS.items()}
_AT, _STATE_NAME, _MS = attrgetter("at"), attrgetter("state._name_"), attrgetter("ms")


def json_bytes(value: Any) -> bytes:
    """`value` as JSON of ASCII characters only: nobody's text can end a line, a script block or an encoding early."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def when(at: datetime | None) -> str | None:
    """RFC 3339, UTC, with milliseconds."""
    if at is None:
        return None
    at = at if at.tzinfo is UTC else at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"


class Head:
    """A fleet without its services: `add` each of them, then `body`.

    Only words and times are kept: holding on to thousands of views would cost the garbage collector a walk through all looks.
    """

    def __init__(self) -> None:
        self._titles: list[str] = []
        self._states: list[State] = []
        self._next_at: datetime | None = None

    def add(self, title: str, state: State, next_check_at: datetime | None) -> None:
        """One service, in the order of the fleet file."""
        self._titles.append(title)
        self._states.append(state)
        if next_check_at is not None and (self._next_at is None or next_check_at < self._next_at):
            self._next_at = next_check_at

    def body(self, name: str, monitoring: bool, trouble: Sequence[str], repairs: Switch) -> dict[str, Any]:
        """What the API says."""
        state, counts = overall(self._states)
        return {
            "name": name,
            "state": state.value,
            "sentence": self.sentence(monitoring),
            "monitoring": monitoring,
            "counts": counts,
            "next_check_at": when(self._next_at),
            "trouble": list(trouble),
            "repairs": switch(repairs),
        }

    def sentence(self, monitoring: bool) -> str:
        """How things stand, for people."""
        return sentence(list(zip(self._titles, self._states, strict=True)), monitoring=monitoring)


def switch(repairs: Switch) -> dict[str, Any]:
    """The big red one."""
    return {"stopped": repairs.is_stopped, "by": repairs.by or None, "at": when(repairs.at)}


def service(view: ServiceView, uptime: Uptime | None = None) -> dict[str, Any]:
    """One service. It holds URLs and evidence: not for the public page."""
    return {
        "name": view.name,
        "title": view.title,
        "url": view.url,
        "group": view.group,
        "state": view.state.value,
        "since": when(view.since),
        "cause": view.cause,
        "failure": _failure(view.failure),
        "latency_ms": view.latency_ms,
        "status": view.status,
        "checked_at": when(view.checked_at),
        "next_check_at": when(view.next_check_at),
        "checking": view.checking,
        "heartbeat": _heart(view.heartbeat),
        "uptime": dict(uptime or NO_UPTIME),
        "incident": view.incident,
        "awake": view.awake,
        "rests": view.rests,
        "turns_at": when(view.turns_at),
        "strip": _strip(view.strip),
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"kind": failure.kind.value, "phase": failure.phase.value, "detail": failure.detail}


def _heart(heart: Heart | None) -> dict[str, Any] | None:
    if heart is None:
        return None
    return {
        "connected": heart.connected,
        "connected_at": when(heart.connected_at),
        "last_beat_at": when(heart.last_beat_at),
        "missed": heart.missed,
    }


def _strip(strip: Sequence[Seen]) -> dict[str, Any]:
    """Sixty looks as objects would be 4 KB for every service; written as columns they are a tenth of it.

    This is half of what a service costs to write, so it goes through the columns without a step of Python for each cell.
    """
    if not strip:
        return {"at": None, "ago_s": [], "states": "", "ms": []}
    times = list(map(_AT, strip))
    gaps = map(times[-1].__sub__, times)
    return {
        "at": when(times[-1]),
        "ago_s": [gap.days * 86_400 + gap.seconds for gap in gaps],
        "states": "".join(map(_LETTER_BY_NAME.__getitem__, map(_STATE_NAME, strip))),
        "ms": [None if ms is None else int(ms + 0.5) for ms in map(_MS, strip)],
    }


def observation(seen: Observation) -> dict[str, Any]:
    """One look. headers and excerpt are somebody else's text."""
    return {
        "at": when(seen.at),
        "check": seen.check,
        "ok": seen.failure is None,
        "status": seen.status,
        "took_ms": round(seen.took_s * 1000, 1),
        "late_ms": round(seen.late_s * 1000, 1),
        "failure": _failure(seen.failure),
        "phases_ms": {phase.value: round(took_s * 1000, 1) for phase, took_s in seen.phases.items()},
        "headers": dict(seen.headers),
        "excerpt": seen.excerpt,
        "certificate_expires_at": when(seen.certificate_expires_at),
        "redirects": seen.redirects,
    }


def rollup(one: Rollup) -> dict[str, Any]:
    """One hour or day."""
    return {
        "at": when(one.at),
        "looks": one.looks,
        "failed": one.failed,
        "uptime": one.uptime,
        "p50_ms": one.p50_ms,
        "p95_ms": one.p95_ms,
        "p99_ms": one.p99_ms,
        "max_ms": one.max_ms,
    }


def line(said: LogLine) -> dict[str, Any]:
    """One line of the activity log."""
    return {"at": when(said.at), "level": said.level.value, "text": said.text, "service": said.service}


def incident(one: Incident) -> dict[str, Any]:
    """One incident. Nothing is proved that nobody has proved."""
    return {
        "id": one.id,
        "service": one.service,
        "opened_at": when(one.opened_at),
        "closed_at": when(one.closed_at),
        "cause": one.cause,
        "parent": one.parent,
        "flaps": one.flaps,
        "first": observation(one.first) if one.first else None,
        "diagnosis": _diagnosis(one.service, one.diagnosis)
        if one.diagnosis
        else _causes(
            one.service,
            "up" if one.closed_at else "down",
            one.cause,
            one.first,
            one.first.failure if one.first else None,
        ),
        "actions": [
            {"at": when(done.at), "remedy": done.remedy, "step": done.step, "by": done.by, "outcome": done.outcome}
            for done in one.actions
        ],
        "proof": _proof(one.proof),
    }


def _proof(proof: Proof | None) -> dict[str, Any]:
    if proof is None:
        return {"proved": False, "criteria": []}
    criteria = [{"name": one.name, "met": one.met, "said": one.said} for one in proof.criteria]
    return {"proved": proof.is_proved, "criteria": criteria}


def _diagnosis(name: str, found: Diagnosis) -> dict[str, Any]:
    """In the words of `everwake why --json`."""
    return {
        "id": name,
        "state": found.state.value,
        "causes": [
            {
                "cause": one.cause,
                "sure": round(one.sure, 3),
                "evidence": [{"from": seen.source, "quote": seen.quote} for seen in one.evidence],
                "next": one.next,
            }
            for one in found.causes
        ],
        "ruled_out": [{"cause": one.cause, "why": one.why} for one in found.ruled_out],
        "variables": [
            {"key": one.key, "problem": one.problem, "column": one.column, "found": one.found, "fix": one.fix}
            for one in found.variables
        ],
    }


def diagnosis(view: ServiceView, open_one: Incident | None) -> dict[str, Any]:
    """What is known of why a service is not as it should be; a service that is has no cause."""
    well = view.state in (State.UP, State.ASLEEP, State.PAUSED)
    first = open_one.first if open_one else None
    if well:
        return {"id": view.name, "state": view.state.value, "causes": [], "ruled_out": [], "variables": []}
    if open_one and open_one.diagnosis:
        return _diagnosis(view.name, open_one.diagnosis)
    return _causes(view.name, view.state.value, view.cause, first, view.failure, view.status)


def _causes(
    name: str,
    state: str,
    cause: str | None,
    seen: Observation | None,
    failure: Failure | None,
    status: int | None = None,
) -> dict[str, Any]:
    """In the words of `everwake why --json`. What nobody has looked into yet is `unknown`."""
    evidence: list[dict[str, str]] = []
    status = status if status is not None else seen.status if seen else None
    if status is not None:
        evidence.append({"from": "http.status", "quote": str(status)})
    if failure is not None:
        said = f"{failure.kind.value} in {failure.phase.value}"
        evidence.append({"from": "keeper.failure", "quote": f"{said}: {failure.detail}" if failure.detail else said})
    if seen is not None:
        evidence += [{"from": f"http.headers.{key}", "quote": value} for key, value in seen.headers.items()]
        if seen.excerpt:
            evidence.append({"from": "http.body", "quote": seen.excerpt[:300]})
    return {
        "id": name,
        "state": state,
        "causes": [
            {
                "cause": cause or "unknown",
                "sure": None,
                "evidence": evidence,
                "next": "Nobody has looked into it yet; the evidence is all that is known.",
            }
        ],
        "ruled_out": [],
        "variables": [],
    }
