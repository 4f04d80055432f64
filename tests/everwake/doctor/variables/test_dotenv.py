"""The parse loses nothing, reads as python-dotenv does where it says so, and takes hostile text in linear time."""

import io
import time

import pytest
from dotenv.parser import parse_stream
from hypothesis import given
from hypothesis import strategies as st

from everwake.doctor.variables.dialects import DIALECTS, PLAIN, dialect_of
from everwake.doctor.variables.dotenv import Document, Entry, parse

SIGNS = st.text(alphabet="AB='\"`# \t\n\r\\x:$-e\u00a0\ufeff\x0b\u2028", max_size=40)
WORDS = st.lists(
    st.sampled_from(
        ["A", "B", "=", "'", '"', "`", "#", " ", "\n", "\r\n", "\\", "export ", "\\n", "x y", "'A'", "\ufeff"]
    ),
    max_size=16,
).map("".join)
TEXTS = st.one_of(SIGNS, WORDS, st.text(max_size=60))


def only(text: str, reader: str = "") -> Entry:
    (entry,) = parse(text, DIALECTS[reader] if reader else PLAIN).entries
    return entry


def joined(document: Document) -> str:
    return "".join(piece.text for piece in document.pieces)


@given(text=TEXTS)
def test_the_pieces_are_the_text_again_whatever_the_text_and_the_reader(text: str) -> None:
    for dialect in (PLAIN, *DIALECTS.values()):
        document = parse(text, dialect)
        assert joined(document) == text
        at = 0
        for piece in document.pieces:
            assert (piece.at, bool(piece.text)) == (at, True)
            at += len(piece.text)


@given(text=TEXTS)
def test_an_entry_that_says_it_is_plain_stands_in_the_text_as_it_is_read(text: str) -> None:
    for dialect in DIALECTS.values():
        for entry in parse(text, dialect).entries:
            assert not entry.is_plain or entry.value is None or text[entry.value_at : entry.value_end] == entry.value


@given(text=TEXTS)
def test_python_dotenv_reads_the_same(text: str) -> None:
    theirs = [(one.key, one.value) for one in parse_stream(io.StringIO(text, newline="")) if one.key is not None]
    assert [(one.key, one.value) for one in parse(text, DIALECTS["python-dotenv"]).entries] == theirs


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        ("docker", 'A="x y"\n', '"x y"'),
        ("docker", "A=x # y\n", "x # y"),
        ("docker", "A=x\r\n", "x"),
        ("dotenv", "A=x#y\n", "x"),
        ("dotenv", 'A="x\\ny\\"z"\n', 'x\ny\\"z'),
        ("dotenv", "A='x\\ny'\n", "x\\ny"),
        ("dotenv", 'A=`it\'s "so"`\n', 'it\'s "so"'),
        ("dotenv", "A: x\n", "x"),
        ("python-dotenv", "A=x#y # z\n", "x#y"),
        ("python-dotenv", 'A="x\ny"\n', "x\ny"),
        ("python-dotenv", "A= # nothing\n", ""),
        ("shell", "A=x\r\n", "x\r"),
        ("compose", "export A=x\n", "x"),
        ("naive", "A= x\n", " x"),
    ],
)
def test_each_reader_has_its_own_understanding(reader: str, text: str, value: str) -> None:
    assert only(text, reader).value == value


def test_places_are_those_of_the_file() -> None:
    text = "# keys\n\nexport  KEY = 'a b' # why\n"
    entry = only(text)
    assert (entry.key, entry.value, entry.line, entry.quote, entry.comment) == ("KEY", "a b", 3, "'", "# why")
    assert text[entry.at : entry.at + 3] == "KEY"
    assert text[entry.value_at : entry.value_end] == "a b"
    assert entry.exports
    assert entry.padded


def test_a_key_of_many_lines_is_one_entry_and_the_next_line_counts_on() -> None:
    text = 'PEM="-----BEGIN X-----\nTUlJ\n-----END X-----\n"\nPORT=1\n'
    pem, port = parse(text).entries
    assert pem.value == "-----BEGIN X-----\nTUlJ\n-----END X-----\n"
    assert port.line == 5


def test_the_last_of_two_assignments_counts() -> None:
    assert parse("A=1\nA=2\n").values == {"A": "2"}


def test_lines_that_assign_nothing_are_told_apart() -> None:
    kinds = [piece.kind for piece in parse("\ufeff# c\n\nA=1\nno assignment here\nB\n").pieces]
    assert kinds == ["bom", "comment", "blank", "entry", "odd", "entry"]


@pytest.mark.parametrize("piece", ["A='", 'A="', "A=`\\", "'", "A=x # ", "\r", "export ", "=", "# #", '\\"'])
def test_hostile_text_takes_time_in_proportion(piece: str) -> None:
    """An unclosed quote in every line would be looked for to the end each time: a second took minutes before."""
    for text in (piece * 20_000, f"{piece}\n" * 20_000):
        began = time.perf_counter()
        assert joined(parse(text, DIALECTS["python-dotenv"])) == text
        assert joined(parse(text, DIALECTS["dotenv"])) == text
        assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("docker run --env-file", "docker run --env-file"),
        ("docker compose", "docker compose"),
        ("pydantic-settings", "python-dotenv"),
        ("Next.js dotenv", "dotenv (js)"),
        ("source .env", "a shell's source"),
        ("vlucas/phpdotenv", "phpdotenv"),
        ("naive split on =", "a reader that splits at ="),
    ],
)
def test_a_reader_is_known_by_what_people_call_it(said: str, title: str) -> None:
    found = dialect_of(said)
    assert found is not None
    assert found.title == title


@pytest.mark.parametrize("said", [None, "", "os.environ", "comma list", "SQLAlchemy>=1.4"])
def test_who_is_handed_values_reads_no_file(said: str | None) -> None:
    assert dialect_of(said) is None
