"""How what is remembered becomes integers, bytes and JSON, and comes back. Pure.

A look is two integers. Its key is `hour | stream | millisecond in the hour`: rows of one hour lie together, so old ones are
cut off in one piece, and within the hour those of one stream, so reading one service is one seek an hour. Until 2039 the key
takes 8 bytes on disk. Its value is `status | tenths of a millisecond`, complemented when the look failed; the commonest
statuses have the smallest numbers, so that most values take 2 or 3 bytes.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from everwake.model import (
    Action,
    Cause,
    Criterion,
    Diagnosis,
    Doubt,
    Evidence,
    Failure,
    FailureKind,
    Incident,
    Observation,
    Phase,
    Proof,
    RuledOut,
    State,
    VariableProblem,
)

__all__ = [
    "DAY_S",
    "EPOCH_S",
    "HOUR_MS",
    "LONGEST_S",
    "MOST_STREAMS",
    "NONE",
    "SLOTS",
    "SMALL",
    "Cell",
    "cell_bytes",
    "cells",
    "clean",
    "day_of",
    "dump",
    "figures",
    "hour_of",
    "incident_actions",
    "key_of",
    "look_ms",
    "observation_of",
    "pack_key",
    "pack_looks",
    "pack_value",
    "read_actions",
    "read_diagnosis",
    "read_doubts",
    "read_failure",
    "read_headers",
    "read_observation",
    "read_phases",
    "read_proof",
    "read_slots",
    "stream_of",
    "time_of_key",
    "to_time",
    "to_us",
    "unpack_value",
    "write_diagnosis",
    "write_doubts",
    "write_failure",
    "write_observation",
    "write_proof",
    "write_slots",
]  # fmt: skip

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
EPOCH_S = int(EPOCH.timestamp())
_EPOCH_MS = EPOCH_S * 1000
UNIX = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_MS, DAY_S = 3_600_000, 86_400
MOST_STREAMS = 1 << 17
_HOUR_BITS, _MS_BITS, _TENTHS_BITS = 39, 22, 21
_MS_MASK, _TENTHS_MASK = (1 << _MS_BITS) - 1, (1 << _TENTHS_BITS) - 1
_OURS = 1000  # stands for a failure of our own; above every HTTP status
# The four numbers that need no third byte. Free: no status is below 100.
_SMALL: dict[int | None, int] = {200: 0, None: 1, 503: 2, 404: 3}
SMALL = {status: number << _TENTHS_BITS for status, number in _SMALL.items()}
LONGEST_S = 209.0  # more is told as 209.7
_LARGE: dict[int, int | None] = {number: status for status, number in _SMALL.items()}

# --- looks ------------------------------------------------------------------------------------------------------------


def look_ms(at: datetime) -> int:
    """Milliseconds since the epoch of the history; what is before it counts as its beginning."""
    ms = int(at.timestamp() * 1000) - _EPOCH_MS
    return ms if ms > 0 else 0


def key_of(hour: int, stream: int = 0, ms: int = 0) -> int:
    """The first key of that hour and stream, or of that millisecond within it."""
    return hour << _HOUR_BITS | stream << _MS_BITS | ms


def pack_key(stream: int, ms: int) -> int:
    """stream: 0 <= stream < MOST_STREAMS.   ms: since the epoch."""
    return ms // HOUR_MS << _HOUR_BITS | stream << _MS_BITS | ms % HOUR_MS


def pack_looks(rows: Iterable[tuple[Any, int, int]], streams: Mapping[Any, int]) -> list[tuple[int, int]]:
    """(stream, ms, value) of many looks as (key, value), by rising key; `streams` knows the number of each stream."""
    shifted = {stream: number << _MS_BITS for stream, number in streams.items()}
    keys = [(ms // HOUR_MS << _HOUR_BITS | shifted[stream] | ms % HOUR_MS, value) for stream, ms, value in rows]
    keys.sort()
    return keys


def hour_of(key: int) -> int:
    """Hours since the epoch."""
    return key >> _HOUR_BITS


def stream_of(key: int) -> int:
    """Which stream a key belongs to."""
    return key >> _MS_BITS & MOST_STREAMS - 1


def time_of_key(key: int) -> int:
    """Milliseconds since the epoch."""
    return (key >> _HOUR_BITS) * HOUR_MS + (key & _MS_MASK)


def pack_value(took_s: float, status: int | None, *, failed: bool, ours: bool = False) -> int:
    """Outcome, status and duration (up to 209 s) in at most four bytes."""
    tenths = min(int(min(max(0.0, took_s), 300.0) * 10_000 + 0.5), _TENTHS_MASK)
    number = _SMALL.get(status)
    if number is None:
        number = status if status is not None and 100 <= status <= 999 else 1
    if ours:
        number = _OURS
    value = number << _TENTHS_BITS | tenths
    return ~value if failed else value


def unpack_value(value: int) -> tuple[int, int | None, bool, bool]:
    """(tenths of a millisecond, status, failed, the failure was our own)."""
    failed = value < 0
    value = ~value if failed else value
    number = value >> _TENTHS_BITS
    if number == _OURS:
        return value & _TENTHS_MASK, None, failed, True
    return value & _TENTHS_MASK, _LARGE.get(number, number) if number < 4 else number, failed, False


def observation_of(service: str, check: str, key: int, value: int, *, phases: str | None = None) -> Observation:
    """A look as it can still be told from its two integers."""
    tenths, status, _, _ = unpack_value(value)
    return Observation(
        service=service,
        check=check,
        at=EPOCH + timedelta(milliseconds=time_of_key(key)),
        took_s=tenths / 10_000,
        status=status,
        phases={} if phases is None else read_phases(phases),
    )


# --- time -------------------------------------------------------------------------------------------------------------


def to_us(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - UNIX) // timedelta(microseconds=1)


def to_time(us: int) -> datetime:
    """What `to_us` was given."""
    return UNIX + timedelta(microseconds=us)


def day_of(at: datetime) -> int:
    """Days since the epoch of the history, in UTC."""
    return max(0, int(at.timestamp()) - EPOCH_S) // DAY_S


# --- figures ----------------------------------------------------------------------------------------------------------

NONE = 0xFFFF_FFFF
SLOTS = 24
_CELL = struct.Struct("<7I")


class Cell(NamedTuple):
    """Figures of an hour or a day as they are stored. up: billionths.   p50, p95, p99, most: tenths of a millisecond.
    `NONE` where nothing is known."""

    looks: int = 0
    failed: int = 0
    up: int = NONE
    p50: int = NONE
    p95: int = NONE
    p99: int = NONE
    most: int = NONE


def cell_bytes(cell: Cell) -> bytes:
    """28 bytes."""
    return _CELL.pack(*(min(number, NONE) for number in cell))


def figures(data: bytes) -> Iterator[tuple[int, ...]]:
    """The numbers of one cell after the other; for whoever reads thousands."""
    return _CELL.iter_unpack(data)


def cells(data: bytes) -> list[Cell]:
    """One after the other."""
    return [Cell._make(numbers) for numbers in _CELL.iter_unpack(data)]


def read_slots(data: bytes | None) -> list[bytes]:
    """24 byte strings, empty ones where there was nothing."""
    parts, start = [b""] * SLOTS, 0
    for slot in range(SLOTS if data else 0):
        size = int.from_bytes(data[start : start + 2], "little")  # type: ignore[index]
        parts[slot] = data[start + 2 : start + 2 + size]  # type: ignore[index]
        start += 2 + size
    return parts


def write_slots(parts: list[bytes]) -> bytes:
    """Each behind its length, two bytes."""
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)


# --- JSON -------------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """`text` as it can be stored: half a surrogate pair, which no encoding has, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def dump(value: Any) -> str:
    """Compact and ASCII only, so whatever a server sent can be stored: half a surrogate pair too."""
    return json.dumps(value, separators=(",", ":"))


def write_failure(failure: Failure | None) -> str | None:
    """As JSON."""
    return None if failure is None else dump([failure.kind, failure.phase, failure.detail])


def read_failure(text: str | None) -> Failure | None:
    """What `write_failure` made."""
    if text is None:
        return None
    kind, phase, detail = json.loads(text)
    return Failure(kind=FailureKind(kind), phase=Phase(phase), detail=detail)


def write_observation(seen: Observation) -> str:
    """As JSON, everything in it."""
    expires = seen.certificate_expires_at
    return dump(
        {
            "service": seen.service,
            "check": seen.check,
            "at_us": to_us(seen.at),
            "took_s": seen.took_s,
            "failure": write_failure(seen.failure),
            "status": seen.status,
            "phases": dump(dict(seen.phases)),
            "headers": dict(seen.headers),
            "excerpt": seen.excerpt,
            "certificate_us": None if expires is None else to_us(expires),
            "redirects": seen.redirects,
            "late_s": seen.late_s,
        }
    )


def read_observation(text: str) -> Observation:
    """What `write_observation` made."""
    found = json.loads(text)
    expires_us = found["certificate_us"]
    return Observation(
        service=found["service"],
        check=found["check"],
        at=to_time(found["at_us"]),
        took_s=found["took_s"],
        failure=read_failure(found["failure"]),
        status=found["status"],
        phases=read_phases(found["phases"]),
        headers=found["headers"],
        excerpt=found["excerpt"],
        certificate_expires_at=None if expires_us is None else to_time(expires_us),
        redirects=found["redirects"],
        late_s=found["late_s"],
    )


def incident_actions(incident: Incident) -> str:
    """What was done about it, as JSON."""
    return dump([[to_us(did.at), did.remedy, did.step, did.by, did.outcome] for did in incident.actions])


def read_actions(text: str) -> tuple[Action, ...]:
    """What `incident_actions` made."""
    return tuple(
        Action(at=to_time(at_us), remedy=remedy, step=step, by=by, outcome=outcome)
        for at_us, remedy, step, by, outcome in json.loads(text)
    )


def write_diagnosis(diagnosis: Diagnosis | None) -> str | None:
    """As JSON. The values that would mend variables are left out: they may be secrets."""
    if diagnosis is None:
        return None
    return dump(
        {
            "state": diagnosis.state,
            "causes": [
                [one.cause, one.sure, [[seen.source, seen.quote] for seen in one.evidence], one.next, one.remedy]
                for one in diagnosis.causes
            ],
            "ruled_out": [[one.cause, one.why] for one in diagnosis.ruled_out],
            "variables": [
                [one.key, one.problem, one.is_error, one.fix, one.line, one.column, one.found, one.service]
                for one in diagnosis.variables
            ],
        }
    )


def read_diagnosis(text: str | None) -> Diagnosis | None:
    """What `write_diagnosis` made."""
    if text is None:
        return None
    found = json.loads(text)
    return Diagnosis(
        state=State(found["state"]),
        causes=tuple(
            Cause(
                cause=cause, sure=sure, evidence=tuple(Evidence(source=source, quote=quote) for source, quote in evidence),
                next=next_, remedy=remedy,
            )
            for cause, sure, evidence, next_, remedy in found["causes"]
        ),
        ruled_out=tuple(RuledOut(cause=cause, why=why) for cause, why in found["ruled_out"]),
        variables=tuple(
            VariableProblem(
                key=key, problem=problem, is_error=is_error, fix=fix, line=line, column=column, found=offending,
                service=service,
            )
            for key, problem, is_error, fix, line, column, offending, service in found["variables"]
        ),
    )  # fmt: skip


def write_proof(proof: Proof | None) -> str | None:
    """As JSON."""
    return None if proof is None else dump([[one.name, one.met, one.said] for one in proof.criteria])


def read_proof(text: str | None) -> Proof | None:
    """What `write_proof` made."""
    if text is None:
        return None
    return Proof(criteria=tuple(Criterion(name=name, met=met, said=said) for name, met, said in json.loads(text)))


def write_doubts(doubts: Iterable[Doubt]) -> str | None:
    """As JSON; None where there are none."""
    found = [[doubt.check, doubt.looks, write_observation(doubt.first)] for doubt in doubts]
    return dump(found) if found else None


def read_doubts(text: str | None) -> tuple[Doubt, ...]:
    """What `write_doubts` made."""
    return tuple(
        Doubt(check=check, looks=looks, first=read_observation(first))
        for check, looks, first in json.loads(text or "[]")
    )


def read_phases(text: str) -> dict[Phase, float]:
    """Seconds by phase, from JSON."""
    return {Phase(name): seconds for name, seconds in json.loads(text).items()}


def read_headers(text: str) -> dict[str, str]:
    """Header by name, from JSON."""
    return dict(json.loads(text))
