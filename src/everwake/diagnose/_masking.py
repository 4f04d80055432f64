"""The one place through which text passes before it is kept as evidence."""

from everwake.fleet.redact import redact

__all__ = ["QUOTE_CHARS", "quote"]

QUOTE_CHARS = 300
READ_CHARS = 4_000


def quote(text: str) -> str:
    """Text as evidence: one line, masked, at most 300 characters. It stays untrusted."""
    if len(text) > READ_CHARS:
        text = text[:READ_CHARS].rpartition(" ")[0]  # half a secret is not known as one
    return " ".join(redact(text).split())[:QUOTE_CHARS]
