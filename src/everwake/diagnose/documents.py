"""Facts and diagnoses as JSON documents: what `everwake why --facts` reads and writes, and `--save` keeps. Pure.

Strict about types, lenient about missing parts: every part is optional, names we do not know are ignored, and a part of a wrong
type is told with its place. Everything is bounded while it is read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from everwake.diagnose._masking import quote
from everwake.diagnose.facts import BODY_CHARS, EVENTS_MOST, LOOKS_MOST, Event, Facts, PlatformFacts, flat, redis_scheme
from everwake.diagnose.log.reader import bounded, read
from everwake.diagnose.look import Look
from everwake.errors import Misused
from everwake.fleet.redact import is_secret_name, redact, redact_header
from everwake.model import DeployRecord, Diagnosis, Failure, FailureKind, Phase, VariableProblem

__all__ = ["document_of", "facts_of", "problems_saved", "saved"]

HEADERS_MOST = 60
VALUE_CHARS = 1_000
DEPLOYS_MOST = 50
SIBLINGS_MOST = 200
PROBLEMS_MOST = 500
LINES_SAVED = 2_000  # as many as a live look asks its platform for: fewer would be another case


def facts_of(document: object, problems: Iterable[VariableProblem] = (), *, has_variables: bool | None = None) -> Facts:
    """Facts out of one JSON document. problems: what the doctor says about its variables.

    has_variables: whether they were examined; taken from the document when not told.

    Raises:
        Misused: a part has another type than it must; message and hint name it.
    """
    top = _mapping(document, "the document")
    context = _mapping(top.get("context"), "context")
    http = top.get("http")
    looks: list[Look] = []
    if isinstance(http, list):  # several exchanges in a row: the last answer is the one that matters
        looks = [_look(one, f"http[{n}]", None) for n, one in enumerate(http[:LOOKS_MOST])][::-1]
        looks = [looks[0], *(replace(one, source="http.earlier") for one in looks[1:])] if looks else []
    elif http is not None:
        main = _look(http, "http", None)
        probes = _list(_mapping(http, "http").get("probes"), "http.probes")[:LOOKS_MOST]
        looks = [main, *(_look(probe, f"http.probes[{n}]", main) for n, probe in enumerate(probes))]
    lines = [*_lines(top.get("log"), "log"), *_lines(top.get("log_hint"), "log_hint")]
    given = {"variables", "dotenv"} & {name for name in ("variables", "dotenv") if top.get(name) is not None}
    return Facts(
        id=_text(top.get("id"), "id")[:200],
        platform=_text(top.get("platform"), "platform")[:40].lower().replace("-", "_"),
        looks=tuple(looks),
        host=_platform(top.get("platform_state"), context),
        log=read(lines, quote) if lines else None,
        problems=tuple(problems),
        has_variables=bool(given) if has_variables is None else has_variables,
        redis_scheme=redis_scheme(_values(top)),
        siblings=_siblings(context.get("siblings")),
        context={str(name): value for name, value in list(context.items())[:60]},
        at=next((look.at for look in looks if look.at is not None), None),
    )


# --- parts ----------------------------------------------------------------------------------------------------------------


def _wrong(where: str, value: object, wanted: str) -> Misused:
    return Misused(
        f"{where} is {_KINDS.get(type(value), type(value).__name__)}, not {wanted}",
        hint="docs/why.md shows the form of facts",
    )


_KINDS = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "an object")
    return value


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(where, value, "a list")
    return value


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(where, value, "text")
    return value


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(where, value, "a number")
    return float(value) if abs(value) < 1e15 else None


def _time(value: object) -> datetime | None:
    """A time as any platform writes it; None for what is none: a fact without its time is still a fact."""
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) if 1 < at.year < 9999 else None
    return None


def _look(value: object, where: str, main: Look | None) -> Look:
    part = _mapping(value, where)
    request = _mapping(part.get("request"), f"{where}.request")
    status = _number(part.get("status"), f"{where}.status")
    if status is not None and not (status == int(status) and 100 <= status <= 999):
        raise Misused(
            f"{where}.status is {status:g}, not a status of HTTP",
            hint="a whole number from 100 to 999, or null without an answer",
        )
    body = part.get("body")
    elapsed_ms = _number(part.get("elapsed_ms"), f"{where}.elapsed_ms")
    return Look(
        url=_text(part.get("url"), f"{where}.url")[:2_000] or (main.url if main else ""),
        status=None if status is None else int(status),
        method=(_text(request.get("method") or part.get("method"), f"{where}.request.method") or "GET").upper()[:16],
        request_headers=_headers(request.get("headers"), f"{where}.request.headers"),
        headers=_headers(part.get("headers"), f"{where}.headers"),
        body=(body if isinstance(body, str) else "" if body is None else json.dumps(body))[:BODY_CHARS],
        elapsed_s=None if elapsed_ms is None else elapsed_ms / 1000,
        failure=_failure(part.get("failure") or part.get("error"), where),
        at=_time(part.get("at")),
        certificate_expires_at=_time(part.get("certificate_expires_at")),
        check=_text(part.get("check"), f"{where}.check") or "http",
        source="http" if main is None else "http.probes",
    )


def _failure(value: object, where: str) -> Failure | None:
    if value is None:
        return None
    if isinstance(value, str):
        low = value.lower()
        words = (
            ("timed out", FailureKind.TIMEOUT),
            ("timeout", FailureKind.TIMEOUT),
            ("refused", FailureKind.REFUSED),
            ("could not resolve", FailureKind.DNS_NO_SUCH_NAME),
            ("enotfound", FailureKind.DNS_NO_SUCH_NAME),
            ("nxdomain", FailureKind.DNS_NO_SUCH_NAME),
            ("reset", FailureKind.RESET),
            ("expired", FailureKind.CERTIFICATE_EXPIRED),
            ("alternative certificate subject name", FailureKind.CERTIFICATE_WRONG_HOST),
            ("no alternative", FailureKind.CERTIFICATE_WRONG_HOST),
            ("self-signed", FailureKind.CERTIFICATE_UNTRUSTED),
            ("self signed", FailureKind.CERTIFICATE_UNTRUSTED),
            ("certificate", FailureKind.CERTIFICATE_UNTRUSTED),
            ("ssl", FailureKind.TLS_FAILED),
            ("tls", FailureKind.TLS_FAILED),
            ("empty reply", FailureKind.CLOSED_EARLY),
        )
        kind = next((kind for word, kind in words if word in low), FailureKind.CLOSED_EARLY)
        return Failure(kind=kind, phase=_PHASES.get(kind, Phase.FIRST_BYTE), detail=quote(value))
    part = _mapping(value, f"{where}.failure")
    try:
        kind = FailureKind(_text(part.get("kind"), f"{where}.failure.kind"))
        phase = Phase(_text(part.get("phase"), f"{where}.failure.phase") or "first_byte")
    except ValueError as unknown:
        raise Misused(f"{where}.failure: {unknown}", hint=f"kinds are {', '.join(FailureKind)}") from None
    return Failure(kind=kind, phase=phase, detail=quote(_text(part.get("detail"), f"{where}.failure.detail")))


_PHASES = {
    FailureKind.DNS_NO_SUCH_NAME: Phase.DNS,
    FailureKind.REFUSED: Phase.CONNECT,
    FailureKind.CERTIFICATE_EXPIRED: Phase.TLS,
    FailureKind.CERTIFICATE_WRONG_HOST: Phase.TLS,
    FailureKind.CERTIFICATE_UNTRUSTED: Phase.TLS,
    FailureKind.TLS_FAILED: Phase.TLS,
}


def _headers(value: object, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, said in list(_mapping(value, where).items())[:HEADERS_MOST]:
        if isinstance(said, list):
            said = ", ".join(one for one in said if isinstance(one, str))
        if isinstance(said, bool | int | float):
            said = str(said).lower()
        found[str(name).lower()[:100]] = _text(said, f"{where}.{name}")[:VALUE_CHARS]
    return found


def _lines(value: object, where: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.splitlines()
    lines = []
    for n, one in enumerate(_list(value, where)):
        if isinstance(one, Mapping):
            text = next(
                (one[name] for name in ("text", "message", "msg", "log") if isinstance(one.get(name), str)), None
            )
            if text is None:
                raise Misused(
                    f"{where}[{n}] has no text", hint='a line is text, or {"at": .., "instance": .., "text": ..}'
                )
            at = next((one[name] for name in ("at", "timestamp", "time") if isinstance(one.get(name), str)), "")
            instance = one.get("instance")
            lines.append(
                f"{at} {f'[{instance[-8:]}] ' if isinstance(instance, str) and instance else ''}{text}".strip()
            )
        elif isinstance(one, str):
            lines.extend(one.splitlines() or [""])
        else:
            raise _wrong(f"{where}[{n}]", one, "text")
    return lines


def _platform(value: object, context: Mapping[str, Any]) -> PlatformFacts | None:
    port = context.get("target_port")
    port = port if isinstance(port, int) and not isinstance(port, bool) else None
    if value is None and port is None:
        return None
    top = _mapping(value, "platform_state")
    service = _mapping(top.get("service"), "platform_state.service")
    details = _mapping(service.get("serviceDetails"), "platform_state.service.serviceDetails")
    maintenance = details.get("maintenanceMode") or service.get("maintenanceMode") or top.get("maintenanceMode")
    suspended = service.get("suspended", top.get("suspended"))
    suspenders = service.get("suspenders", top.get("suspenders"))
    named = (
        None
        if suspenders is None
        else tuple(str(one)[:60] for one in _list(suspenders, "platform_state.service.suspenders")[:20])
    )
    if suspended in ("suspended", True) and not named:
        named = ("unknown",)
    if suspended in ("not_suspended", False) and named is None:
        named = ()
    wanted = top.get("target_port", top.get("targetPort", port))
    status = top.get("http_status")
    hours = top.get("hours_left")
    running = top.get("instances", service.get("numInstances", details.get("numInstances")))
    return PlatformFacts(
        suspenders=named,
        type=_text(service.get("type"), "platform_state.service.type"),
        plan=_text(service.get("plan") or details.get("plan"), "platform_state.service.plan"),
        name=_text(service.get("name"), "platform_state.service.name")[:200],
        is_in_maintenance=bool(maintenance.get("enabled")) if isinstance(maintenance, Mapping) else maintenance is True,
        deploys=tuple(
            _deploy(one, n) for n, one in enumerate(_list(top.get("deploys"), "platform_state.deploys")[:DEPLOYS_MOST])
        ),
        events=tuple(
            _event(one, n) for n, one in enumerate(_list(top.get("events"), "platform_state.events")[:EVENTS_MOST])
        ),
        stage=str(top.get("stage") or service.get("stage") or top.get("status") or "")[:60].upper(),
        message=str(top.get("errorMessage") or top.get("error") or top.get("message") or "")[:500],
        target_port=wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else None,
        http_status=status if isinstance(status, int) else None,
        hours_left=float(hours) if isinstance(hours, int | float) and not isinstance(hours, bool) else None,
        instances=len(running)
        if isinstance(running, list)
        else running
        if isinstance(running, int) and not isinstance(running, bool)
        else None,
    )


def _deploy(value: object, n: int) -> DeployRecord:
    where = f"platform_state.deploys[{n}]"
    part = _mapping(value, where)
    part = _mapping(part.get("deploy"), where) or part
    return DeployRecord(
        id=_text(part.get("id"), f"{where}.id")[:80],
        service_id="",
        status=_text(part.get("status"), f"{where}.status").lower() or "unknown",
        trigger=_text(part.get("trigger"), f"{where}.trigger") or "unknown",
        created_at=_time(part.get("createdAt")),
        started_at=_time(part.get("startedAt")),
        finished_at=_time(part.get("finishedAt")),
    )


def _event(value: object, n: int) -> Event:
    where = f"platform_state.events[{n}]"
    if isinstance(value, str):
        return Event(type=value[:80])
    part = _mapping(value, where)
    part = _mapping(part.get("event"), where) or part
    details = part.get("details", {key: said for key, said in part.items() if key in ("reason", "status")})
    return Event(
        type=_text(part.get("type"), f"{where}.type")[:80],
        at=_time(part.get("timestamp") or part.get("at")),
        reason=flat(_mapping(details, f"{where}.details")),
    )


def _values(top: Mapping[str, Any]) -> Iterator[str]:
    """Values of the variables, as far as they are text."""
    variables, dotenv = top.get("variables"), top.get("dotenv")
    if isinstance(variables, Mapping):
        yield from (value for value in variables.values() if isinstance(value, str))
    if isinstance(dotenv, str):
        yield from (line.partition("=")[2] for line in dotenv.splitlines())


def _siblings(value: object) -> tuple[str, ...]:
    """Hosts or URLs of the other services, however they were listed."""
    if isinstance(value, Mapping):
        value = [one if isinstance(one, str) else name for name, one in value.items()]
    found: list[str] = []
    for one in (value if isinstance(value, list) else [])[:SIBLINGS_MOST]:
        if isinstance(one, Mapping):
            one = one.get("url") or one.get("host") or one.get("name")
        if isinstance(one, str):
            found.append(one[:300])
    return tuple(found)


# --- out ------------------------------------------------------------------------------------------------------------------


def document_of(diagnosis: Diagnosis, id: str = "") -> dict[str, Any]:
    """A diagnosis as a JSON document, in the contract's words."""
    return {
        **({"id": id} if id else {}),
        "state": diagnosis.state.value,
        "causes": [
            {
                "cause": one.cause,
                "sure": round(one.sure, 2),
                "evidence": [{"from": evidence.source, "quote": evidence.quote} for evidence in one.evidence],
                "next": one.next,
                **({"remedy": one.remedy} if one.remedy else {}),
            }
            for one in diagnosis.causes
        ],
        "ruled_out": [{"cause": one.cause, "why": one.why} for one in diagnosis.ruled_out],
        "variables": [_problem_document(one) for one in diagnosis.variables],
    }


def _problem_document(one: VariableProblem) -> dict[str, Any]:
    return {
        "key": one.key,
        "problem": one.problem,
        "level": "error" if one.is_error else "advice",
        **({"line": one.line} if one.line is not None else {}),
        **({"column": one.column} if one.column is not None else {}),
        "found": one.found,
        "fix": one.fix,
        **({"service": one.service} if one.service else {}),
    }


def problems_saved(value: object) -> tuple[VariableProblem, ...]:
    """What the doctor had said of the variables when the facts were saved: they are masked since. Raises Misused."""
    found = []
    for n, one in enumerate(_list(value, "problems")[:PROBLEMS_MOST]):
        where = f"problems[{n}]"
        told = _mapping(one, where)
        line, column = (_number(told.get(name), f"{where}.{name}") for name in ("line", "column"))
        found.append(
            VariableProblem(
                key=_text(told.get("key"), f"{where}.key")[:200],
                problem=_text(told.get("problem"), f"{where}.problem")[:60],
                is_error=told.get("level") == "error",
                fix=_text(told.get("fix"), f"{where}.fix")[:1_000],
                line=None if line is None else int(line),
                column=None if column is None else int(column),
                found=_text(told.get("found"), f"{where}.found")[:1_000],
                service=_text(told.get("service"), f"{where}.service")[:200] or None,
            )
        )
    return tuple(found)


def saved(facts: Facts, lines: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Facts as a document that may be shared: masked, and read again by `facts_of`. lines: of the log, the newest count.

    variables: shown only where neither name nor value looks like a secret.
    """
    document: dict[str, Any] = {}
    if facts.id:
        document["id"] = facts.id
    if facts.platform:
        document["platform"] = facts.platform
    if facts.looks:
        main, *others = facts.looks
        document["http"] = {**_saved_look(main), **({"probes": [_saved_look(one) for one in others]} if others else {})}
    if lines:
        document["log"] = [bounded(redact(line)) for line in lines[-LINES_SAVED:]]
    if variables is not None:
        document["variables"] = {
            key: "***" if is_secret_name(key) and value else redact(value) for key, value in variables.items()
        }
        # Nobody can find them again in what is masked, and without the fleet at hand.
        document["problems"] = [
            _problem_document(replace(one, found=redact(one.found), fix=redact(one.fix))) for one in facts.problems
        ]
    if facts.host is not None:
        document["platform_state"] = _saved_platform(facts.host)
    context = {
        name: redact(value) if isinstance(value, str) else value
        for name, value in facts.context.items()
        if _is_json(value)
    }
    if facts.siblings:
        context["siblings"] = [redact(one) for one in facts.siblings]
    if context:
        document["context"] = context
    return document


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _saved_look(look: Look) -> dict[str, Any]:
    found: dict[str, Any] = {
        "url": redact(look.url),
        "request": {
            "method": look.method,
            **(
                {"headers": {k: redact_header(k, v) for k, v in look.request_headers.items()}}
                if look.request_headers
                else {}
            ),
        },
        "status": look.status,
        "headers": {name: redact_header(name, value) for name, value in look.headers.items()},
        "body": redact(look.body),
    }
    if look.elapsed_s is not None:
        found["elapsed_ms"] = round(look.elapsed_s * 1000, 1)
    if look.failure is not None:
        found["failure"] = {
            "kind": look.failure.kind.value,
            "phase": look.failure.phase.value,
            "detail": redact(look.failure.detail),
        }
    if look.at is not None:
        found["at"] = _stamp(look.at)
    if look.certificate_expires_at is not None:
        found["certificate_expires_at"] = _stamp(look.certificate_expires_at)
    if look.check != "http":
        found["check"] = look.check
    return found


def _saved_platform(host: PlatformFacts) -> dict[str, Any]:
    service: dict[str, Any] = {
        name: value for name, value in (("name", host.name), ("type", host.type), ("plan", host.plan)) if value
    }
    if host.suspenders is not None:
        service |= {
            "suspended": "suspended" if host.suspenders else "not_suspended",
            "suspenders": list(host.suspenders),
        }
    if host.is_in_maintenance:
        service["serviceDetails"] = {"maintenanceMode": {"enabled": True}}
    found: dict[str, Any] = {"service": service} if service else {}
    if host.deploys:
        found["deploys"] = [
            {
                name: value
                for name, value in (
                    ("id", one.id),
                    ("status", one.status),
                    ("trigger", one.trigger),
                    ("createdAt", _stamp(one.created_at)),
                    ("startedAt", _stamp(one.started_at)),
                    ("finishedAt", _stamp(one.finished_at)),
                )
                if value is not None
            }
            for one in host.deploys
        ]
    if host.events:
        found["events"] = [
            {
                "type": one.type,
                **({"timestamp": _stamp(one.at)} if one.at else {}),
                "details": {
                    "reason": {
                        name: redact(value) if isinstance(value, str) else value for name, value in one.reason.items()
                    }
                },
            }
            for one in host.events
        ]
    for name, value in (
        ("stage", host.stage),
        ("errorMessage", redact(host.message)),
        ("target_port", host.target_port),
        ("hours_left", host.hours_left),
        ("instances", host.instances),
    ):
        if value not in (None, ""):
            found[name] = value
    return found
