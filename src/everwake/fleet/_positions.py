"""Where each key and value of a TOML text stands, which `tomllib` does not tell. Pure.

The text has been parsed by `tomllib` before, so it is valid: this only has to follow its shape, not to judge it.
"""

import tomllib
from dataclasses import dataclass

__all__ = ["Path", "Place", "locate"]

Path = tuple[str | int, ...]

_BLANK = " \t"
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, both from 1, of a key (of the element itself within a list) and of its value."""

    line: int
    column: int
    value_line: int
    value_column: int


def locate(text: str) -> dict[Path, Place]:
    """Every path of the document, such as ("service", 0, "expect", "status"), with its place. Tables stand where they begin."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        # tomllib reads CRLF as LF; columns stay right because the CR stands at the end of its line.
        self.text = text
        self.at = 0
        self.places: dict[Path, Place] = {}
        self.lists: dict[Path, int] = {}
        self.starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        self.line = 0

    def read(self) -> dict[Path, Place]:
        table: Path = ()
        while self._skip(_SPACE):
            if self.text[self.at] == "#":
                self._comment()
            elif self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.places

    def _position(self, at: int) -> tuple[int, int]:
        # What is read only moves forward, so the line is found from the last one: linear over the whole text.
        while self.line + 1 < len(self.starts) and self.starts[self.line + 1] <= at:
            self.line += 1
        while self.starts[self.line] > at:
            self.line -= 1
        return self.line + 1, at - self.starts[self.line] + 1

    def _note(self, path: Path, key_at: int, value_at: int) -> None:
        self.places.setdefault(path, Place(*self._position(key_at), *self._position(value_at)))

    def _skip(self, chars: str) -> bool:
        while self.at < len(self.text) and self.text[self.at] in chars:
            self.at += 1
        return self.at < len(self.text)

    def _skip_with_comments(self) -> None:
        while self._skip(_SPACE) and self.text[self.at] == "#":
            self._comment()

    def _comment(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _resolve(self, keys: list[str]) -> Path:
        """A header's keys as a path: a name that is a list of tables means its last one."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self.lists:
                path = (*path, self.lists[path])
        return path

    def _header(self) -> Path:
        start = self.at
        is_list = self.text.startswith("[[", self.at)
        self.at += 2 if is_list else 1
        keys = [key for key, _ in self._keys()]
        self.at = self.text.index("]", self.at) + (2 if is_list else 1)
        if not is_list:
            path = self._resolve(keys)
            self._note(path, start, start)
            return path
        name = (*self._resolve(keys[:-1]), keys[-1])
        self.lists[name] = self.lists.get(name, -1) + 1
        self._note(name, start, start)
        path = (*name, self.lists[name])
        self._note(path, start, start)
        return path

    def _keys(self) -> list[tuple[str, int]]:
        keys = []
        while True:
            self._skip(_BLANK)
            start = self.at
            if self.text[self.at] in "\"'":
                keys.append((self._string(), start))
            else:
                while self.at < len(self.text) and self.text[self.at] not in " \t\r\n.=]":
                    self.at += 1
                keys.append((self.text[start : self.at], start))
            self._skip(_BLANK)
            if self.at >= len(self.text) or self.text[self.at] != ".":
                return keys
            self.at += 1

    def _pair(self, table: Path) -> None:
        path = table
        keys = self._keys()
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        for key, start in keys:
            path = (*path, key)
            self._note(path, start, self.at)
        self._value(path)

    def _value(self, path: Path) -> None:
        char = self.text[self.at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._list(path)
        elif char == "{":
            self._inline(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1

    def _list(self, path: Path) -> None:
        self.at += 1
        n = 0
        while True:
            self._skip_with_comments()
            if self.text[self.at] == "]":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._note((*path, n), self.at, self.at)
            self._value((*path, n))
            n += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip_with_comments()
            if self.text[self.at] == "}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)

    def _string(self) -> str:
        quote = self.text[self.at]
        if self.text.startswith(quote * 3, self.at):
            return self._long_string(quote * 3)
        start = self.at
        self.at += 1
        while self.text[self.at] != quote:
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += 1
        return _unescaped(self.text[start : self.at])

    def _long_string(self, fence: str) -> str:
        self.at += 3
        while not self.text.startswith(fence, self.at):
            self.at += 2 if fence[0] == '"' and self.text[self.at] == "\\" else 1
        self.at += 3
        # Up to two quotes may belong to the string right before its fence.
        while self.text.startswith(fence[0], self.at):
            self.at += 1
        return ""


def _unescaped(quoted: str) -> str:
    """A quoted key as tomllib reads it."""
    return quoted[1:-1] if "\\" not in quoted else next(iter(tomllib.loads(f"{quoted} = 0")))
