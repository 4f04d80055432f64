"""How the programs that read files of variables differ: one `Dialect` each, and which one a name means. Pure.

Facts from the programs' own sources and manuals: python-dotenv 1.2 `parser.py`, dotenv (js) 16 `lib/main.js`, docker/cli
`pkg/kvfile`, compose-go `dotenv/parser.go`, phpdotenv 5, POSIX 2.3 (shell); read 2026-11.
"""

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["DIALECTS", "PLAIN", "Dialect", "dialect_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one reader makes of the text.

    title: as people call it.   quotes: signs that may stand round a value and are taken off.   spans_lines: a quoted value may.
    comment: where `#` begins one in an unquoted value: nowhere, after a blank, anywhere.   knows_export: drops the word.
    pads: blanks round `=` are no part of name and value.   escapes: in double quotes: all that C knows, only line ends, none.
    eats_cr, eats_bom: Windows' line ends, and the mark at the beginning of a file, are no part of what is read.
    spaces: an unquoted value may hold blanks.   colon: `KEY: value` is read as well.
    expands: what is replaced: `$NAME` and `${NAME}` ("all"), the latter alone, nothing.   keeps_single: not in single quotes.
    """

    title: str
    quotes: str = "\"'"
    spans_lines: bool = True
    comment: Literal["none", "blank", "any"] = "blank"
    knows_export: bool = True
    pads: bool = True
    escapes: Literal["all", "lines", "none"] = "all"
    eats_cr: bool = True
    eats_bom: bool = True
    spaces: bool = True
    colon: bool = False
    expands: Literal["all", "braces", ""] = "all"
    keeps_single: bool = True


PLAIN = Dialect(title="a .env reader", quotes="\"'`")
_NAIVE = Dialect(
    title="a reader that splits at =", quotes="", spans_lines=False, comment="none", knows_export=False, pads=False,
    escapes="none", eats_cr=False, eats_bom=False, expands="",
)  # fmt: skip

DIALECTS: dict[str, Dialect] = {
    "docker": Dialect(
        title="docker run --env-file", quotes="", spans_lines=False, comment="none", knows_export=False, pads=False,
        escapes="none", expands="",
    ),
    "compose": Dialect(title="docker compose"),
    "python-dotenv": Dialect(title="python-dotenv", expands="braces", keeps_single=False),
    "dotenv": Dialect(title="dotenv (js)", quotes="\"'`", comment="any", escapes="lines", colon=True, expands=""),
    "shell": Dialect(
        title="a shell's source", knows_export=True, pads=False, escapes="none", eats_cr=False, eats_bom=False, spaces=False,
    ),
    "render": Dialect(title="Render's dashboard", quotes="\"'`", comment="any", escapes="lines", expands=""),
    "systemd": Dialect(
        title="systemd's EnvironmentFile", comment="none", knows_export=False, escapes="all", eats_bom=False, expands="",
    ),
    "phpdotenv": Dialect(title="phpdotenv", spaces=False, expands="braces"),
    "godotenv": Dialect(title="godotenv", eats_cr=False, eats_bom=False),
    "go-dotenv": Dialect(title="go-dotenv", comment="any", eats_cr=False, eats_bom=False, expands=""),
    "ruby-dotenv": Dialect(title="dotenv (ruby)"),
    "foreman": Dialect(title="foreman", comment="none", eats_cr=False, eats_bom=False, pads=False, expands=""),
    "bun": Dialect(title="bun", quotes="\"'`", eats_bom=False),
    "env-cmd": Dialect(title="env-cmd", comment="any", pads=False, knows_export=False, eats_bom=False, expands=""),
    "hf": Dialect(title="the hf command's --env-file", comment="any", eats_bom=False, expands=""),
    "naive": _NAIVE,
}  # fmt: skip

# What people call them, tried in this order; each says enough of a name to know the reader by it.
_CALLED = (
    (r"compose", "compose"),
    (r"docker|podman|env[-_ ]?file\b.*container|kubectl", "docker"),
    (r"\bphp|laravel|symfony", "phpdotenv"),
    (r"ruby|rails", "ruby-dotenv"),
    (r"go-dotenv|direnv", "go-dotenv"),
    (r"godotenv|golang|\bgo\b", "godotenv"),
    (r"foreman|honcho|procfile", "foreman"),
    (r"\bbun\b", "bun"),
    (r"env-cmd", "env-cmd"),
    (r"\bhf\b|hugging ?face", "hf"),
    (r"systemd", "systemd"),
    (r"naive|split|xargs|\bcut\b|grep|makefile|\bmake\b", "naive"),
    (r"python-dotenv|pydantic|python|django|flask|environs|decouple|uvicorn|starlette|fastapi|load_dotenv", "python-dotenv"),
    (r"shell|bash|\bzsh\b|\bsh\b|source|set -a", "shell"),
    (r"dotenv|next\.?js|vite|\bnode|react|nest|prisma|\bcra\b|\bjs\b|nuxt", "dotenv"),
    (r"render", "render"),
)  # fmt: skip


def dialect_of(reader: str | None) -> Dialect | None:
    """The dialect that a reader's name means; None where it names none (a library that is handed values, not a file)."""
    said = (reader or "").lower()[:200]
    if said in DIALECTS:
        return DIALECTS[said]
    return next((DIALECTS[name] for pattern, name in _CALLED if re.search(pattern, said)), None)
