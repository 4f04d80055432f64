"""The file itself: what one reader takes as meant, and another does not."""

import re
from collections import defaultdict
from collections.abc import Iterator

from everwake.doctor.case import Case, Edit, Example, Hit, Rule
from everwake.doctor.showing import shown_key
from everwake.doctor.variables.dialects import dialect_of
from everwake.doctor.variables.dotenv import BOM, Document, Entry, Piece

__all__ = ["RULE", "plain_key"]

MOST_NAMED = 8
_SWALLOWED = re.compile(r"[\r\n][^\S\r\n]*(?:export[^\S\r\n]+)?([A-Za-z_][\w.-]{0,100})[^\S\r\n]*=")
_LINE_END = re.compile(r"[\r\n]")


def plain_key(key: str) -> str:
    """A name as it was meant: without the mark at the file's beginning, the word export and blanks."""
    return re.sub(r"^export\s+", "", key.removeprefix(BOM).strip()).strip("'\"") or key


def look_at_file(document: Document, case: Case) -> Iterator[Hit]:
    """Signs, line ends, names and lines of the text."""
    is_known = dialect_of(case.context.reader) is not None
    yield from _mark(document, is_known)
    yield from _line_ends(document, is_known)
    for entry in document.entries:
        yield from _around_equals(document, entry, is_known)
        yield from _hash(document, entry, is_known)
        yield from _words(document, entry, is_known)
    yield from _twice(document)
    yield from _no_assignment(document)


def _mark(document: Document, is_known: bool) -> Iterator[Hit]:
    # python-dotenv drops the mark since 1.2 only.
    is_old = document.dialect.title == "python-dotenv"
    if not document.text.startswith(BOM) or (is_known and document.dialect.eats_bom and not is_old):
        return
    first = next((entry for entry in document.entries if entry.line == 1), None)
    yield Hit(
        problem="bom", key=plain_key(first.key) if first and first.value is not None else "*",
        fix="save the file as UTF-8 without BOM: the first name is read with the mark in it",
        at=0, end=1, edits=((0, 1, ""),), line=1, found="U+FEFF",
    )  # fmt: skip


def _line_ends(document: Document, is_known: bool) -> Iterator[Hit]:
    text = document.text
    if "\r\n" not in text or (is_known and document.dialect.eats_cr):
        return
    at = text.index("\r\n")
    edits = tuple((found.start(), found.start() + 1, "") for found in re.finditer(r"\r\n", text))
    yield Hit(
        problem="crlf", key="*", fix="save the file with LF line ends: with CRLF every value ends with a carriage return",
        at=at, end=at + 1,
        edits=edits, line=text.count("\n", 0, at) + 1, found="CRLF", is_error=is_known,
    )  # fmt: skip


def _around_equals(document: Document, entry: Entry, is_known: bool) -> Iterator[Hit]:
    text, key = document.text, plain_key(entry.key)
    if (
        is_known
        and not document.dialect.knows_export
        and (word := re.match(r"\s*\ufeff?(export\s+)(?=[^\s=])", text[entry.at : entry.at + 40 + len(entry.key)]))
    ):
        at = entry.at + word.start(1)
        yield Hit(
            problem="export_prefix",
            key=key,
            fix=f"drop the word export: {document.dialect.title} takes it for a part of the name",
            at=at,
            end=at + 6,
            edits=((at, at + len(word[1]), ""),),
            line=entry.line,
            found="export",
        )
    equals = text.find("=", entry.at, entry.value_at)
    if equals < 0 or entry.value is None or (is_known and document.dialect.pads):
        return
    before = len(text[entry.at : equals]) - len(text[entry.at : equals].rstrip())
    behind = re.compile(r"[^\S\r\n]*").match(text, equals + 1)
    after = len(behind[0]) if behind and text[behind.end() : behind.end() + 1] not in ("", "\r", "\n", "#") else 0
    if before or after:
        edits: tuple[Edit, ...] = ((equals - before, equals + 1 + after, "="),)
        yield Hit(
            problem="spaces_around_equals", key=key, fix="write no blanks round the =", at=equals - before,
            end=equals + 1 + after, edits=edits,
            line=entry.line, found="blanks round =", is_error=is_known,
        )  # fmt: skip


def _hash(document: Document, entry: Entry, is_known: bool) -> Iterator[Hit]:
    if entry.quote or (not entry.value and not entry.comment):
        return
    text, end = document.text, _line_stop(document.text, entry.value_at)
    raw = text[entry.value_at : end]
    at = re.search(r"(?<!\s)#(?=\S)", raw)
    if at is None or (at.start() == 0 and (entry.padded or not re.match(r"#[^\s#]", raw))):
        return
    cuts = document.dialect.comment == "any"
    if is_known and not cuts:
        return
    if not is_known and re.fullmatch(r"https?://[^\s@#]*+#[\w/?=&.!-]++\s*", raw):
        return  # a place within a page
    sign = entry.value_at + at.start()
    whole = raw.rstrip()
    edits: tuple[Edit, ...] = (
        ((entry.value_at, entry.value_at + len(whole), f'"{whole}"'),) if not re.search(r"[\"\\$`]|\s#", whole) else ()
    )
    who = document.dialect.title if is_known else "dotenv (js) and others"
    yield Hit(
        problem="hash_in_unquoted_value", key=plain_key(entry.key),
        fix=f"put the value in quotes: {who} take what follows the # for a comment", at=sign,
        end=sign + 1, edits=edits, line=entry.line, found="#", is_error=is_known,
    )  # fmt: skip


def _line_stop(text: str, at: int) -> int:
    # Not text.find: it would look through the whole of the text for the sign that it does not have, entry by entry.
    end = _LINE_END.search(text, at)
    return end.start() if end is not None else len(text)


def _words(document: Document, entry: Entry, is_known: bool) -> Iterator[Hit]:
    if not is_known or document.dialect.spaces or entry.quote or not entry.value:
        return
    end = _line_stop(document.text, entry.value_at)
    raw = document.text[entry.value_at : end]
    raw = re.split(r"(?<=\s)#", raw, maxsplit=1)[0].rstrip()
    is_shell = "shell" in document.dialect.title
    outside = (
        re.sub(r"\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|`[^`]*+`|\$\([^()]*+\)", lambda found: "_" * len(found[0]), raw)
        if is_shell
        else raw
    )
    odd = re.search(r"(?<=\S)(\s++)(?=\S)", outside)
    if odd is None and is_shell:  # a sign of the shell, or quotes that it takes out of JSON
        odd = re.search(r"([&;|<>()])", outside) or re.match(r"[\[{][^\"]*(\")", raw)
    if odd is None or (is_shell and re.match(r"\s", document.text[entry.value_at : entry.value_at + 1])):
        return
    at = entry.value_at + odd.start(1)
    edits: tuple[Edit, ...] = (
        ((entry.value_at, entry.value_at + len(raw), f"'{raw}'"),)
        if "'" not in raw and "$" not in raw and "\\" not in raw
        else ()
    )
    why = (
        f"{document.dialect.title} stops at the blank" if odd[1].isspace() else "this sign means something to the shell"
    )
    yield Hit(
        problem="unquoted_spaces", key=plain_key(entry.key),
        fix=f"put the whole value in single quotes: {why}",
        at=at, end=at + len(odd[1]), edits=edits, line=entry.line, found="a blank" if odd[1].isspace() else odd[1],
    )  # fmt: skip


def _twice(document: Document) -> Iterator[Hit]:
    by_key: dict[str, list[Entry]] = defaultdict(list)
    for entry in document.entries:
        if entry.value is not None:
            by_key[plain_key(entry.key)].append(entry)
    places = {id(piece.entry): n for n, piece in enumerate(document.pieces) if piece.entry is not None}
    for key, entries in by_key.items():
        if len(entries) > 1:
            first, last = entries[0], entries[-1]
            same = len({entry.value for entry in entries}) == 1
            # Of a value that was broken over two lines, the line that goes would leave the other half to its neighbour.
            hidden = any(
                "***" in (entry.value or "") for entry in entries
            )  # masked: whether they are the same is not known
            whole = same and not hidden and not any(_is_broken(document, places[id(entry)]) for entry in entries)
            edits = tuple(_line_of(document.pieces[places[id(entry)]]) for entry in entries[1:]) if whole else ()
            fix = (
                f"keep one: line {first.line} has it too"
                if hidden
                else f"keep one: line {first.line} says the same"
                if same
                else f"keep one: line {first.line} says otherwise, and most readers take the last"
            )
            yield Hit(
                problem="duplicate_key",
                key=key,
                fix=fix,
                at=last.at,
                end=last.at + len(last.key),
                edits=edits,
                line=last.line,
                found=key,
                is_error=not same and not hidden,
            )


def _is_broken(document: Document, place: int) -> bool:
    """Whether a line that is no assignment follows."""
    return place + 1 < len(document.pieces) and document.pieces[place + 1].kind == "odd"


def _line_of(piece: Piece) -> Edit:
    return (piece.at, piece.at + len(piece.text), "")


def _no_assignment(document: Document) -> Iterator[Hit]:
    before: Entry | None = None
    for piece in document.pieces:
        if piece.kind == "odd" or (
            piece.entry is not None
            and piece.entry.value is None
            and not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,60}|[a-z_]{1,30}", piece.entry.key)
        ):
            hit = _odd_line(document, piece, before)
            if hit is not None:
                yield hit
            if hit is None or hit.problem == "trailing_newline":
                continue
        before = piece.entry


def _odd_line(document: Document, piece: Piece, before: Entry | None) -> Hit | None:
    line = piece.text.strip()
    if line.startswith(BOM):
        return None  # that is said of the mark
    at = piece.at + len(piece.text) - len(piece.text.lstrip())
    unclosed = re.match(r"(?:export\s+)?([A-Za-z_][\w.-]{0,100})\s*=\s*([\"'`])", line)
    if unclosed is not None:
        sign = at + unclosed.start(2)
        closed = line.count(unclosed[2]) > 1 and "\n" not in line
        fix = (
            "nothing but a comment may follow the closing quote"
            if closed
            else "close the quote, or remove it: everything after it is lost"
        )
        if swallowed := [shown_key(name) for name in _SWALLOWED.findall(line)]:
            listed = ", ".join(swallowed[:MOST_NAMED]) + (" and others" if len(swallowed) > MOST_NAMED else "")
            fix = f"close the quote: up to the next one it swallows {listed}"
        problem = "bad_type" if closed else "quotes_in_value"
        return Hit(
            problem=problem,
            key=unclosed[1],
            fix=fix,
            at=sign,
            end=sign + 1,
            line=piece.line,
            found=f"a single {unclosed[2]}" if not closed else "text after the quote",
            is_error=True,
        )
    if (
        before is not None
        and before.value
        and not (before.quote or before.comment)
        and re.fullmatch(r"[\w+/=.:@%~-]{6,}", line)
    ):
        if "-----BEGIN" in before.value or "PRIVATE KEY" in before.value:
            return None  # rules/pem.py has said it
        end = _line_stop(document.text, before.value_at)
        joined: tuple[Edit, ...] = ((end, at, ""),) if document.text[before.value_at : end].strip() and end < at else ()
        return Hit(
            problem="trailing_newline",
            key=plain_key(before.key),
            fix="join the two lines: the value was broken when it was pasted",
            at=end,
            end=end + 1,
            edits=joined,
            line=before.line,
            found="a line end",
            is_error=True,
        )
    if "-----END" in line or (before is not None and before.value and "-----BEGIN" in before.value):
        return None
    named = re.match(r"([A-Za-z_][\w.-]{0,100})\s*(:=|:|\s)\s*(?=\S)", line)
    key = named[1] if named is not None else "*"
    fix = f"write {key}=..." if named is not None else "write NAME=value, or make it a comment with #"
    return Hit(
        problem="bad_type",
        key=key,
        fix=fix,
        at=at,
        end=at + 1,
        line=piece.line,
        found="a line that is no assignment",
        is_error=named is not None and named[1].isupper(),
    )


RULE = Rule(
    name="reading",
    about="What stands in the file and is read otherwise by its reader: line ends, blanks, quotes, comments, names.",
    problems=(
        "bom",
        "crlf",
        "export_prefix",
        "spaces_around_equals",
        "hash_in_unquoted_value",
        "unquoted_spaces",
        "duplicate_key",
        "trailing_newline",
        "quotes_in_value",
        "bad_type",
    ),
    look_at_file=look_at_file,
    order=70,
    examples=(
        Example(("MODE bom",), text="\ufeffMODE=fast\n", context={"reader": "bash"}),
        Example(("* crlf",), text="MODE=fast\r\nSIZE=2\r\n", context={"reader": "source .env"}),
        Example(("MODE export_prefix",), text="export MODE=fast\n", context={"reader": "docker --env-file"}),
        Example(("MODE spaces_around_equals",), text="MODE = fast\n", context={"reader": "docker run --env-file"}),
        Example(("MODE spaces_around_equals",), text="MODE= fast\n", context={"reader": "shell"}),
        Example(("PIN hash_in_unquoted_value",), text="PIN=a#b\n", context={"reader": "vite"}),
        Example(("TITLE unquoted_spaces",), text="TITLE=My shop\n", context={"reader": "bash source"}),
        Example(("TITLE unquoted_spaces",), text="TITLE=My shop\n", context={"reader": "Laravel"}),
        Example(("TAGS unquoted_spaces",), text='TAGS=["a","b"]\n', context={"reader": "bash"}),
        Example(("MODE duplicate_key",), text="MODE=fast\nSIZE=2\nMODE=slow\n"),
        Example(("MAIL_API_KEY trailing_newline",), text="MAIL_API_KEY=re_abc123\ndef456ghi\nSIZE=2\n"),
        Example(("TITLE quotes_in_value",), text='TITLE="My shop\nSIZE=2\n'),
        Example(("SIZE bad_type",), text="MODE=fast\nSIZE: 2\n"),
        Example((), text="# a comment\n\nMODE=fast\nexport SIZE=2\n"),
        Example((), text="MODE=fast\r\nTITLE=My shop # here\r\n", context={"reader": "python-dotenv"}),
        Example((), text="export MODE=fast\nTITLE='My shop'\n", context={"reader": "shell source"}),
        Example((), text='KEY="line one\nline two"\nSIZE=2\n', context={"reader": "dotenv"}),
        Example((), text="CALLBACK_URL=https://app.example.com/done#top\nDOCS_URL=https://example.com/#/start\n"),
        Example((), text="PIN=a#b\nMODE = fast\n", context={"reader": "python-dotenv"}),
    ),
)
