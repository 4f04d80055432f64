"""docs/settings.md, made from the declarations: `python -m chatify.settings_docs > docs/settings.md`.

With `--schema` the same as JSON, for whoever examines variables without running the service: service -> its `schema`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatify.settings import KINDS, schema

__all__ = ["page", "schemas"]

_HEAD = """# Variables

Made from the code by `make docs`; change `src/chatify/settings.py` instead.

Every service reads its variables from the environment when it starts, and an empty variable is an absent one. What is
wrong is told all at once, each with its column, what was found and what to write, and the service ends with exit code 2;
`chatify chatbot --check` only looks. A secret's value is never printed, not even in part, whichever variable it was written
into. A variable that nobody reads, but whose name is almost one of these (`REDIS_URI`), is a mistake too.

A length of time is a number of seconds, or a number with its unit: `90`, `30m`, `24h`, `7d`. A boolean is `true` or `false`.
"""

_TITLES = {"chatbot": "Chatbot", "backend": "Backend", "redis-service": "Redis service"}


def _default(one: Mapping[str, Any]) -> str:
    value = one["default"]
    if one["is_required_in_production"]:
        return "required in production"
    if value is None or value == ():
        return ""
    if one["type"] == "boolean":
        return "`true`" if value else "`false`"
    if one["type"] == "duration":
        whole = int(value)
        return f"`{whole // 3600}h`" if whole >= 3600 and whole % 3600 == 0 else f"`{whole}s`"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _range(one: Mapping[str, Any]) -> str:
    if one["choices"]:
        return ", ".join(f"`{name}`" for name in one["choices"])
    if one["least"] is None or one["most"] is None:
        return str(one["type"])
    return f"{one['type']}, {one['least']:,} to {one['most']:,}" + (" s" if one["type"] == "duration" else "")


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for word, kind in KINDS.items():
        parts.append(
            f"\n## {_TITLES[word]}: `chatify {word}`\n\n| variable | value | default | what it is |\n|---|---|---|---|\n"
        )
        parts += [f"| `{one['name']}` | {_range(one)} | {_default(one)} | {one['help']} |\n" for one in schema(kind)]
    return "".join(parts)


def schemas() -> str:
    """Every service's variables as JSON; a path is a text with slashes, a secret has no default."""

    def plain(value: Any) -> Any:
        return value.as_posix() if isinstance(value, Path) else value

    rows = {
        word: [{name: plain(value) for name, value in one.items()} for one in schema(kind)]
        for word, kind in KINDS.items()
    }
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    sys.stdout.write(schemas() if sys.argv[1:] == ["--schema"] else page())
