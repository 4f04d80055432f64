"""Read personality files; tell every mistake in them at once, each with file, line, column and fix."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from chatify.chatbot.personalities.voice import PLACEHOLDERS, Voice, phrase_names

__all__ = ["DEFAULT_ID", "BadPersonalities", "FileMistake", "Personality", "load"]

DEFAULT_ID: Final = "general-assistant"
# Beside this file in every kind of installation; importlib.resources would cost a cold start some 6 ms for the same.
_BUILT_IN: Final = Path(__file__).with_name("builtin")
MAX_FILES: Final = 200
MAX_FILE_BYTES: Final = 65_536
_TEXTS: Final = {"name": (1, 60), "description": (1, 300), "system_prompt": (1, 8_000), "opening": (1, 500)}
_KEYS: Final = (*_TEXTS, "temperature", "voice")
_MAX_PHRASES, _MAX_PHRASE_CHARS = 40, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """Who the assistant is. id: the file's name without `.toml`.   temperature: 0 to 2.   voice: how it talks offline."""

    id: str
    name: str
    description: str
    system_prompt: str
    temperature: float
    opening: str
    voice: Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMistake:
    """One thing wrong with one file; line and column from 1."""

    file: Path
    line: int
    column: int
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}\n  hint: {self.fix}"


class BadPersonalities(Exception):  # noqa: N818 - reads as what it is
    """The operator's files cannot be used. mistakes: every one of them, in the order of files and lines."""

    def __init__(self, mistakes: tuple[FileMistake, ...]) -> None:
        self.mistakes = mistakes
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__("\n".join([f"{count} in the personalities:", *(str(m) for m in mistakes)]))


def load(extra_dir: Path | None = None) -> Mapping[str, Personality]:
    """Every personality by its id, the default first; a file in `extra_dir` replaces the built-in one of its name.

    Raises:
        BadPersonalities: with every mistake in every file.
    """
    mistakes: list[FileMistake] = []
    files = sorted(_BUILT_IN.glob("*.toml"))
    if extra_dir is not None:
        files += _operators_files(extra_dir, mistakes)
    found: dict[str, Personality] = {}
    for file in files:
        personality = _read(file, mistakes)
        if personality is not None:
            found[personality.id] = personality
    if mistakes:
        raise BadPersonalities(tuple(mistakes))
    return MappingProxyType({DEFAULT_ID: found[DEFAULT_ID], **found})


def _operators_files(folder: Path, mistakes: list[FileMistake]) -> list[Path]:
    def wrong(message: str, fix: str, file: Path = folder) -> None:
        mistakes.append(FileMistake(file=file, line=1, column=1, message=message, fix=fix))

    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except FileNotFoundError:
        wrong("the folder of PERSONALITIES_DIR does not exist", "name an existing folder of .toml files")
        return []
    except OSError as error:
        wrong(
            f"the folder of PERSONALITIES_DIR cannot be read: {error.strerror}",
            "name an existing folder of .toml files",
        )
        return []
    if len(files) > MAX_FILES:
        wrong(f"{len(files)} files are more than the {MAX_FILES} that are read", "keep the ones in use")
    for file in files[:MAX_FILES]:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", file.stem):
            wrong(
                "the file's name is the personality's id",
                "use small letters, digits and hyphens, such as my-guide.toml",
                file,
            )
    return files[:MAX_FILES]


def _read(file: Path, mistakes: list[FileMistake]) -> Personality | None:
    """One file; None when there are mistakes in it, which are then appended."""
    page = _Page(file, "")
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            mistakes.append(page.wrong(0, f"larger than {MAX_FILE_BYTES // 1024} KiB", "shorten it"))
            return None
        page.text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        table = tomllib.loads(page.text)
    except OSError as error:
        mistakes.append(page.wrong(0, f"cannot be read: {error.strerror}", "make it readable"))
        return None
    except UnicodeDecodeError as error:
        page.text = raw[: error.start].decode("utf-8", errors="replace")
        mistakes.append(page.wrong(len(page.text), "not UTF-8 from here on", "save the file as UTF-8"))
        return None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        mistakes.append(page.not_toml(error))
        return None
    before = len(mistakes)
    mistakes.extend(sorted(_examine(page, table), key=lambda m: (m.line, m.column)))
    return _made(file.stem, table) if len(mistakes) == before else None


def _made(id: str, table: Mapping[str, Any]) -> Personality:
    voice: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in table.get("voice", {}).items()}
    return Personality(
        id=id, name=table["name"].strip(), description=table["description"].strip(),
        system_prompt=table["system_prompt"].strip(), temperature=float(table.get("temperature", 0.7)),
        opening=table["opening"].strip(), voice=Voice(**voice),
    )  # fmt: skip


def _examine(page: "_Page", table: Mapping[str, Any]) -> Iterator[FileMistake]:
    for key in table:
        if key not in _KEYS:
            yield page.unknown(key, _KEYS, "")
    for key, (least, most) in _TEXTS.items():
        if key not in table:
            yield page.wrong(0, f"{key} is missing", f'add {key} = "..."')
        elif not isinstance(table[key], str):
            yield page.wrong(page.value_of(key), f"{key} is not a text", f'write {key} = "..."')
        elif not least <= len(table[key].strip()) <= most:
            size = len(table[key].strip())
            yield page.wrong(page.value_of(key), f"{key} has {size} characters", f"write {least} to {most}")
    temperature = table.get("temperature", 0.7)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        yield page.wrong(page.value_of("temperature"), "temperature is not a number from 0 to 2", "write 0.7, say")
    voice = table.get("voice", {})
    if isinstance(voice, dict):
        yield from _examine_voice(page, voice)
    else:
        yield page.wrong(page.value_of("voice"), "voice is not a table", "begin it with a line [voice]")


def _examine_voice(page: "_Page", voice: Mapping[str, Any]) -> Iterator[FileMistake]:
    known = ("friend", *phrase_names())
    for key, value in voice.items():
        at = page.value_of(key, "voice")
        if key not in known:
            yield page.unknown(key, known, "voice")
        elif key == "friend":
            if not isinstance(value, str) or not 1 <= len(value) <= 40:
                yield page.wrong(at, "friend is not a word", 'write friend = "friend", say')
        elif (
            not isinstance(value, list) or not 1 <= len(value) <= _MAX_PHRASES or not all(_is_phrase(p) for p in value)
        ):
            fix = f'write {key} = ["...", "..."], up to {_MAX_PHRASES} phrases of up to {_MAX_PHRASE_CHARS} characters'
            yield page.wrong(at, f"{key} is not a list of phrases", fix)
        else:
            odd = next((m for p in value for m in re.findall(r"\{\w{0,30}\}", p) if m not in PLACEHOLDERS), None)
            if odd is not None:
                yield page.wrong(page.find(odd, at), f"{odd} stands for nothing", f"use {' or '.join(PLACEHOLDERS)}")


def _is_phrase(value: object) -> bool:
    return isinstance(value, str) and len(value.strip()) >= 1 and len(value) <= _MAX_PHRASE_CHARS


@dataclass(slots=True)
class _Page:
    """A file's text, and where in it things stand. Offsets count characters from 0."""

    file: Path
    text: str

    def wrong(self, offset: int, message: str, fix: str) -> FileMistake:
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        return FileMistake(file=self.file, line=line, column=column, message=message, fix=fix)

    def not_toml(self, error: Exception) -> FileMistake:
        # Until Python 3.14 gives them as attributes, line and column stand only in the message.
        at = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        lines = self.text.splitlines() or [""]
        line, column = (int(at[1]), int(at[2])) if at else (len(lines), len(lines[-1]) + 1)
        said = str(error).partition(" (at ")[0] if not isinstance(error, RecursionError) else "nested too deeply"
        return FileMistake(file=self.file, line=line, column=column, message=f"not TOML: {said}",
                           fix="see docs/personalities.md for a file to start from")  # fmt: skip

    def unknown(self, key: str, known: tuple[str, ...], table: str) -> FileMistake:
        near = difflib.get_close_matches(key, known, 1)
        fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return self.wrong(self.key_of(key, table), f"nothing is called {key[:60]}", fix)

    def find(self, what: str, start: int) -> int:
        return max(self.text.find(what, start), 0)

    def key_of(self, key: str, table: str = "") -> int:
        return self._place(key, table)[0]

    def value_of(self, key: str, table: str = "") -> int:
        return self._place(key, table)[1]

    def _place(self, key: str, table: str) -> tuple[int, int]:
        """Where a key and its value stand; the file's beginning when written in a way that is not looked for (dotted keys)."""
        here, offset, fence = "", 0, ""
        for line in self.text.split("\n"):
            if not fence:
                head = re.match(r"\s*\[\s*[\"']?([\w-]+)[\"']?\s*\]", line)
                pair = re.match(r"(\s*)[\"']?([^\"'=\[\]#]+?)[\"']?\s*=\s*", line)
                if head:
                    here = head[1]
                    if not table and here == key:
                        return offset + head.start(1), offset + head.start(1)
                elif pair and here == table and pair[2] == key:
                    return offset + pair.end(1), offset + pair.end()
            for quotes in ('"""', "'''"):
                if fence in ("", quotes) and line.count(quotes) % 2:
                    fence = "" if fence else quotes
            offset += len(line) + 1
        return 0, 0
