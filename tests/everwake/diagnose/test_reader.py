"""The log reader: what a line says, in whatever order and dress it comes, in linear time and bounded memory."""
# ruff: noqa: E501 - lines of logs and answers are as long as they are

import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.diagnose._masking import quote
from everwake.diagnose.log._pattern import Table
from everwake.diagnose.log._prefix import peel
from everwake.diagnose.log._table import TABLE
from everwake.diagnose.log.reader import LINE_CHARS, QUOTE_CHARS, read
from everwake.diagnose.log.signs import LogRead
from everwake.diagnose.log.signs import SignKind as K


def kinds(*lines: str) -> list[K]:
    return [sign.kind for sign in read(lines, quote).signs]


@pytest.mark.parametrize(
    ("line", "text", "group"),
    [
        ("2020-12-02T17:55:32.004219+00:00 heroku[web.1]: Idling", "Idling", "web.1"),
        ("2023-08-21T12:44:48.950 app[5683d6e7b0458e] hkg [info] ready", "ready", "5683d6e7b0458e"),
        ("2026-02-17T05:19:49.000000000Z [inf]  Starting Container", "Starting Container", ""),
        ("Nov 29 02:03:39 PM  rails aborted!", "rails aborted!", ""),
        ("web-1  | exited with code 1", "exited with code 1", "web"),
        ("[1] [0] ReplyError: WRONGPASS", "ReplyError: WRONGPASS", ""),
        (
            "2026-02-24T18:18:31.7Z INFO:     Started server process [56]",
            "INFO:     Started server process [56]",
            "/56",
        ),
        ("\x1b[31mError: boom\x1b[0m", "\x1b[31mError: boom\x1b[0m", ""),
    ],
)
def test_what_stands_before_the_words_is_taken_off(line: str, text: str, group: str) -> None:
    found = peel(line)
    assert (found.text, found.group) == (text, group)


def test_colours_hide_nothing() -> None:
    assert kinds("\x1b[31m\x1b[1mModuleNotFoundError\x1b[0m: No module named 'x'") == [K.MODULE_MISSING]


def test_variables_of_a_settings_error_are_named_one_by_one() -> None:
    found = read(
        ["pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settin", "gs", "API_ID", "  Field required [type=missing, input_value={}, input_type=dict]",
         "    For further information visit https://errors.pydantic.dev/2.7/v/missing", "port", "  Input should be a valid integer [type=int_parsing, input_value='x', input_type=str]", "==> Exited with status 1"],
        quote,
    )  # fmt: skip
    assert [(sign.kind, sign.key) for sign in found.signs] == [
        (K.MISSING_VARIABLE, "API_ID"),
        (K.BAD_VARIABLE, "PORT"),
        (K.EXIT, ""),
    ]


def test_mistakes_listed_below_a_head_are_named_one_by_one() -> None:
    found = read(
        ["2026-01-01T10:00:00Z [abcd1234] 2 mistakes in the variables:", "2026-01-01T10:00:00Z [abcd1234]   BACKEND_CORS_ORIGINS, column 43: text left after the JSON list",
         "2026-01-01T10:00:00Z [abcd1234]     found: -rsss", "2026-01-01T10:00:00Z [abcd1234]     fix:   remove it", "2026-01-01T10:00:00Z [abcd1234]   REDIS_URL: is missing",
         "2026-01-01T10:00:01Z ==> Exited with status 2"],
        quote,
    )  # fmt: skip
    assert [(sign.kind, sign.key) for sign in found.signs] == [
        (K.BAD_VARIABLE, "BACKEND_CORS_ORIGINS"),
        (K.MISSING_VARIABLE, "REDIS_URL"),
        (K.EXIT, ""),
    ]
    assert (
        kinds("Missing required environment variables:", "  - DATABASE_URL", "  - JWT_SECRET")
        == [K.MISSING_VARIABLE] * 2
    )


def test_a_validation_error_of_a_request_is_not_one_of_the_settings() -> None:
    assert K.BAD_VARIABLE not in kinds("pydantic ValidationError: 1 validation error for Request")


def test_the_path_of_a_request_is_anybodys_text_and_is_not_read() -> None:
    assert kinds('1.2.3.4 - "GET /?q=out+of+memory+error HTTP/1.1" 404 Not Found') == []
    assert kinds('1.2.3.4 - "GET /error HTTP/1.1" 200 OK') == [K.SERVED]
    assert kinds('1.2.3.4 - "GET /error HTTP/1.1" 500 Internal Server Error') == [K.SERVER_ERROR]


def test_a_frame_of_a_stack_is_no_sign() -> None:
    assert (
        kinds(
            "    at parseError (/app/node_modules/redis-parser/lib/parser.js:179:12)",
            '  File "/app/redis/connection.py", line 3, in connect_error',
        )
        == []
    )


@pytest.mark.parametrize(
    ("status", "kind"), [("1", K.EXIT), ("137", K.KILLED), ("143", K.SIGTERM), ("134", K.HEAP), ("0", K.EXIT)]
)
def test_an_exit_status_tells_a_kill_from_a_stop_from_a_crash(status: str, kind: K) -> None:
    assert kinds(f"==> Exited with status {status}") == [kind]


def test_newest_first_is_turned_round_by_the_times_and_without_them_by_the_course_of_events() -> None:
    lines = [
        "2026-01-01T10:00:00Z ==> Deploying...",
        "2026-01-01T10:00:05Z Server listening on port 1",
        "2026-01-01T10:00:09Z ==> Your service is live",
    ]
    assert kinds(*lines) == kinds(*lines[::-1]) == [K.DEPLOYING, K.LISTENING, K.LIVE]
    bare = [line[21:] for line in lines]
    assert kinds(*bare) == kinds(*bare[::-1]) == [K.DEPLOYING, K.LISTENING, K.LIVE]


def test_interleaved_lines_are_put_in_the_order_of_time() -> None:
    assert kinds(
        "2026-01-01T10:00:00Z ==> Deploying...",
        "2026-01-01T10:00:09Z ==> Exited with status 1",
        "2026-01-01T10:00:04Z MemoryError",
    ) == [K.DEPLOYING, K.HEAP, K.EXIT]


def test_only_a_few_of_a_kind_are_kept_and_all_are_counted() -> None:
    found = read((f"ModuleNotFoundError: No module named 'x{n}'" for n in range(5_000)), quote)
    assert len(found.signs) < 50
    assert found.counts[K.MODULE_MISSING] == 5_000
    assert found.signs[0].n == 1
    assert found.signs[-1].n == 5_000


def test_a_secret_is_masked_wherever_a_line_is_cut() -> None:
    secret = "sk-" + "a1B2" * 12
    for pad in (0, 240, 280, 1_780, 1_795, 1_980, 3_000):
        found = read(
            [f"Error: {'x ' * (pad // 2)}Incorrect API key provided: {secret} failed", f"error {'y' * pad} {secret}"],
            quote,
        )
        shown = " ".join([*(sign.text for sign in found.signs), *found.tail])
        assert "a1B2a1B2" not in shown
        assert all(len(sign.text) <= QUOTE_CHARS for sign in found.signs)


def test_the_words_of_the_table_are_lower_case_and_every_pattern_can_be_reached() -> None:
    for pattern in TABLE:
        assert all(word == word.lower() for group in (*pattern.groups, pattern.without) for word in group)
        line = " ".join(group[0] for group in pattern.groups)
        assert TABLE.kind_of(line) is not None or any(word in line for word in pattern.without)


@given(st.lists(st.text(max_size=300), max_size=40))
@settings(max_examples=150)
def test_any_text_is_read_without_an_error_and_within_bounds(lines: list[str]) -> None:
    found = read(lines, quote)
    assert isinstance(found, LogRead)
    assert found.lines == len(lines)
    assert len(found.tail) <= 12
    assert [sign.seq for sign in found.signs] == list(range(len(found.signs)))


WORDS = st.sampled_from(["error", "ValidationError: 1 validation error for Settings", "==>", "[type=missing", "http/", '" 5', "redis", ":6379", "127.0.0.1", "refused", "KeyError: '", "2026-01-01T10:00:00Z", "heroku[", "x-render-routing:", "port", "exited with status", "9" * 400, "\x1b[", "(" * 300])  # fmt: skip


@given(st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=20))
@settings(max_examples=150)
def test_words_of_the_trade_in_any_mixture_are_read_without_an_error(lines: list[str]) -> None:
    read(lines, quote)


OPENINGS = '((("://@:= ' * 300


def hostile(size: int) -> Iterator[str]:
    made = n = 0
    while made < size:
        line = f"{n} error: connection refused status 1 {OPENINGS}{'a' * 900}!"
        made += len(line)
        n += 1
        yield line


def one_line(size: int) -> Iterator[str]:
    yield "error [" * (size // 7)


@pytest.mark.parametrize("make", [hostile, one_line])
def test_ten_megabytes_of_hostile_text_take_ten_times_as_long_as_one(make: Callable[[int], Iterator[str]]) -> None:
    def took_s(size: int) -> float:
        began = time.process_time()
        read(make(size), quote)
        return time.process_time() - began

    small = max(0.01, min(took_s(1_000_000) for _ in range(2)))
    assert took_s(10_000_000) < 25 * small


def test_memory_stays_flat_while_the_log_grows() -> None:
    def peak(size: int) -> int:
        tracemalloc.start()
        read(hostile(size), quote)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(600_000) < 1.5 * peak(200_000) + 100_000


def test_a_line_without_end_is_cut() -> None:
    found = read(["x" * (LINE_CHARS * 50) + " out of memory"], quote)
    assert found.is_cut
    assert [sign.kind for sign in found.signs] == [K.MEMORY]


@given(
    st.lists(
        st.sampled_from(
            [
                "error 111",
                "code=h10",
                "port 5432",
                "refused",
                "db",
                "p1001",
                "status 137",
                "user 42",
                "redis",
                '" 500',
                "killed",
                "x9y",
            ]
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=150)
def test_what_is_remembered_of_a_shape_hides_no_line_that_differs_in_its_digits(words: list[str]) -> None:
    """A line is told the same whether lines of its shape came before or not."""
    line = " ".join(words)
    for digit in "0123456789":
        TABLE.kind_of("".join(digit if letter.isdigit() else letter for letter in line))
    assert TABLE.kind_of(line) is Table(TABLE.patterns).kind_of(line)
