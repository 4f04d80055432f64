"""The protocol, pure: what a message says, when a line ends, how patient a client is."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.keepalive.protocol import (
    MESSAGE_LIMIT_BYTES,
    MISSED,
    MISSED_LIMIT,
    Do,
    Kind,
    Line,
    Message,
    Pings,
    Watch,
    bearer_subprotocol,
    client_ping,
    parse,
    pong,
    timestamp,
)

MOMENTS = st.floats(min_value=0, max_value=4e9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        | st.fixed_dictionaries({"type": st.sampled_from(["ping", "pong", "pang"])}, optional={"seq": inner})
    ),
    max_leaves=12,
)


def test_a_ping_is_exactly_the_agreed_text() -> None:
    assert Pings("chatify_chatbot").frame(0, datetime(2026, 1, 1, tzinfo=UTC).timestamp()) == (
        '{"type":"ping","timestamp":"2026-01-01T00:00:00.000Z","status":"alive","service":"chatify_chatbot","seq":0}'
    )


@given(at=MOMENTS)
def test_a_timestamp_always_has_milliseconds_and_z(at: float) -> None:
    shown = timestamp(at)
    assert len(shown) == len("2026-01-01T00:00:00.000Z")
    assert shown.endswith("Z")
    assert abs(datetime.fromisoformat(shown).timestamp() - at) <= 0.001


@given(service=st.text(), status=st.text(), seq=st.integers(min_value=0), at=MOMENTS)
def test_whatever_a_service_is_called_its_ping_is_json(service: str, status: str, seq: int, at: float) -> None:
    said = json.loads(Pings(service, status).frame(seq, at))
    assert said == {"type": "ping", "timestamp": timestamp(at), "status": status, "service": service, "seq": seq}


@given(seq=st.none() | st.integers(min_value=-(10**30), max_value=10**30), at=MOMENTS)
def test_a_pong_carries_the_seq_of_its_ping_and_none_where_there_was_none(seq: int | None, at: float) -> None:
    said = json.loads(pong(seq, at))
    assert said == {"type": "pong", "timestamp": timestamp(at)} | ({} if seq is None else {"seq": seq})
    assert parse(pong(seq, at)) == Message(Kind.PONG, seq)


@given(seq=st.integers(min_value=0, max_value=10**30), at=MOMENTS)
def test_both_sides_understand_what_both_sides_send(seq: int, at: float) -> None:
    assert parse(Pings("x").frame(seq, at)) == Message(Kind.PING, seq)
    assert parse(client_ping(seq, at)) == Message(Kind.PING, seq)


@given(data=st.text() | st.binary() | JSON.map(json.dumps))
def test_no_message_is_fatal(data: str | bytes) -> None:
    assert isinstance(parse(data), Message)


@given(text=st.sampled_from(["", " ", "\n\t\r", "\u00a0", "x", ",", "{}"]), found=JSON, after=st.booleans())
def test_what_json_takes_is_taken_and_nothing_more(text: str, found: object, after: bool) -> None:
    data = json.dumps(found) + text if after else text + json.dumps(found)
    try:
        read = json.loads(data)
    except ValueError:
        read = None
    is_ours = isinstance(read, dict) and read.get("type") in ("ping", "pong")
    assert (parse(data).kind in (Kind.PING, Kind.PONG)) == is_ours


@given(found=JSON)
def test_only_an_object_of_type_ping_or_pong_counts(found: object) -> None:
    kind = parse(json.dumps(found)).kind
    is_ours = isinstance(found, dict) and found.get("type") in ("ping", "pong")
    assert (kind in (Kind.PING, Kind.PONG)) == is_ours


@pytest.mark.parametrize(
    "data",
    [
        "",
        "null",
        "[]",
        "{",
        '{"type":"hello"}',
        '{"type":["ping"]}',
        "[" * 4000,
        "9" * 4096,
        '{"type":1e999}',
        "\ud800",
    ],
)
def test_bad_json_and_unknown_types_are_ignored(data: str) -> None:
    assert parse(data).kind is Kind.IGNORED


@pytest.mark.parametrize("seq", ["true", "1.0", '"7"', "null", "[]", "1e400"])
def test_a_seq_that_is_no_whole_number_counts_as_none(seq: str) -> None:
    assert parse(f'{{"type":"ping","seq":{seq}}}') == Message(Kind.PING, None)


def test_a_binary_frame_is_ignored_even_when_it_holds_a_pong() -> None:
    assert parse(pong(1, 0).encode()).kind is Kind.IGNORED


@pytest.mark.parametrize("filling", ["x", "é", "\U0001f600"])
def test_the_limit_is_counted_in_bytes(filling: str) -> None:
    fits = filling * (MESSAGE_LIMIT_BYTES // len(filling.encode()))
    assert parse(fits).kind is Kind.IGNORED
    assert parse(fits + filling).kind is Kind.TOO_BIG
    assert parse(fits.encode()).kind is Kind.IGNORED
    assert parse((fits + filling).encode()).kind is Kind.TOO_BIG


def test_a_silent_client_is_kept_for_ever_and_its_pings_are_numbered_from_zero() -> None:
    line = Line()
    assert [line.beat() for _ in range(1000)] == list(range(1000))


@given(moves=st.lists(st.sampled_from(["beat", "pong", "ping", "junk"]), max_size=80))
def test_a_line_ends_only_when_it_once_answered_and_then_missed_two_beats(moves: list[str]) -> None:
    line, answered, silent, sent = Line(), False, 0, 0
    for move in moves:
        if move == "beat":
            did = line.beat()
            if answered and silent >= MISSED_LIMIT:
                assert did is MISSED
                return
            assert did == sent
            sent, silent = sent + 1, silent + 1
        else:
            line.hear({"pong": Message(Kind.PONG), "ping": Message(Kind.PING)}.get(move, Message(Kind.IGNORED)))
            answered |= move == "pong"
            silent = 0 if move in ("pong", "ping") else silent


def silent(watch: Watch, times: int) -> list[tuple[float, Do | None]]:
    """What it asks for while nothing is heard, and when."""
    did = []
    for _ in range(times):
        at = watch.due
        assert watch.tick(math.nextafter(at, 0)) is None
        did.append((at, watch.tick(at)))
    return did


def test_a_client_beats_by_itself_counts_what_stays_unanswered_and_hangs_up_after_two() -> None:
    asked = silent(Watch(30.0, 2.0, 100.0), 4)
    assert asked == [(130.0, Do.BEAT), (145.0, Do.MISSED), (160.0, Do.BEAT), (175.0, Do.HANG_UP)]


def test_a_beat_of_the_servers_that_is_late_is_asked_for_and_then_the_client_beats_by_itself() -> None:
    watch = Watch(30.0, 2.0, 70.0)
    watch.heard(70.0, is_ping=True)
    watch.heard(100.0, is_ping=True)
    asked = silent(watch, 4)
    assert asked == [(132.0, Do.PING), (145.0, Do.MISSED), (160.0, Do.BEAT), (175.0, Do.HANG_UP)]


def a_while(watch: Watch, until_s: float, pings: list[float], answers_s: float) -> list[float]:
    """When the client sends something in by itself, to a server that pings at those times and answers what it is asked."""
    sent, coming = [], sorted((at, True) for at in pings)
    while True:
        at, is_ping = coming[0] if coming else (math.inf, False)
        if min(at, watch.due) > until_s:
            return sent
        if at <= watch.due:
            coming.pop(0)
            watch.heard(at, is_ping=is_ping)
        else:
            now = watch.due
            assert watch.tick(now) in (Do.BEAT, Do.PING), "a server that answers is neither missed nor hung up on"
            sent.append(now)
            coming = sorted([*coming, (now + answers_s, False)])


@given(
    every_s=st.floats(1.0, 14.0),
    rarer=st.floats(2.0, 50.0),
    answers_s=st.floats(0.001, 0.4),
    first_s=st.floats(0.0, 1.0),
)
def test_a_client_beats_every_period_without_drift_where_the_server_pings_more_rarely(
    every_s: float, rarer: float, answers_s: float, first_s: float
) -> None:
    pings = [first_s + n * every_s * rarer for n in range(1 + int(60 / rarer))]
    sent = a_while(Watch(every_s, 2.0, 0.0), 60.5 * every_s, pings, answers_s)
    assert sent == pytest.approx([n * every_s for n in range(1, 61)])


@given(every_s=st.floats(1.0, 300.0), held_up_s=st.lists(st.floats(0.0, 0.2), min_size=20, max_size=20))
def test_a_client_lets_a_server_beat_that_pings_as_often(every_s: float, held_up_s: list[float]) -> None:
    pings = [n * every_s + late for n, late in enumerate(held_up_s)]
    sent = a_while(Watch(every_s, 2.0, 0.0), 19.1 * every_s, pings, 0.01)
    assert sent in ([], [pytest.approx(every_s)]), "one at the most, before it is known how often the server pings"


@given(
    every_s=st.floats(0.01, 1000),
    late_s=st.floats(0, 1000),
    gaps=st.lists(st.floats(0.001, 5000) | st.none(), max_size=60),
)
def test_a_client_never_hangs_up_on_whom_it_heard_within_two_periods(
    every_s: float, late_s: float, gaps: list[float | None]
) -> None:
    watch, now, heard_at = Watch(every_s, late_s, 0.0), 0.0, 0.0
    for gap in gaps:
        if gap is None:
            assert watch.heard(now) == now - heard_at
            heard_at = now
        else:
            now = max(now, watch.due) if gap > every_s else now + gap
            if watch.tick(now) is Do.HANG_UP:
                assert now - heard_at >= 2 * every_s
                return
        assert watch.due > heard_at


@given(token=st.text(min_size=1, alphabet=st.characters(codec="utf-8")))
def test_any_token_fits_into_a_subprotocol(token: str) -> None:
    shown = bearer_subprotocol(token)
    assert shown.isascii()
    assert shown.replace(".", "").isalnum()
    assert bytes.fromhex(shown.removeprefix("bearer.")).decode() == token
