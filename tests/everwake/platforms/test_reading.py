"""Render's JSON as our nouns: whatever it holds is read, or told as unreadable; nothing else comes out of it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.platforms import _reading
from everwake.platforms._reading import Unreadable

KEYS = st.sampled_from(
    [
        "id", "name", "url", "type", "plan", "suspenders", "suspended", "ownerId", "region", "serviceDetails",
        "envSpecificDetails", "startCommand", "autoDeploy", "createdAt", "commit", "status", "trigger", "timestamp",
        "details", "labels", "message", "key", "value", "cursor", "service",
    ]
)  # fmt: skip
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=12),
    max_leaves=25,
)
READERS: list[Callable[[object], object]] = [
    _reading.service, lambda it: _reading.deploy(it, "srv-1"), _reading.event, _reading.line, _reading.variable,
    _reading.instances, _reading.record, _reading.records, lambda it: _reading.page(it, "service"), _reading.moment,
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(value=ANYTHING)
def test_anything_is_read_or_unreadable(value: object) -> None:
    for reader in READERS:
        with suppress(Unreadable):
            reader(value)


@settings(max_examples=60, deadline=None)
@given(more=st.dictionaries(KEYS, ANYTHING, max_size=12))
def test_what_has_an_id_is_read_whatever_else_it_holds(more: dict[str, object]) -> None:
    assert _reading.service({**more, "id": "srv-1"}).id == "srv-1"
    assert _reading.deploy({**more, "id": "dep-1"}, "srv-1").id == "dep-1"
    assert _reading.line({**more, "id": "log-1", "timestamp": "2026-01-01T00:00:00Z"}).id == "log-1"
    assert _reading.event({**more, "id": "evt-1", "timestamp": "2026-01-01T00:00:00Z"}).id == "evt-1"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("2026-01-01T11:30:00Z", datetime(2026, 1, 1, 11, 30, tzinfo=UTC)),
        ("2026-01-01T12:30:00+01:00", datetime(2026, 1, 1, 11, 30, tzinfo=UTC)),
        ("2026-01-01T11:30:00.123456789Z", datetime(2026, 1, 1, 11, 30, 0, 123456, tzinfo=UTC)),
        ("2026-01-01T11:30:00", datetime(2026, 1, 1, 11, 30, tzinfo=UTC)),
        ("yesterday", None), ("", None), (5, None), (None, None), ("0001-01-01T00:00:00+23:59", None), ("9" * 500, None),
    ],
)  # fmt: skip
def test_times_are_read_in_utc(said: object, means: datetime | None) -> None:
    assert _reading.moment(said) == means


@pytest.mark.parametrize(
    ("url", "host", "fits"),
    [
        ("https://chatbot.onrender.com", "chatbot.onrender.com", True),
        ("https://chatbot.onrender.com", "CHATBOT.onrender.com.", True),
        ("https://chatbot.onrender.com", "https://chatbot.onrender.com/health", True),
        ("https://chatbot.onrender.com", "bot.onrender.com", False),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", True),
        ("http://127.0.0.1:9000", "127.0.0.1:9001", False),
        ("http://127.0.0.1:9000", "127.0.0.1", True),
        ("", "", False), ("nonsense://[", "nonsense://[", False),
    ],
)  # fmt: skip
def test_a_service_is_told_by_its_host_and_by_its_port_where_one_is_asked_for(url: str, host: str, fits: bool) -> None:
    assert _reading.is_at(url, host) is fits


def test_suspended_by_nobody_that_is_named_is_still_suspended() -> None:
    assert _reading.service({"id": "srv-1", "suspended": "suspended"}).suspenders == ("unknown",)
    assert _reading.service({"id": "srv-1", "suspended": "not_suspended", "suspenders": []}).suspenders == ()


def test_a_long_line_is_cut_and_its_labels_are_read() -> None:
    labels = [
        {"name": "type", "value": "build"},
        {"name": "level", "value": "error"},
        {"name": "instance", "value": "srv-1-abcde"},
        5,
    ]
    line = _reading.line({"id": "1", "timestamp": "2026-01-01T00:00:00Z", "message": "x" * 100_000, "labels": labels})
    assert (len(line.text), line.type, line.level, line.instance) == (32_768, "build", "error", "srv-1-abcde")
