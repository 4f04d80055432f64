"""What bytes of the chatbot, or of an edge in front of it, are taken for."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from chatify.backend.answers import (
    Answered,
    Created,
    EventStream,
    NotThere,
    Refused,
    read_answer,
    read_created,
    read_event,
    retry_after,
)

PROBLEM = CIMultiDict({"content-type": "application/problem+json; charset=utf-8"})
HTML = CIMultiDict({"content-type": "text/html", "retry-after": "5"})
REPLY = {"session_id": "s", "message_id": "m", "response": "hi", "responses_used": 1, "responses_left": 19,
         "provider": "offline"}  # fmt: skip


def test_a_reply_is_read():
    got = read_answer(200, CIMultiDict(), json.dumps(REPLY).encode(), 0)
    assert got == Answered(response="hi", responses_used=1, responses_left=19, provider="offline")


def test_a_page_of_the_edge_is_not_the_chatbots_word():
    for status in (200, 301, 404, 429, 500, 502, 503):
        assert isinstance(read_answer(status, HTML, b"<html>Service waking up</html>", 0), NotThere)
    assert read_answer(503, HTML, b"", 0) == NotThere(why="edge", status=503, retry_after_s=5)


def test_a_problem_document_is_the_chatbots_word():
    body = {"status": 503, "code": "provider_unavailable", "detail": "later"}
    headers = CIMultiDict(PROBLEM, **{"retry-after": "7"})
    got = read_answer(503, headers, json.dumps(body).encode(), 0)
    assert got == Refused(status=503, code="provider_unavailable", problem=body, retry_after_s=7)


def test_a_problem_document_of_somebody_else_is_not():
    for body in (
        b"{}",
        b'{"status":502}',
        b'{"status":503,"code":"x"}',
        b"[]",
        b"not json",
        b'{"code":5,"status":502}',
    ):
        assert read_answer(502, PROBLEM, body, 0) == NotThere(why="edge", status=502)


def test_a_session_is_read():
    body = {"session_id": "s1", "personality_id": "p", "response_limit": 20, "opening": "Hello!", "expires_at": "t"}
    got = read_created(200, CIMultiDict(), json.dumps(body).encode(), 0)
    assert got == Created(session_id="s1", personality_id="p", response_limit=20, opening="Hello!", expires_at="t")
    assert isinstance(read_created(200, CIMultiDict(), b"{}", 0), NotThere)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(REPLY)), inner, max_size=6),
    max_leaves=8,
)


@given(status=st.integers(100, 599), body=st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_become_an_outcome(status, body):
    assert isinstance(read_answer(status, PROBLEM, body, 0), Answered | Refused | NotThere)
    assert isinstance(read_created(status, PROBLEM, body, 0), Created | Refused | NotThere)


@given(st.text(max_size=60))
def test_any_retry_after_is_read_or_left(text):
    wait_s = retry_after(text, 1.7e9)
    assert wait_s is None or 0 <= wait_s <= 3600


def test_retry_after_may_be_a_date():
    assert retry_after("Tue, 14 Nov 2023 22:13:30 GMT", 1_700_000_000) == 10
    assert retry_after("Tue, 14 Nov 2000 22:13:30 GMT", 1_700_000_000) == 0


texts = st.text(alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    texts=st.lists(texts, max_size=8),
    cuts=st.lists(st.integers(0, 600), max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_events_come_out_whole_wherever_the_bytes_are_cut(texts, cuts, end):
    wire = "".join(
        f": beat{end}{end}event: delta{end}data: {json.dumps({'text': t})}{end}{end}" for t in texts
    ).encode()
    stream, seen, edges = EventStream(), [], [0, *sorted(c for c in cuts if c < len(wire)), len(wire)]
    for begin, stop in pairwise(edges):
        seen += stream.feed(wire[begin:stop])
    if end == "\r":  # the last CR may be half of a CRLF
        seen += stream.feed(b"\n")
    assert [read_event(name, data) for name, data in seen] == texts


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_garbage_in_a_stream_is_no_reply(chunks):
    stream = EventStream()
    for chunk in chunks:
        for name, data in stream.feed(chunk):
            assert not isinstance(read_event(name, data), Answered)


def test_the_end_of_a_stream_is_a_reply_or_a_problem():
    assert isinstance(read_event("done", json.dumps(REPLY)), Answered)
    assert isinstance(read_event("error", '{"status":503,"code":"provider_unavailable"}'), Refused)
    assert read_event("other", "{}") is None


def test_an_edge_that_knows_nobody_of_that_name_is_told_from_one_whose_service_sleeps():
    headers = {"Content-Type": "text/plain", "x-render-routing": "no-server"}
    assert read_answer(404, headers, b"Not Found", 0) == NotThere(why="no_such_host", status=404)
    assert read_answer(404, {**headers, "x-render-routing": "no-deploy"}, b"", 0) == NotThere(why="edge", status=404)
