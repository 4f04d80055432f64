"""The OpenAPI document of the keeper: what every address takes and answers. A test holds it against routes and answers."""

from collections.abc import Mapping
from typing import Any

from everwake.model import FailureKind, Level, Phase, RunState, State, StepState
from everwake.web.door import SPANS, Resolution
from everwake.web.gate import BODY_LIMIT_BYTES
from everwake.web.hours import HOLD_MOST_S
from everwake.web.queries import LONGEST_WAIT_S, MOST_ITEMS

__all__ = ["document"]

Schema = dict[str, Any]


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: Schema) -> Schema:
    """Every property is always there; more may come."""
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _list(items: Schema, **more: Schema) -> Schema:
    return _object(items={"type": "array", "items": items}, next=_or_null(_TEXT), **more)


def _enum(values: type[State] | type[FailureKind] | type[Phase] | type[Level] | type[Resolution]) -> Schema:
    return {"type": "string", "enum": [value.value for value in values]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MS: Schema = _or_null({"type": "number", "minimum": 0})
_SHARE: Schema = _or_null({"type": "number", "minimum": 0, "maximum": 1})
_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Schema = _or_null(_TIME)

_HEAD: Schema = {
    "name": _TEXT,
    "state": _enum(State),
    "sentence": {"type": "string", "description": "how things stand, for people"},
    "monitoring": _FLAG,
    "counts": {"type": "object", "additionalProperties": _COUNT, "description": "services by state"},
    "next_check_at": _MAYBE_TIME,
    "trouble": {"type": "array", "items": _TEXT, "description": "what is wrong with the keeper itself"},
    "repairs": _ref("Switch"),
}

_REASONS: Schema = {"type": "object", "additionalProperties": _TEXT}
_HOURS: Schema = {
    **_object(
        allowance_h={"type": "number"}, used_h={"type": "number"}, planned_h={"type": "number"}, spare_h={"type": "number"},
        lasts=_FLAG, ends_at=_MAYBE_TIME, earliest=_MAYBE_TIME, latest=_MAYBE_TIME, at=_TIME, month=_TEXT, month_ends=_TIME,
        speed={"type": "number"}, said=_TEXT, services={"type": "array"}, around_the_clock=_or_null({"type": "object"}),
        ended=_or_null(_object(since=_MAYBE_TIME, suspended={"type": "array", "items": _TEXT}, again_at=_TIME)),
        ways={"type": "array", "items": _object(
            says=_TEXT, awake=_REASONS, costs=_COUNT, lasts=_FLAG, spare_h=_or_null({"type": "number"}),
        )},
    ),
    "description": "free hours of one workspace; times are the platform's, which are ours but for a simulated one",
}  # fmt: skip

_SCHEMAS: Mapping[str, Schema] = {
    "Problem": _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, code=_TEXT, detail=_TEXT),
    "Failure": _object(kind=_enum(FailureKind), phase=_enum(Phase), detail=_TEXT),
    "Heartbeat": _object(connected=_FLAG, connected_at=_MAYBE_TIME, last_beat_at=_MAYBE_TIME, missed=_COUNT),
    "Strip": {
        **_object(
            at=_MAYBE_TIME,
            ago_s={"type": "array", "items": {"type": "integer"}},
            states={"type": "string", "pattern": "^[ugwadp?]*$"},
            ms={"type": "array", "items": _or_null({"type": "integer"})},
        ),
        "description": "The last looks, oldest first, in columns of one length. `at`: the newest; `ago_s`: seconds before it; "
        "`states`: u up, g degraded, w waking, a asleep, d down, p paused, ? unknown.",
    },
    "Service": _object(
        name=_TEXT, title=_TEXT, url=_TEXT, group=_or_null(_TEXT), state=_enum(State), since=_MAYBE_TIME,
        cause=_or_null(_TEXT), failure=_or_null(_ref("Failure")), latency_ms=_MS, status=_or_null({"type": "integer"}),
        checked_at=_MAYBE_TIME, next_check_at=_MAYBE_TIME, checking=_FLAG, heartbeat=_or_null(_ref("Heartbeat")),
        uptime=_object(**dict.fromkeys(SPANS, _SHARE)), incident=_or_null(_TEXT), strip=_ref("Strip"),
        awake=_TEXT, rests=_FLAG, turns_at=_MAYBE_TIME,
    ),
    "Fleet": _object(**_HEAD, services={"type": "array", "items": _ref("Service")}),
    "Services": _list(_ref("Service")),
    "Observation": _object(
        at=_TIME, check=_TEXT, ok=_FLAG, status=_or_null({"type": "integer"}), took_ms=_MS, late_ms=_MS,
        failure=_or_null(_ref("Failure")), phases_ms={"type": "object", "additionalProperties": _MS},
        headers={"type": "object", "additionalProperties": _TEXT}, excerpt=_TEXT,
        certificate_expires_at=_MAYBE_TIME, redirects=_COUNT,
    ),
    "Rollup": _object(
        at=_TIME, looks=_COUNT, failed=_COUNT, uptime=_SHARE, p50_ms=_MS, p95_ms=_MS, p99_ms=_MS, max_ms=_MS
    ),
    "Observations": _list({"anyOf": [_ref("Observation"), _ref("Rollup")]}, resolution=_enum(Resolution)),
    "Cause": _object(
        cause=_TEXT, sure=_SHARE, evidence={"type": "array", "items": _object(**{"from": _TEXT}, quote=_TEXT)}, next=_TEXT
    ),
    "Diagnosis": _object(
        id=_TEXT, state=_enum(State), causes={"type": "array", "items": _ref("Cause")}, ruled_out={"type": "array"},
        variables={"type": "array"},
    ),
    "Action": _object(at=_TIME, remedy=_TEXT, step=_TEXT, by=_TEXT, outcome=_TEXT),
    "Incident": _object(
        id=_TEXT, service=_TEXT, opened_at=_TIME, closed_at=_MAYBE_TIME, cause=_or_null(_TEXT), parent=_or_null(_TEXT),
        flaps=_COUNT, first=_or_null(_ref("Observation")), diagnosis=_ref("Diagnosis"),
        actions={"type": "array", "items": _ref("Action")}, proof=_object(proved=_FLAG, criteria={"type": "array"}),
    ),
    "Incidents": _list(_ref("Incident")),
    "Switch": _object(stopped=_FLAG, by=_or_null(_TEXT), at=_MAYBE_TIME),
    "Switched": _object(stopped=_FLAG, by=_or_null(_TEXT), at=_MAYBE_TIME, changed=_FLAG),
    "Repairs": _object(stopped=_FLAG, by=_or_null(_TEXT), at=_MAYBE_TIME, open={"type": "array", "items": _ref("Remedy")}),
    "Plan": _object(
        remedy=_TEXT, about=_TEXT, cause=_TEXT, why=_TEXT, costs=_TEXT, deploys=_COUNT, proved_by=_TEXT,
        steps={"type": "array", "items": _object(do=_TEXT, says=_TEXT)},
    ),
    "Thought": _object(
        decision={"type": "string", "enum": ["act", "wait", "ask"]}, well=_FLAG, why=_TEXT, next=_TEXT,
        plan=_or_null(_ref("Plan")),
    ),
    "Remedy": _object(
        id=_TEXT, service=_TEXT, incident=_or_null(_TEXT), remedy=_TEXT, about=_TEXT, cause=_TEXT, why=_TEXT, costs=_TEXT,
        proved_by=_TEXT, by=_TEXT, state={"type": "string", "enum": [state.value for state in RunState]}, asked_at=_TIME,
        began_at=_MAYBE_TIME, ended_at=_MAYBE_TIME, outcome=_TEXT,
        steps={
            "type": "array",
            "items": _object(
                do=_TEXT, says=_TEXT, state={"type": "string", "enum": [state.value for state in StepState]}, at=_MAYBE_TIME,
                ended_at=_MAYBE_TIME, said=_TEXT,
            ),
        },
        proof=_object(proved=_FLAG, criteria={"type": "array"}),
        soak=_or_null(_object(proved=_FLAG, criteria={"type": "array"})),
    ),
    "Planned": _object(
        service=_TEXT, decision={"type": "string", "enum": ["act", "wait", "ask"]}, well=_FLAG, why=_TEXT, next=_TEXT,
        plan=_or_null(_ref("Plan")), refused=_or_null(_TEXT),
    ),
    "Begun": _object(service=_TEXT, run=_ref("Remedy")),
    "Repair": _object(
        service=_TEXT, repair={"type": "string", "enum": ["off", "ask", "auto"]}, repairs=_ref("Switch"),
        run=_or_null(_ref("Remedy")), thought=_or_null(_ref("Thought")), refused=_or_null(_TEXT),
    ),
    "Line": _object(at=_TIME, level=_enum(Level), text=_TEXT, service=_or_null(_TEXT)),
    "Log": _list(_ref("Line")),
    "Looks": _object(looks=_COUNT),
    "Looked": _object(looks=_COUNT, observation=_ref("Observation"), service=_ref("Service")),
    "Monitoring": _object(monitoring=_FLAG, changed=_FLAG),
    "Hours": _object(counted_at=_MAYBE_TIME, platforms={"type": "object", "additionalProperties": _HOURS}, missing=_REASONS),
    "Waking": _object(service=_TEXT, waking={"type": "array", "items": _TEXT}, hold_s=_COUNT),
    "Health": _object(status=_TEXT, service=_TEXT, version=_TEXT, monitoring=_FLAG),
}  # fmt: skip


def _query(name: str, about: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": about, "required": False, "schema": schema}


_LIMIT = _query("limit", "most items in one answer", {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS})
_CURSOR = _query("cursor", "`next` of an earlier answer", {"type": "string", "minLength": 1, "maxLength": 500})
_OF_SERVICE = _query("service", "only of this one", _TEXT)
_SINCE = _query("since", "from then on; a day before `until` by default", _TIME)
_UNTIL = _query("until", "before then; now by default", _TIME)
_RESOLUTION = _query("resolution", "how fine", {"type": "string", "enum": ["auto", *(one.value for one in Resolution)]})
_WAIT = _query("wait", "seconds to wait for what is seen", {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_S})
_HOLD = _query(
    "hold", "seconds for which those on demand stay awake", {"type": "integer", "minimum": 1, "maximum": HOLD_MOST_S}
)
_URL = {
    **_query("url", "where the service answers", {"type": "string", "minLength": 1, "maxLength": 500}),
    "required": True,
}
_LAST_EVENT = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": _TEXT}


def _content(media_type: str, schema: Schema) -> Schema:
    return {"content": {media_type: {"schema": schema}}}


def _json(name: str) -> Schema:
    return _content("application/json", _ref(name))


def _operation(
    summary: str, answer: Schema, *problems: int, status: int = 200, takes: tuple[Schema, ...] = ()
) -> Schema:
    told = {
        str(code): {"description": "Problem document", **_content("application/problem+json", _ref("Problem"))}
        for code in sorted({401, 413, 421, 429, *problems})
    }
    operation: Schema = {"summary": summary, "responses": {str(status): {"description": "Well", **answer}, **told}}
    if takes:
        operation["parameters"] = list(takes)
    return operation


def document(version: str) -> Schema:
    """OpenAPI 3.1."""
    text = _content("text/plain", _TEXT)
    page = _content("text/html", _TEXT)
    check = _operation("Look at one service now", _json("Looked"), 403, 404, 422, takes=(_WAIT,))
    check["responses"]["202"] = {"description": "Looking", **_json("Looks")}
    remedy = _operation("See what would mend it, or begin", _json("Planned"), 403, 404, 408, 409, 422, 503)
    remedy["responses"]["202"] = {"description": "Begun", **_json("Begun")}
    wants = _object(plan={**_FLAG, "description": "what would be done"})
    says_yes = _object(yes={**_FLAG, "description": "do it"})
    remedy["requestBody"] = {"required": True, **_content("application/json", {"oneOf": [wants, says_yes]})}
    service = "/api/v1/services/{name}"
    paths: dict[str, Schema] = {
        "/api/v1/fleet": {"get": _operation("How everything stands", _json("Fleet"))},
        "/api/v1/services": {"get": _operation("All services", _json("Services"), 422, takes=(_LIMIT, _CURSOR))},
        service: {"get": _operation("One service", _json("Service"), 404)},
        f"{service}/observations": {
            "get": _operation(
                "What was seen of it, oldest first", _json("Observations"), 404, 422, 503,
                takes=(_SINCE, _UNTIL, _RESOLUTION, _LIMIT, _CURSOR),
            )
        },
        f"{service}/diagnosis": {"get": _operation("Why it is not as it should be", _json("Diagnosis"), 404)},
        f"{service}/check": {"post": check},
        f"{service}/remedy": {"get": _operation("How its repairs stand", _json("Repair"), 404), "post": remedy},
        "/api/v1/repairs": {"get": _operation("The red switch, and what is under way", _json("Repairs"))},
        "/api/v1/repairs/stop": {"post": _operation("Stop all repairs", _json("Switched"), 403, 408, 422, 503)},
        "/api/v1/repairs/start": {"post": _operation("Allow repairs again", _json("Switched"), 403, 408, 422, 503)},
        f"{service}/wake": {
            "post": _operation("Wake it, what it needs first", _json("Waking"), 403, 404, 422, status=202, takes=(_HOLD,))
        },
        "/api/v1/wake": {
            "post": _operation("The same, by address", _json("Waking"), 403, 404, 422, status=202, takes=(_URL, _HOLD))
        },
        "/api/v1/hours": {"get": _operation("The free hours", _json("Hours"))},
        "/api/v1/checks": {"post": _operation("Look at everything now", _json("Looks"), 403, status=202)},
        "/api/v1/monitoring/start": {"post": _operation("Watch again", _json("Monitoring"), 403)},
        "/api/v1/monitoring/stop": {"post": _operation("Watch nothing any more", _json("Monitoring"), 403)},
        "/api/v1/incidents": {
            "get": _operation("Newest first", _json("Incidents"), 422, 503, takes=(_OF_SERVICE, _LIMIT, _CURSOR))
        },
        "/api/v1/incidents/{incident}": {"get": _operation("One incident", _json("Incident"), 404, 503)},
        "/api/v1/log": {
            "get": _operation("The activity log, newest first", _json("Log"), 422, 503, takes=(_OF_SERVICE, _LIMIT, _CURSOR))
        },
        "/api/v1/events": {
            "get": _operation(
                "Live: snapshot, fleet, service, log, incident", _content("text/event-stream", _TEXT), 503,
                takes=(_LAST_EVENT, _query("last_event_id", "the same, for who cannot set headers", _TEXT)),
            )
        },
        "/health": {"get": _operation("The keeper runs", _json("Health"))},
        "/metrics": {"get": _operation("For Prometheus", text)},
        "/badge/{name}.svg": {"get": _operation("Name and state as a picture", _content("image/svg+xml", _TEXT), 404)},
        "/status": {"get": _operation("The public page", page)},
        "/": {"get": _operation("The dashboard", page)},
    }  # fmt: skip
    for path, operations in paths.items():
        named = [part.partition("}")[0] for part in path.split("{")[1:]]
        for operation in operations.values():
            in_path = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in named]
            if in_path:
                operation["parameters"] = in_path + operation.get("parameters", [])
    about = (
        "What a keeper knows of its fleet. Times are RFC 3339 in UTC, lists are `{items, next}`, errors are problem documents "
        f"(RFC 9457). Only a remedy needs a body; none may be larger than {BODY_LIMIT_BYTES} bytes."
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Everwake", "version": version, "description": about},
        "paths": paths,
        "components": {
            "schemas": dict(_SCHEMAS),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "everwake_session"},
            },
        },
        "security": [{}, {"token": []}, {"cookie": []}],
    }
