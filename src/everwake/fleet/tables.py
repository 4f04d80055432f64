"""The tables of docs/everwake-toml.md, from the settings as they are declared.

`python -m everwake.fleet.tables docs/everwake-toml.md` writes them anew between their marks.
"""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from everwake.fleet.schema import Expect, Keeper, Notify, PlatformSettings, Service

__all__ = ["TABLES", "main", "rewritten", "table"]

TABLES: dict[str, type[Any]] = {
    "service": Service,
    "expect": Expect,
    "platform": PlatformSettings,
    "notify": Notify,
    "keeper": Keeper,
}


def table(kind: type[Any]) -> str:
    """The settings of one table of the file, in Markdown."""
    hints = get_type_hints(kind)
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for field in dataclasses.fields(kind):
        if not field.metadata:
            continue
        about = field.metadata
        name = about.get("key") or field.name
        text = f"{about['help']}{_choices(hints[field.name])}{_limits(about)}".replace("|", "\\|")
        rows.append(f"| `{name}` | {_default(field, about)} | {text} |")
    return "\n".join(rows)


def _default(field: "dataclasses.Field[Any]", about: Any) -> str:
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "needed"
    value = field.default
    if value is dataclasses.MISSING or value in (None, (), ""):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if about.get("reads") == "seconds":
        return f'`"{spoken(value)}"`'
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _choices(annotation: Any) -> str:
    if get_origin(annotation) is not Literal:
        return ""
    return ": " + ", ".join(f'`"{choice}"`' for choice in get_args(annotation))


def _limits(about: Any) -> str:
    least, most = about.get("ge"), about.get("le")
    show = spoken if about.get("reads") == "seconds" else "{:g}".format
    if least is not None and most is not None:
        return f" ({show(least)} to {show(most)})"
    return "" if least is None else f" ({show(least)} or more)"


def spoken(seconds: float) -> str:
    """A length of time as the file may say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def rewritten(text: str) -> str:
    """The page with its tables as they are now, each between `<!-- table NAME -->` and `<!-- end -->`."""

    def fresh(found: "re.Match[str]") -> str:
        return f"<!-- table {found[1]} -->\n{table(TABLES[found[1]])}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", fresh, text, flags=re.DOTALL)


def main() -> None:
    """Rewrite the file that is named."""
    file = Path(sys.argv[1])
    file.write_text(rewritten(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
