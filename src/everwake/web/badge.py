"""A badge to put in a README: name and state as one small picture. Pure.

It tells everybody who can reach the keeper that a service of that name exists and how it stands; no address, no evidence.
"""

from xml.sax.saxutils import escape

from everwake.model import State

__all__ = ["badge"]

_COLOURS = {
    State.UP: "#0f8a5f", State.WAKING: "#b8680a", State.ASLEEP: "#4f5bb5", State.DOWN: "#c2352b", State.DEGRADED: "#946c00",
    State.PAUSED: "#667085", State.UNKNOWN: "#667085",
}  # fmt: skip
# Advance widths of a usual sans-serif at 11 px, by feel of the letter: there is no font to ask on a server.
_NARROW, _WIDE = frozenset("fijltI.,:;-'| "), frozenset("mwMWQO@%")
_HEIGHT, _PAD = 20, 7
_NAME_LIMIT = 63


def badge(name: str, state: State) -> str:
    """An SVG of 20 px height. name is shown as it is."""
    name = name[:_NAME_LIMIT]
    left, right = _width(name) + 2 * _PAD, _width(state.value) + 2 * _PAD
    label = escape(f"{name}: {state.value}", {'"': "&quot;"})
    text = 'y="14" fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img" aria-label="{label}">'
        f"<title>{label}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="{_HEIGHT}" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_HEIGHT}" fill="#1d2230"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{_COLOURS[state]}"/></g>'
        f'<text x="{left / 2:g}" {text}>{escape(name)}</text><text x="{left + right / 2:g}" {text}>{state.value}</text></svg>'
    )


def _width(text: str) -> int:
    return round(sum(4.0 if char in _NARROW else 10.0 if char in _WIDE else 7.0 for char in text))
