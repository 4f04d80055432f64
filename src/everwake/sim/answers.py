"""What the edge says itself, in our own words: one refusal for each way in which nobody stands behind a host. Pure.

Statuses and routing values: as observed on Render's edge in 2026 (docs/simulator.md has the table).
"""

from collections.abc import Callable, Mapping

from everwake.sim.edge.routes import Refusal
from everwake.sim.life import Direction

__all__ = ["refusal"]

_HTML = "text/html; charset=utf-8"


def _page(title: str, text: str, more: str = "") -> str:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>{more}'
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34rem;padding:0 1rem}</style></head>"
        f"<body><h1>{title}</h1><p>{text}</p></body></html>\n"
    )


# Looks again every 5 s, as the real page does, with a HEAD that costs the service little.
_LOOK_AGAIN = (
    "<script>setInterval(function(){fetch(location.href,{method:'HEAD',cache:'no-store'}).then(function(r){"
    "if(r.status!==503)location.reload()}).catch(function(){})},5000)</script>"
)

_LOADING = _page(
    "Waking up",
    "This service was asleep and is starting now. That takes about a minute; the page opens by itself.",
    _LOOK_AGAIN,
)
_SUSPENDED = _page("Service Suspended", "This service has been suspended.")
_SUSPENDED_BY_OWNER = _page("Service Suspended", "This service has been suspended by its owner.")


def _unreachable(is_free: bool) -> Refusal:
    return Refusal(
        status=502,
        routing="dynamic-free-error" if is_free else "dynamic-paid-error",
        body=_page("502", "The service is there, but gave no answer."),
        content_type=_HTML,
    )


_ANSWERS: Mapping[Direction, Callable[[], Refusal]] = {
    Direction.NO_SERVER: lambda: Refusal(status=404, routing="no-server", body="Not Found\n"),
    Direction.NO_DEPLOY: lambda: Refusal(status=502, routing="no-deploy", body="Bad Gateway\n"),
    Direction.SUSPENDED: lambda: Refusal(status=503, routing="suspend", body=_SUSPENDED, content_type=_HTML),
    Direction.SUSPENDED_BY_USER: lambda: Refusal(
        status=503, routing="suspend-by-user", body=_SUSPENDED_BY_OWNER, content_type=_HTML
    ),
    Direction.LOADING: lambda: Refusal(
        status=503, routing="hibernate-pending-wake", body=_LOADING, content_type=_HTML, retry_after_s=5
    ),
    Direction.WAKE_FAILED: lambda: Refusal(status=503, routing="hibernate-wake-error"),
    Direction.THROTTLED: lambda: Refusal(
        status=429, routing="hibernate-rate-limited", body="Too Many Requests\n", retry_after_s=10
    ),
}


def refusal(direction: Direction, *, is_free: bool) -> Refusal:
    """The answer to a request that goes nowhere.

    Raises:
        KeyError: it goes somewhere (`FORWARD`, `HOLD`).
    """
    return _unreachable(is_free) if direction is Direction.UNREACHABLE else _ANSWERS[direction]()
