"""What makes an answer good, and which expectation is named when it is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.checks._expect import at_path, judge, needs_body
from everwake.fleet.schema import Expect
from everwake.model import FailureKind, Phase

HEALTHY = b'{"status":"healthy","redis":{"latency_ms":3},"items":[{"name":"a"}],"on":true,"none":null}'


def kind(expect: Expect, status: int = 200, body: bytes = HEALTHY, took_s: float = 0.1, **headers: str) -> Any:
    failure = judge(expect, status, headers, body, took_s)
    assert failure is None or failure.phase is Phase.EXPECT
    return failure and failure.kind


@pytest.mark.parametrize(
    ("status", "is_good"), [(199, False), (200, True), (204, True), (299, True), (301, False), (503, False)]
)
def test_any_2xx_is_good_when_nothing_else_was_asked_for(status: int, is_good: bool) -> None:
    assert kind(Expect(), status) is (None if is_good else FailureKind.STATUS)


def test_only_the_listed_statuses_are_good() -> None:
    assert kind(Expect(status=(401, 403)), 401) is None
    assert kind(Expect(status=(401, 403)), 200) is FailureKind.STATUS


@pytest.mark.parametrize(
    ("path", "value", "is_good"),
    [
        ("status", "healthy", True),
        ("status", "sick", False),
        ("redis.latency_ms", 3, True),
        ("redis.latency_ms", 3.0, True),
        ("items.0.name", "a", True),
        ("items.1.name", "a", False),
        ("on", True, True),
        ("on", 1, False),
        ("none", None, True),
        ("absent", None, False),
        ("status.deeper", "x", False),
        ("items", [{"name": "a"}], True),
        ("redis", {"latency_ms": 3}, True),
    ],
)
def test_json_values_are_found_by_dotted_path_and_compared_as_json(path: str, value: object, is_good: bool) -> None:
    assert kind(Expect(json={path: value})) is (None if is_good else FailureKind.JSON)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff\xfe", b"9" * 100_000, b'{"status":'])
def test_a_body_that_is_no_json_is_a_failure_and_never_a_crash(body: bytes) -> None:
    assert kind(Expect(json={"status": "healthy"}), body=body) is FailureKind.JSON


def test_headers_must_be_there_and_equal() -> None:
    assert kind(Expect(headers={"X-Kind": "a"}), **{"x-kind": "a"}) is None
    assert kind(Expect(headers={"x-kind": "a"}), **{"x-kind": "b"}) is FailureKind.HEADER
    assert kind(Expect(headers={"x-kind": "a"})) is FailureKind.HEADER


def test_text_must_stand_in_the_body() -> None:
    assert kind(Expect(text="healthy")) is None
    assert kind(Expect(text="Healthy")) is FailureKind.TEXT


def test_what_is_slow_is_slow_only_when_all_else_is_right() -> None:
    slow = Expect(below_ms=50, text="healthy")
    assert kind(slow) is FailureKind.SLOW
    assert kind(slow, took_s=0.049) is None
    assert kind(slow, status=503) is FailureKind.STATUS


def test_the_body_is_kept_whole_only_for_those_who_read_it() -> None:
    assert needs_body(Expect(text=""))
    assert needs_body(Expect(json={"a": 1}))
    assert not needs_body(Expect(status=(200,), headers={"a": "b"}, below_ms=1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(document=JSON, path=st.text(max_size=12), wanted=JSON)
def test_whatever_stands_in_the_body_is_judged_without_a_crash(document: object, path: str, wanted: object) -> None:
    failure = judge(Expect(json={path: wanted}), 200, {}, json.dumps(document).encode(), 0.0)
    assert failure is None or (failure.kind is FailureKind.JSON and len(failure.detail) <= 300)


@given(
    document=st.dictionaries(st.text(st.characters(exclude_characters="."), max_size=4), JSON, min_size=1, max_size=4)
)
def test_every_value_is_equal_to_itself_at_its_own_path(document: dict[str, object]) -> None:
    for key, value in document.items():
        assert at_path(document, key) == value
        assert judge(Expect(json={key: value}), 200, {}, json.dumps(document).encode(), 0.0) is None


def test_a_value_that_is_a_secret_by_its_name_is_not_told() -> None:
    failure = judge(Expect(json={"session.token": "open-sesame"}), 200, {}, b'{"session":{"token":"hunter2"}}', 0.1)
    assert failure is not None
    assert failure.detail == "session.token is ***, expected ***"
    failure = judge(Expect(headers={"x-api-key": "open-sesame"}), 200, {"x-api-key": "hunter2"}, b"", 0.1)
    assert failure is not None
    assert failure.detail == "header x-api-key is ***, expected ***"


def test_a_wrong_status_names_the_door_of_the_platform_that_gave_it() -> None:
    failure = judge(Expect(), 503, {"x-render-routing": "suspend-by-user"}, b"", 0.1)
    assert failure is not None
    assert failure.detail == "status 503, expected 2xx; x-render-routing: suspend-by-user"
