"""What people are told: the activity log's lines in the mission's words, and messages about incidents. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from everwake.fleet.schema import Service
from everwake.model import (
    Beat,
    BeatKind,
    Diagnosis,
    FailureKind,
    Incident,
    Level,
    LogLine,
    Observation,
    Phase,
    State,
    Transition,
)
from everwake.ports import Notice

__all__ = [
    "NOT_WATCHED", "OUR_OWN_LINE", "duration", "left", "monitoring", "notice", "of_beat", "of_diagnosis", "of_look", "of_move",
    "resting", "still_stopped", "why",
]  # fmt: skip

NOT_WATCHED = "not watched any more"
OUR_OWN_LINE = "our own line"
DETAIL_CHARS = 120

_FAILED = {
    FailureKind.DNS_NO_SUCH_NAME: "no such name",
    FailureKind.DNS_FAILED: "its name could not be looked up",
    FailureKind.NO_ROUTE: "no route",
    FailureKind.ADDRESS_REFUSED: "it has a private address, which this fleet does not allow",
    FailureKind.REFUSED: "connection refused",
    FailureKind.RESET: "connection reset",
    FailureKind.TIMEOUT: "no answer in time",
    FailureKind.CLOSED_EARLY: "it hung up before the answer was whole",
    FailureKind.CERTIFICATE_EXPIRED: "its certificate has expired",
    FailureKind.CERTIFICATE_EXPIRING: "its certificate expires soon",
    FailureKind.CERTIFICATE_WRONG_HOST: "its certificate is for another host",
    FailureKind.CERTIFICATE_UNTRUSTED: "its certificate is not trusted",
    FailureKind.TLS_FAILED: "no TLS connection came about",
    FailureKind.TOO_LARGE: "its answer is larger than the limit",
    FailureKind.HEADERS_TOO_LARGE: "its headers are larger than the limit",
    FailureKind.BAD_ENCODING: "its answer cannot be unpacked",
    FailureKind.BAD_PROTOCOL: "what came is not the protocol that was asked for",
    FailureKind.TOO_MANY_REDIRECTS: "it redirects in circles, or too often",
    FailureKind.STATUS: "unexpected status",
    FailureKind.HEADER: "a header is not as expected",
    FailureKind.JSON: "its JSON is not as expected",
    FailureKind.TEXT: "the expected text is missing",
    FailureKind.SLOW: "it is slower than wanted",
    FailureKind.BEAT_MISSED: "its heartbeat stopped",
    FailureKind.LINE_CLOSED: "its heartbeat line was closed",
    FailureKind.LINE_REJECTED: "it did not accept the heartbeat line",
    FailureKind.AUTH: "it does not let us in",
    FailureKind.ANSWER: "it answered, and said no",
    FailureKind.INTERNAL: "a fault of Everwake's own",
}
_RAN_OUT = {
    Phase.DNS: "its name could not be looked up",
    Phase.CONNECT: "no connection",
    Phase.TLS: "no TLS connection",
    Phase.TRANSFER: "its answer did not end",
}
# Where the peer's own words say more than the kind does.
_SAYS_MORE = frozenset({
    FailureKind.HEADER, FailureKind.JSON, FailureKind.TEXT, FailureKind.SLOW, FailureKind.LINE_REJECTED, FailureKind.ANSWER,
})  # fmt: skip
_CAUSES = {
    "waking": "its platform is waking it",
    "wake_failed": "its platform did not wake it in time",
    "wake_throttled": "its platform throttles waking it",
}


def why(seen: Observation) -> str:
    """What one look that failed saw, as a person would say it; one line. It may hold words of whoever was asked, bounded."""
    failure = seen.failure
    if failure is None:
        return "all was as expected"
    said = _FAILED.get(failure.kind, failure.kind.value.replace("_", " "))
    if failure.kind is FailureKind.TIMEOUT:
        said = f"{_RAN_OUT.get(failure.phase, 'no answer')} in {_seconds(seen.took_s)}"
    elif failure.kind is FailureKind.STATUS and seen.status is not None:
        said = f"it answered {seen.status}"
    elif failure.kind in _SAYS_MORE and failure.detail:
        said = f"{said}: {_bounded(failure.detail)}"
    return said if seen.check in ("http", "heartbeat") else f"{seen.check.partition(':')[0]} check: {said}"


def duration(span: timedelta) -> str:
    """As a person would say it: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds:.1f} s"


def _bounded(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= DETAIL_CHARS else f"{text[: DETAIL_CHARS - 1]}…"


def monitoring(started: bool, at: datetime) -> LogLine:
    """Somebody pressed start or stop."""
    word = "started" if started else "stopped"
    return LogLine(at=at, level=Level.INFO if started else Level.WARNING, text=f"Architecture monitoring {word}")


def still_stopped(at: datetime) -> LogLine:
    """The keeper was started while nobody had pressed start again."""
    text = "Architecture monitoring is still stopped, as it was left: Start goes on with it"
    return LogLine(at=at, level=Level.WARNING, text=text)


def resting(runs: bool | None, stopped_by: Sequence[str]) -> str:
    """The cause of a rest. runs: an instance is up, by its platform; None: nobody could ask.   stopped_by: who suspended it."""
    if stopped_by:
        return f"suspended by {', '.join(one[:40] for one in stopped_by[:5])}"
    if runs is None:
        return "on purpose (assumed)"
    return "on purpose; an instance still runs" if runs else "on purpose"


def of_look(service: Service, seen: Observation, cause: str | None, at: datetime) -> LogLine:
    """One look, good or not. at: when it was over, for what is known stands in the order in which it became known."""
    failure, ms = seen.failure, round(seen.took_s * 1000)
    if failure is None:
        text = f"{service.title} Service is alive! ({seen.status} - {ms}ms)"
        if seen.check != "http":
            text = f"{service.title} {seen.check} is as expected ({ms}ms)"
        return LogLine(at=at, level=Level.SUCCESS, text=text, service=service.name)
    if failure.kind is FailureKind.SLOW:
        text = f"{service.title} Service is slow ({seen.status} - {ms}ms)"
        return LogLine(at=at, level=Level.WARNING, text=text, service=service.name)
    if seen.check != "http":
        text = f"{service.title} {seen.check} failed: {_FAILED.get(failure.kind, failure.kind.value)}"
    elif seen.status is not None:
        because = cause or _FAILED.get(failure.kind, failure.kind.value)
        text = f"{service.title} Service responded with error: {seen.status} ({because})"
    else:
        text = f"{service.title} Service is unreachable: {why(seen)}"
    # To be woken takes a while, and is no error of the service's.
    level = Level.WARNING if cause == "waking" else Level.ERROR
    return LogLine(at=at, level=level, text=text, service=service.name)


def of_beat(service: Service, beat: Beat) -> LogLine | None:
    """One event of the heartbeat; None where nothing is to be said."""
    title = service.title
    match beat.kind:
        case BeatKind.CONNECTED:
            level, text = Level.SUCCESS, f"{title} WebSocket connected (keeps service alive)"
        case BeatKind.BEAT | BeatKind.LATE:
            level, text = Level.SUCCESS, f"{title} heartbeat (service alive)"
        case BeatKind.MISSED:
            level, text = Level.WARNING, f"{title} heartbeat missed"
        case BeatKind.CLOSED:
            level, text = Level.WARNING, f"{title} WebSocket error (will retry)"
        case BeatKind.RECONNECTING:
            level, text = (
                Level.WARNING,
                f"{title} WebSocket closed (reconnecting in {max(1, round(beat.again_s or 0))}s)",
            )
        case BeatKind.FAILED:
            because = beat.failure.detail or beat.failure.kind.value if beat.failure else "no reason given"
            level, text = Level.ERROR, f"Failed to connect {title} WebSocket: {because}"
    return LogLine(at=beat.at, level=level, text=text, service=service.name)


def of_move(service: Service, move: Transition, at: datetime) -> LogLine | None:
    """A change of state. at: when it was decided; `move.at`, when it began, is the incident's.

    None where nothing is to be said: that monitoring goes on has been said already.
    """
    if (move.old, move.new) == (State.PAUSED, State.UNKNOWN):
        return None
    because = f" ({move.cause})" if move.cause and move.cause != move.new.value else ""
    said = {
        State.UP: (Level.SUCCESS, "is up"),
        State.DEGRADED: (Level.WARNING, "is degraded"),
        State.WAKING: (Level.WARNING, "is waking up"),
        State.ASLEEP: (Level.INFO, "is asleep"),
        State.DOWN: (Level.ERROR, "is down"),
        State.PAUSED: (Level.INFO, "is paused"),
        State.UNKNOWN: (Level.WARNING, "is not known"),
    }
    level, words = said[move.new]
    return LogLine(at=at, level=level, text=f"{service.title} {words}{because}", service=service.name)


def of_diagnosis(service: Service, diagnosis: Diagnosis, at: datetime) -> LogLine:
    """Somebody found out why it is not well."""
    top = diagnosis.causes[0] if diagnosis.causes else None
    if top is None or top.cause == "unknown":
        return LogLine(
            at=at, level=Level.WARNING, text=f"{service.title}: no cause was found for sure", service=service.name
        )
    next_ = f" {_bounded(top.next)}" if top.next else ""
    text = f"{service.title}: the cause is {top.cause} ({top.sure:.0%} sure).{next_}"
    return LogLine(at=at, level=Level.WARNING, text=text, service=service.name)


def _cause(incident: Incident) -> str:
    """Why, in words. A cause that was found out comes first (`Incident.cause`, `Incident.diagnosis`), beside what was seen."""
    seen = why(incident.first) if incident.first else ""
    if incident.cause is None:
        return seen or "not known"
    named = _CAUSES.get(incident.cause, incident.cause.replace("_", " "))
    return f"{named} ({seen})" if seen else named


def _told(service: Service, incident: Incident, title: str, lines: list[str], link: str, *, opened: bool) -> Notice:
    return Notice(
        key=f"{incident.id}:{'opened' if opened else 'closed'}",
        service=service.name,
        incident=incident.id,
        opened=opened,
        title=title,
        body="\n".join([*lines, *([link] if link else [])]),
        at=incident.opened_at if opened else incident.closed_at or incident.opened_at,
    )


def notice(service: Service, incident: Incident, link: str, *, opened: bool, state: State = State.DOWN) -> Notice:
    """What somebody is told of an incident: what, since when, why, where to look; and of its end, and how long it was.

    state: how the service stands, at the beginning.
    """
    since, cause = _at(incident.opened_at), _cause(incident)
    if opened:
        is_ = "degraded" if state is State.DEGRADED else "down"
        lines = [f"{service.title} ({service.url}) is {is_} since {since}.", f"Cause: {cause}."]
        causes = incident.diagnosis.causes if incident.diagnosis else ()
        if causes and causes[0].next:
            lines.append(f"Next: {_bounded(causes[0].next)}")
        return _told(service, incident, f"{service.title} is {is_}", lines, link, opened=True)
    closed_at = incident.closed_at or incident.opened_at
    lasted = duration(closed_at - incident.opened_at)
    again = f" It fell again {incident.flaps} times meanwhile." if incident.flaps > 1 else ""
    lines = [
        f"{service.title} ({service.url}) is up again after {lasted}: from {since} to {_at(closed_at)}.{again}",
        f"The cause was: {cause}.",
    ]
    return _told(service, incident, f"{service.title} is up again", lines, link, opened=False)


def left(service: Service, incident: Incident, link: str) -> Notice:
    """The end of an incident whose service was taken out of the fleet: nobody knows whether it is well."""
    lines = [f"{service.title} is no longer in the fleet file, and was not well since {_at(incident.opened_at)}."]
    return _told(service, incident, f"{service.title} is not watched any more", lines, link, opened=False)


def _at(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
