"""What settings of other monitors, and of earlier files, are called here. Pure."""

from collections.abc import Iterable, Mapping

__all__ = ["replacement"]

RETRIES = "it is not needed here: a failure is looked at again after 1 s and 3 s before it counts"
# (table, name) -> what to write instead. A table "" is the file itself, "check" any [[service.check]]. The names are those of
# Gatus' `endpoints`, Uptime Kuma's export, Healthchecks and render.yaml (their documentation, read 2026-11).
_INSTEAD: Mapping[tuple[str, str], str] = {
    ("service", "interval"): "every",
    ("service", "heartbeat_interval"): "heartbeat_every",
    ("service", "path"): "health",
    ("service", "health_path"): "health",
    ("service", "healthCheckPath"): "health",
    ("service", "endpoint"): "url",
    ("service", "host"): "url",
    ("service", "websocket"): "heartbeat",
    ("service", "ws"): "heartbeat",
    ("service", "keepalive"): "heartbeat",
    ("service", "needs"): "depends_on",
    ("service", "parent"): "depends_on",
    ("service", "checks"): "check, as [[service.check]]",
    ("service", "status"): "expect = { status = 200 }",
    ("service", "conditions"): "expect = { status = 200 }",
    ("service", "keyword"): 'expect = { text = ".." }',
    ("service", "headers"): '[[service.check]] with kind = "http" and headers',
    ("service", "method"): '[[service.check]] with kind = "http"',
    ("service", "retries"): RETRIES,
    ("service", "max_retries"): RETRIES,
    ("service", "service_id"): "platform_id",
    ("service", "schedule"): "awake",
    ("check", "interval"): "every",
    ("check", "type"): "kind",
    ("", "services"): "[[service]]",
    ("", "endpoints"): "[[service]]",
    ("", "monitors"): "[[service]]",
    ("", "notifications"): '[notify] with urls = [{ env = ".." }]',
    ("", "alerting"): '[notify] with urls = [{ env = ".." }]',
    ("", "alerts"): '[notify] with urls = [{ env = ".." }]',
    ("", "platforms"): "[platform.render]",
    ("", "render"): "[platform.render]",
    ("", "web"): "[keeper]",
    ("", "server"): "[keeper]",
    ("platform", "key"): "api_key",
    ("platform", "token"): "api_key",
    ("notify", "url"): 'urls = [{ env = ".." }]',
    ("keeper", "listen"): "host and port",
    ("keeper", "bind"): "host",
    ("keeper", "address"): "host",
}


def replacement(table: str, name: str, known: Iterable[str]) -> str | None:
    """The hint for a name that is known to have another here; None where it is simply unknown."""
    instead = _INSTEAD.get((table, name))
    if instead is None or name in known:
        return None
    if instead is RETRIES:
        return instead
    return f"it is called {instead} here" if " " not in instead else f"write {instead}"
