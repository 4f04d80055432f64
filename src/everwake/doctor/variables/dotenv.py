"""A file of variables, parsed without losing a character: pieces that joined are the text again, whatever the text. Pure.

One scanner for all dialects: it walks the text once, from left to right, and never comes back further than a quote that is
not closed, so that it stays linear (an unclosed quote ends the search for all others of its kind).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from everwake.doctor.variables.dialects import PLAIN, Dialect

__all__ = ["BOM", "Document", "Entry", "Piece", "parse"]

BOM = "\ufeff"
# Line ends that readers know; Python's splitlines would know more (a form feed, U+2028), which are parts of values here.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_NAME = re.compile(r"[^=\#\s]+")
_EXPORTED = re.compile(r"export[^\S\r\n]+[^=\#\s]+")
_COMMENT = re.compile(r"(?<=\s)#")
_JS_NAME = re.compile(r"[\w.-]+(?=\s*[=:])", re.ASCII)
_BLANKS = re.compile(r"[^\S\r\n]*")
_CLOSING = {sign: re.compile(rf"(?:[^\\{sign}]|\\.)*+{sign}", re.DOTALL) for sign in "\"'`"}
_PYTHON_ESCAPE = re.compile(r"\\([\\'\"abfnrtv])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One assignment, as one dialect understands it. All places are offsets into the text.

    key, value: as read (value None: a name without `=`).   at: where the name begins.   value_at, value_end: the value between
    its quotes.   quote: the sign round it, or "".   is_plain: value is exactly text[value_at:value_end], so that offsets agree.
    exports: the word `export` stands before it, `export_at` where.   padded: blanks round `=`, from equals_at to equals_end.
    comment: the comment behind the value with its `#`, or "".   line: of the name, from 1.
    """

    key: str
    value: str | None
    at: int
    line: int
    value_at: int
    value_end: int
    quote: str = ""
    is_plain: bool = True
    exports: bool = False
    export_at: int = 0
    equals_at: int = 0
    equals_end: int = 0
    padded: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text, line ends included. "odd": not empty, no comment, and no assignment."""

    kind: Literal["entry", "comment", "blank", "odd", "bom"]
    text: str
    line: int
    at: int
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The whole text in pieces."""

    text: str
    pieces: tuple[Piece, ...]
    dialect: Dialect

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The assignments, in the order of the file."""
        return tuple(piece.entry for piece in self.pieces if piece.entry is not None)

    @property
    def values(self) -> dict[str, str]:
        """What the reader ends up with: the last assignment of a name wins."""
        return {entry.key: entry.value for entry in self.entries if entry.value is not None}


def parse(text: str, dialect: Dialect = PLAIN) -> Document:
    """The text in pieces, as the dialect understands it; `"".join(piece.text for piece in pieces) == text`."""
    return Document(text, tuple(_Scanner(text, dialect).pieces()), dialect)


class _Scanner:
    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text, self.dialect, self.line = text, dialect, 1
        self.unclosed: set[str] = set()  # quotes that are not closed from here on: looked for once

    def pieces(self) -> Iterator[Piece]:
        at = 0
        if self.text.startswith(BOM) and self.dialect.eats_bom:
            yield Piece("bom", BOM, 1, 0)
            at = 1
        while at < len(self.text):
            piece = self.piece(at)
            yield piece
            at += len(piece.text)
            self.line += _line_ends(piece.text)

    def piece(self, at: int) -> Piece:
        end = self.line_end(at)
        whole = self.text[at:end]
        bare = whole.strip()
        if not bare:
            return Piece("blank", whole, self.line, at)
        if bare[0] == "#":
            return Piece("comment", whole, self.line, at)
        entry, end = self.entry(at, end)
        if entry is None:
            return Piece("odd", self.text[at:end], self.line, at)
        return Piece("entry", self.text[at:end], self.line, at, entry)

    def line_end(self, at: int) -> int:
        found = _LINE.match(self.text, at)
        assert found is not None
        return found.end()

    def bare_end(self, end: int, at: int) -> int:
        """Where the line's characters end, its line end left out; a reader that keeps CR has it in the value."""
        while end > at and self.text[end - 1] in ("\r\n" if self.dialect.eats_cr else "\n"):
            end -= 1
        return end

    def entry(self, at: int, end: int) -> tuple[Entry | None, int]:
        """The assignment that begins here or None, and where the piece ends: what is odd may have begun with a quoted text."""
        text, dialect = self.text, self.dialect
        start = at + len(text[at:end]) - len(text[at:end].lstrip())
        name_at, exports = start, False
        if dialect.knows_export:
            word = re.compile(r"export[^\S\r\n]+").match(text, start, end)
            if word is not None:
                name_at, exports = word.end(), True
        named = self.name(name_at, end)
        if named is None:
            return None, end
        key, after = named
        end = max(end, self.line_end(after - 1)) if after > end else end
        blanks = _BLANKS.match(text, after)
        assert blanks is not None
        equals_at = blanks.end()
        if text[equals_at : equals_at + 1] not in (("=", ":") if dialect.colon else ("=",)):
            return self.name_alone(key, name_at, after, equals_at, end, start, exports=exports)
        behind = _BLANKS.match(text, equals_at + 1)
        assert behind is not None
        if not dialect.pads:
            if after != equals_at:
                key = text[name_at:equals_at]
            value_at = equals_at + 1
        else:
            value_at = behind.end()
        value_at = min(value_at, end)
        found = self.value(value_at, end, after_blank=behind.end() > equals_at + 1)
        if isinstance(found, int):
            return None, found
        value, inner_at, inner_end, quote, comment, piece_end = found
        entry = Entry(
            key=key, value=value, at=name_at, line=self.line + _line_ends(text[at:name_at]), value_at=inner_at,
            value_end=inner_end, quote=quote, is_plain=value == text[inner_at:inner_end], exports=exports, export_at=start,
            equals_at=after, equals_end=behind.end() if behind.end() <= end else value_at,
            padded=after != equals_at or behind.end() > equals_at + 1, comment=comment,
        )  # fmt: skip
        return entry, piece_end

    def name(self, at: int, end: int) -> tuple[str, int] | None:
        text = self.text
        if text[at : at + 1] == "'" and self.dialect.quotes:
            close = -1 if "name" in self.unclosed else text.find("'", at + 1)
            if close < 0:
                self.unclosed.add("name")
            # A name in quotes may hold line ends (python-dotenv); no file is written so, but the text must be read alike.
            return None if close <= at + 1 else (text[at + 1 : close], close + 1)
        if not self.dialect.quotes:  # docker and whoever splits at the first =: all before it is the name
            equals = text.find("=", at, end)
            name = text[at : self.bare_end(end, at) if equals < 0 else equals]
            return None if not name or (equals < 0 and re.search(r"\s", name.strip())) else (name, at + len(name))
        if not self.dialect.knows_export and (word := _EXPORTED.match(text, at, end)) is not None:
            return word[0], word.end()
        found = (_JS_NAME if self.dialect.colon else _NAME).match(text, at, end)
        return None if found is None else (found[0], found.end())

    def name_alone(
        self, key: str, at: int, after: int, blanks_end: int, end: int, export_at: int, *, exports: bool
    ) -> tuple[Entry | None, int]:
        """`NAME` on a line of its own: handed on from the surroundings, by some."""
        rest = self.text[blanks_end : self.bare_end(end, after)].strip("\r\n")
        if rest and not rest.startswith("#"):
            return None, end
        entry = Entry(
            key=key, value=None, at=at, line=self.line, value_at=after, value_end=after, exports=exports, export_at=export_at,
            equals_at=after, equals_end=after, comment=rest,
        )  # fmt: skip
        return entry, end

    def value(self, at: int, end: int, *, after_blank: bool) -> tuple[str, int, int, str, str, int] | int:
        """(value, where it begins, where it ends, its quote, comment, end of the piece); only the last where it is odd."""
        text, dialect = self.text, self.dialect
        line_stop = self.bare_end(end, at)
        opening = text[at : at + 1]
        if opening and opening in dialect.quotes and at < line_stop:
            closed = self.quoted(at, opening, end)
            if not isinstance(closed, int) or not dialect.colon:
                return closed
        if dialect.comment == "blank" and after_blank and opening == "#" and dialect.pads:
            return "", at, at, "", text[at:line_stop], end
        stop, comment = line_stop, ""
        if dialect.comment == "blank":
            found = _COMMENT.search(text, min(at + 1, line_stop), line_stop)
            if found is not None:
                stop, comment = found.start(), text[found.start() : line_stop]
        elif dialect.comment == "any":
            sign = text.find("#", at, line_stop)
            if sign >= 0:
                stop, comment = sign, text[sign:line_stop]
        if dialect.pads or dialect.comment != "none":
            bare = text[at:stop].rstrip() if dialect.eats_cr else text[at:stop].rstrip(" \t\f\v\n")
            return bare, at, at + len(bare), "", comment, end
        return text[at:stop], at, stop, "", comment, end

    def quoted(self, at: int, sign: str, end: int) -> tuple[str, int, int, str, str, int] | int:
        if sign in self.unclosed:
            return end
        limit = len(self.text) if self.dialect.spans_lines else self.bare_end(end, at)
        found = _CLOSING[sign].match(self.text, at + 1, limit)
        if found is None:
            if self.dialect.spans_lines:
                self.unclosed.add(sign)
            return end
        close = found.end() - 1
        line_end = self.line_end(close + 1)
        rest = self.text[close + 1 : line_end].strip("\r\n").strip()
        if rest and not rest.startswith("#"):
            return line_end
        return _unescaped(self.text[at + 1 : close], sign, self.dialect), at + 1, close, sign, rest, line_end


def _unescaped(raw: str, sign: str, dialect: Dialect) -> str:
    """What stands between quotes, as the dialect reads it."""
    if "\\" not in raw or dialect.escapes == "none":
        return raw
    if dialect.escapes == "lines":
        return raw.replace("\\n", "\n").replace("\\r", "\r") if sign == '"' else raw
    if sign == "'":
        return re.sub(r"\\([\\'])", r"\1", raw)
    return _PYTHON_ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), raw)


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
