"""Secrets by reference: `{ env = "NAME" }` or `{ file = "/run/secrets/name" }`, resolved on the parsed tree.

So a quote or a dollar sign in a secret cannot break the file, and the file can be shown and shared.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from everwake.fleet.schema import Secret

__all__ = ["Unresolved", "resolve"]

LONGEST_BYTES = 65_536


class Unresolved(Exception):  # noqa: N818
    """A reference that leads to nothing. hint: what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def resolve(value: Any, environ: Mapping[str, str], folder: Path) -> Secret:
    """The secret that `value` refers to; relative files are taken from `folder`. Raises Unresolved."""
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ("env", "file"):
        raise Unresolved(
            "a secret is not written into the file", 'write { env = "NAME" } or { file = "/run/secrets/name" }'
        )
    (how, name), *_ = value.items()
    if not isinstance(name, str) or not name:
        raise Unresolved(f"{how} needs a name", f'write {{ {how} = "NAME" }}')
    if how == "env":
        found = environ.get(name, "").strip()
        if not found:
            raise Unresolved(f"the variable {name} is not set", f"set {name} where the keeper runs")
        return Secret(found, f"env {name}")
    path = folder / name
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise Unresolved(f"the file {name} cannot be read: {reason}", "make it readable for the keeper") from None
    if not text:
        raise Unresolved(f"the file {name} is empty", "put the secret into it")
    return Secret(text, f"file {name}")
