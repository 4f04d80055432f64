"""The activity log's lines, in the mission's words. Pure."""

from datetime import datetime

from everwake.fleet.schema import Service
from everwake.model import Beat, BeatKind, FailureKind, Incident, Level, LogLine, Observation, State, Transition
from everwake.ports import Notice

__all__ = ["monitoring", "notice", "of_beat", "of_look", "of_move"]

_FAILED = {
    FailureKind.DNS_NO_SUCH_NAME: "no such name",
    FailureKind.DNS_FAILED: "its name could not be looked up",
    FailureKind.NO_ROUTE: "no route",
    FailureKind.REFUSED: "connection refused",
    FailureKind.RESET: "connection reset",
    FailureKind.TIMEOUT: "no answer in time",
    FailureKind.CLOSED_EARLY: "hung up before the answer was whole",
    FailureKind.CERTIFICATE_EXPIRED: "its certificate has expired",
    FailureKind.CERTIFICATE_WRONG_HOST: "its certificate is for another host",
    FailureKind.CERTIFICATE_UNTRUSTED: "its certificate is not trusted",
}


def monitoring(started: bool, at: datetime) -> LogLine:
    """Somebody pressed start or stop."""
    word = "started" if started else "stopped"
    return LogLine(at=at, level=Level.INFO if started else Level.WARNING, text=f"Architecture monitoring {word}")


def of_look(service: Service, seen: Observation, cause: str | None) -> LogLine:
    """One look, good or not."""
    failure, ms = seen.failure, round(seen.took_s * 1000)
    if failure is None:
        text = f"{service.title} Service is alive! ({seen.status} - {ms}ms)"
        if seen.check != "http":
            text = f"{service.title} {seen.check} is as expected ({ms}ms)"
        return LogLine(at=seen.at, level=Level.SUCCESS, text=text, service=service.name)
    if failure.kind is FailureKind.SLOW:
        text = f"{service.title} Service is slow ({seen.status} - {ms}ms)"
        return LogLine(at=seen.at, level=Level.WARNING, text=text, service=service.name)
    why = cause or failure.kind.value
    if seen.check != "http":
        text = f"{service.title} {seen.check} failed: {failure.kind.value}"
    elif seen.status is not None:
        text = f"{service.title} Service responded with error: {seen.status} ({why})"
    else:
        text = f"{service.title} Service is unreachable: {_FAILED.get(failure.kind, failure.kind.value)}"
    return LogLine(at=seen.at, level=Level.ERROR, text=text, service=service.name)


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
            why = beat.failure.detail or beat.failure.kind.value if beat.failure else "no reason given"
            level, text = Level.ERROR, f"Failed to connect {title} WebSocket: {why}"
    return LogLine(at=beat.at, level=level, text=text, service=service.name)


def of_move(service: Service, move: Transition) -> LogLine:
    """A change of state."""
    why = f" ({move.cause})" if move.cause else ""
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
    return LogLine(at=move.at, level=level, text=f"{service.title} {words}{why}", service=service.name)


def notice(service: Service, incident: Incident, link: str, *, opened: bool) -> Notice:
    """What somebody is told of an incident: what, since when, why, where to look; and of its end."""
    since = incident.opened_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    why = incident.cause or (
        incident.first.failure.kind.value if incident.first and incident.first.failure else "unknown"
    )
    if opened:
        title, body = (
            f"{service.title} is down",
            f"{service.title} ({service.url}) is down since {since}. Cause: {why}.",
        )
    else:
        closed_at = incident.closed_at or incident.opened_at
        minutes = max(1, round((closed_at - incident.opened_at).total_seconds() / 60))
        title = f"{service.title} is up again"
        body = (
            f"{service.title} ({service.url}) is up again after {minutes} min. It was down since {since}. Cause: {why}."
        )
    return Notice(
        key=f"{incident.id}:{'opened' if opened else 'closed'}",
        service=service.name,
        incident=incident.id,
        opened=opened,
        title=title,
        body=f"{body}\n{link}".strip(),
        at=incident.opened_at if opened else incident.closed_at or incident.opened_at,
    )
