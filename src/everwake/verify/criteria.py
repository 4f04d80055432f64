"""The seven criteria by which a service counts as alive, judged from evidence. Pure.

1 health is 200 consistently, 2 green at the keeper, 3 a heartbeat every 30 s, 4 sessions are created without a shutdown,
5 messages are answered, 6 it stays up for more than 15 minutes, 7 no "Shutting down" in the log but that of a rollover.

What could not be looked at is not shown (`met` is None), never passed. What a service does not have (a chat, a heartbeat) is
no criterion of it: `lacking` says so.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from everwake.model import (
    Beat,
    BeatKind,
    Criterion,
    DeployRecord,
    FailureKind,
    Observation,
    Phase,
    PlatformLine,
    Proof,
    State,
)

__all__ = [
    "LOOKS_LEAST", "NAMES", "ROLLOVER", "TALKS", "Evidence", "KeeperSaid", "is_shutdown", "judge", "lacking", "least_s",
    "progress", "proof", "seconds_left", "title", "tolerance_s",
]  # fmt: skip

NAMES = ("health", "keeper", "heartbeat", "sessions", "messages", "uptime", "log")
LOOKS_LEAST = 3
SAID_LEAST = 2
GAPS_LEAST = 2
TALKS = 3
# A shutdown so soon after a session is put down to it: in the mission's incident it came within a second.
AFTER_SESSION = timedelta(seconds=60)
# Render ends the old instance about 60 s after a newer deploy went live, and gives it up to 300 s (render.com, read 2026-04).
ROLLOVER = timedelta(seconds=420)
CLOCKS = timedelta(seconds=5)
# A server that goes away says so: 1001, and 1012 where it will be back (RFC 6455 7.4.1; IANA's registry).
_GOES = (1001, 1012)
_SHUTTING_DOWN = re.compile(r"shutting down", re.IGNORECASE)
_NOT_THERE_YET = (Phase.MESSAGE, Phase.REPLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSaid:
    """How a keeper said a service stands. since: when that state began."""

    at: datetime
    state: State
    since: datetime | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was seen of one service, each oldest first. None: it could not be looked at, for what `missing` says.

    since, until: when the looking began, and how far it has come.   soak_s: how long it has to stay up.   beat_every_s: None
    where it has no heartbeat.   talks: looks of the kind "chat", each a session and a message; has_chat: whether there is one.
    through: whose address the chat went to.   keeper, log: None without a keeper or platform that answers.
    log_since: from when on the log was read.   log_read: how many lines it had, where `log` holds only those that count
    (`is_shutdown`).   replaced: when its instances were replaced or stopped on purpose other than by a
    deploy: a restart, a suspension.   instances: those that run now.   missing: why something could not be looked at,
    by the criterion's name.
    """

    service: str
    since: datetime
    until: datetime
    soak_s: float = 900.0
    looks: tuple[Observation, ...] = ()
    keeper: tuple[KeeperSaid, ...] | None = None
    beat_every_s: float | None = None
    beats: tuple[Beat, ...] = ()
    has_chat: bool = False
    talks: tuple[Observation, ...] = ()
    through: str = ""
    log: tuple[PlatformLine, ...] | None = None
    log_read: int | None = None
    log_since: datetime | None = None
    deploys: tuple[DeployRecord, ...] = ()
    replaced: tuple[datetime, ...] = ()
    instances: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


def is_shutdown(line: PlatformLine) -> bool:
    """Whether it is a line that the log is judged by."""
    return _SHUTTING_DOWN.search(line.text) is not None


def tolerance_s(every_s: float) -> float:
    """How much later than its time a beat may come: 2 s of 30 s, and never less than half a second."""
    return max(0.5, every_s / 15)


def title(name: str, seen: Evidence) -> str:
    """The criterion in words."""
    return {
        "health": "health is 200 consistently",
        "keeper": "green at the keeper",
        "heartbeat": f"a heartbeat every {seen.beat_every_s or 30:g} s",
        "sessions": "sessions created without a shutdown",
        "messages": "messages answered",
        "uptime": f"up for more than {_span(seen.soak_s)}",
        "log": 'no "Shutting down" in the log',
    }[name]


def lacking(seen: Evidence) -> Mapping[str, str]:
    """Criteria that are none of this service's, and why."""
    without: dict[str, str] = {}
    if seen.beat_every_s is None:
        without["heartbeat"] = "the fleet file names no heartbeat for it"
    if not seen.has_chat:
        without |= dict.fromkeys(("sessions", "messages"), "it has no chat")
    return without


def judge(seen: Evidence) -> tuple[Criterion, ...]:
    """Every criterion of this service, in their order: met, not met, or not shown."""
    verdicts = {
        "health": _health, "keeper": _keeper, "heartbeat": _heartbeat, "sessions": _sessions, "messages": _messages,
        "uptime": _uptime, "log": _log,
    }  # fmt: skip
    without = lacking(seen)
    found = []
    for name, verdict in verdicts.items():
        if name not in without:
            met, said = verdict(seen)
            found.append(Criterion(name=name, met=met, said=said if met is not None else f"not shown: {said}"))
    return tuple(found)


def proof(seen: Evidence) -> Proof:
    """The same as what a remedy is proved by: only when every criterion is met."""
    return Proof(criteria=judge(seen))


# --- how far it has come ----------------------------------------------------------------------------------------------


def least_s(seen: Evidence) -> float:
    """How long has to be looked at least: two gaps between beats, or three looks."""
    return max(6.0, (GAPS_LEAST + 0.2) * (seen.beat_every_s or 0.0) + 2.0)


def seconds_left(seen: Evidence) -> float:
    """How long it still has to be looked at; 0 when everything that can be known is."""
    passed_s = (seen.until - seen.since).total_seconds()
    left_s = least_s(seen) - passed_s
    if all(criterion.met is not False for criterion in judge(seen)):
        left_s = max(left_s, seen.soak_s - _up_s(seen))
    return max(0.0, left_s)


def progress(seen: Evidence) -> Mapping[str, float]:
    """How much of each criterion's evidence is there, 0.0-1.0."""
    looked = min(1.0, (seen.until - seen.since).total_seconds() / least_s(seen))
    talked = min(1.0, len(seen.talks) / TALKS)
    soaked = min(1.0, max(0.0, _up_s(seen)) / max(seen.soak_s, 1e-9))
    shares = {
        "health": looked, "keeper": looked, "heartbeat": looked, "sessions": talked, "messages": talked, "uptime": soaked,
        "log": looked,
    }  # fmt: skip
    return {criterion.name: shares[criterion.name] for criterion in judge(seen)}


# --- one by one -------------------------------------------------------------------------------------------------------

_Verdict = tuple[bool | None, str]


def _health(seen: Evidence) -> _Verdict:
    # What is ours to mend says nothing of the service; what is slow was answered all the same.
    looks = [look for look in seen.looks if look.failure is None or look.failure.kind is not FailureKind.INTERNAL]
    bad = [look for look in looks if _has_failed(look)]
    if bad:
        first = bad[0]
        what = f"status {first.status}" if first.status is not None else first.failure.kind.value  # type: ignore[union-attr]
        return False, f"{len(bad)} of {len(looks)} looks failed, the first at {_clock(first.at)}: {what}"
    if len(looks) < LOOKS_LEAST:
        return None, seen.missing.get("health", f"{len(looks)} of at least {LOOKS_LEAST} looks so far")
    took_ms = sorted(look.took_s * 1000 for look in looks)
    return True, f"{len(looks)} looks, all {looks[-1].status or 200}, {took_ms[0]:.0f} to {took_ms[-1]:.0f} ms"


def _has_failed(look: Observation) -> bool:
    return look.failure is not None and look.failure.kind not in (FailureKind.SLOW, FailureKind.INTERNAL)


def _keeper(seen: Evidence) -> _Verdict:
    if seen.keeper is None:
        return None, seen.missing.get("keeper", "no keeper runs here")
    bad = [said for said in seen.keeper if said.state is not State.UP]
    if bad:
        why = f" ({bad[0].cause})" if bad[0].cause else ""
        return False, f"{bad[0].state.value}{why} at {_clock(bad[0].at)}"
    if len(seen.keeper) < SAID_LEAST:
        return None, seen.missing.get("keeper", "it has not said it often enough yet")
    last = seen.keeper[-1]
    since = f" since {_clock(last.since)}" if last.since else ""
    return True, f"up{since}, said {len(seen.keeper)} times"


def _heartbeat(seen: Evidence) -> _Verdict:
    assert seen.beat_every_s is not None
    longest_s = seen.beat_every_s + tolerance_s(seen.beat_every_s)
    ill = [beat for beat in seen.beats if beat.kind in (BeatKind.CLOSED, BeatKind.FAILED, BeatKind.MISSED)]
    rolled = [beat for beat in ill if beat.kind is BeatKind.CLOSED and _is_rollover(beat.at, "", seen)]
    for beat in ill:
        if beat not in rolled:
            detail = f": {beat.failure.detail}" if beat.failure and beat.failure.detail else ""
            return False, f"{beat.kind.value} at {_clock(beat.at)}{detail}"
    gaps_s = list(_gaps_s(seen.beats))
    late = [gap_s for gap_s in gaps_s if gap_s > longest_s]
    if late:
        return (
            False,
            f"{len(late)} of {len(gaps_s)} gaps were too long: {max(late):.1f} s, allowed are {longest_s:.1f} s",
        )
    if len(gaps_s) < GAPS_LEAST:
        return None, seen.missing.get("heartbeat", f"{len(gaps_s)} of at least {GAPS_LEAST} gaps between beats so far")
    tolerated = f"{tolerance_s(seen.beat_every_s):g} s late at most"
    again = " over a rollover" if rolled else ""
    return True, f"{len(gaps_s) + 1} beats{again}, {min(gaps_s):.1f} to {max(gaps_s):.1f} s apart ({tolerated})"


def _gaps_s(beats: tuple[Beat, ...]) -> Iterator[float]:
    """Seconds between beats of one line."""
    before: datetime | None = None
    for beat in beats:
        if beat.kind in (BeatKind.BEAT, BeatKind.LATE):
            if before is not None:
                yield (beat.at - before).total_seconds()
            before = beat.at
        elif beat.kind in (BeatKind.CLOSED, BeatKind.FAILED, BeatKind.CONNECTED):
            before = None


def _sessions(seen: Evidence) -> _Verdict:
    for talk in seen.talks:
        if talk.failure is not None and talk.failure.phase not in _NOT_THERE_YET:
            return False, f"no session at {_clock(talk.at)}{_through(seen)}: {_why(talk)}"
    for at, what in _shutdowns(seen):
        if any(talk.at <= at <= talk.at + AFTER_SESSION for talk in seen.talks):
            return False, f"a shutdown came after a session, at {_clock(at)}: {what}"
    lost = next((look for look in seen.looks if _has_failed(look) and seen.talks and look.at >= seen.talks[0].at), None)
    if lost is not None:
        return False, f"it did not answer after a session, at {_clock(lost.at)}"
    if len(seen.talks) < TALKS:
        return None, seen.missing.get("sessions", f"{len(seen.talks)} of {TALKS} sessions so far")
    if not any(look.at > seen.talks[-1].at for look in seen.looks):
        return None, "nobody has looked since the last session"
    return True, f"{len(seen.talks)} sessions{_through(seen)}, and it answers after each"


def _messages(seen: Evidence) -> _Verdict:
    bad = next((talk for talk in seen.talks if talk.failure is not None), None)
    if bad is not None:
        return False, f"no reply at {_clock(bad.at)}{_through(seen)}: {_why(bad)}"
    if len(seen.talks) < TALKS:
        return None, seen.missing.get("messages", f"{len(seen.talks)} of {TALKS} messages so far")
    took_s = sorted(talk.took_s for talk in seen.talks)
    return True, f"{len(took_s)} messages{_through(seen)}, answered in {took_s[0]:.1f} to {took_s[-1]:.1f} s"


def _uptime(seen: Evidence) -> _Verdict:
    bad = next((look for look in reversed(seen.looks) if _has_failed(look)), None)
    if bad is not None:
        return False, f"it did not answer at {_clock(bad.at)}"
    if not seen.looks and not seen.keeper:
        return None, seen.missing.get("uptime", "nobody has looked yet")
    up_s, by = _up_s(seen), _up_by(seen)
    if up_s > seen.soak_s:
        return True, f"up for {_span(up_s)}, {by}"
    return None, f"up for {_span(up_s)} so far, {by}; wanted are more than {_span(seen.soak_s)}"


def _up_since(seen: Evidence) -> tuple[datetime | None, str]:
    said = seen.keeper[-1] if seen.keeper else None
    own = next((look.at for look in seen.looks if not _has_failed(look)), None)
    if said is not None and said.state is State.UP and said.since is not None and (own is None or said.since < own):
        return said.since, "by the keeper"
    return own, "by our own looks"


def _up_s(seen: Evidence) -> float:
    since, _ = _up_since(seen)
    return 0.0 if since is None else max(0.0, (seen.until - since).total_seconds())


def _up_by(seen: Evidence) -> str:
    return _up_since(seen)[1]


def _log(seen: Evidence) -> _Verdict:
    shutdowns = list(_shutdowns(seen))
    if shutdowns:
        at, what = shutdowns[0]
        more = f" (and {len(shutdowns) - 1} more)" if len(shutdowns) > 1 else ""
        return False, f"at {_clock(at)}: {what}{more}"
    if seen.log is None:
        why = seen.missing.get("log", "there is no key for its platform")
        held = " No heartbeat was closed by a shutdown." if seen.beat_every_s is not None and seen.beats else ""
        return None, f"its log could not be read, {why}.{held}"
    rolled = sum(is_shutdown(line) for line in seen.log)
    benign = f"; {rolled} of a rollover, by a newer deploy or a restart" if rolled else ""
    since = f" since {_clock(seen.log_since)}" if seen.log_since else ""
    return True, f"none in {len(seen.log) if seen.log_read is None else seen.log_read} lines{since}{benign}"


def _shutdowns(seen: Evidence) -> Iterator[tuple[datetime, str]]:
    """Shutdowns that are no rollover's: by the log, or where there is none by lines that were closed by one."""
    if seen.log is not None:
        for line in seen.log:
            if is_shutdown(line) and not _is_rollover(line.at, line.instance, seen):
                yield line.at, " ".join(line.text.split())[:120]
        return
    for beat in seen.beats:
        if beat.kind is BeatKind.CLOSED and beat.code in _GOES and not _is_rollover(beat.at, "", seen):
            yield beat.at, f"its heartbeat was closed with code {beat.code}, as a server does that shuts down"


def _is_rollover(at: datetime, instance: str, seen: Evidence) -> bool:
    """Whether a newer deploy had gone live a while before, or it was restarted, so that the old instance was to end.

    Never of the one that runs now.
    """
    if instance and instance in seen.instances:
        return False
    if any(when - CLOCKS <= at <= when + ROLLOVER for when in seen.replaced):
        return True
    return any(
        deploy.status in ("live", "deactivated")
        and deploy.finished_at is not None
        and deploy.finished_at - CLOCKS <= at <= deploy.finished_at + ROLLOVER
        for deploy in seen.deploys
    )


def _through(seen: Evidence) -> str:
    return f" through {seen.through}" if seen.through else ""


def _why(talk: Observation) -> str:
    failure = talk.failure
    assert failure is not None
    return f"{failure.kind.value} in {failure.phase.value}{f': {failure.detail[:120]}' if failure.detail else ''}"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 60 * 48 else f"{minutes // 1440} d"
