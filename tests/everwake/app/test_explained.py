"""What a look saw, in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.app import explained
from everwake.model import Failure, FailureKind, Observation, Phase

NOW = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)


def seen(**values: object) -> Observation:
    return Observation(service="a", check="http", at=NOW, took_s=0.3, **values)  # type: ignore[arg-type]


@given(kind=st.sampled_from(FailureKind), phase=st.sampled_from(Phase), detail=st.text(max_size=50))
def test_every_failure_in_every_phase_has_its_words(kind: FailureKind, phase: Phase, detail: str) -> None:
    first = next(explained.lines(seen(failure=Failure(kind=kind, phase=phase, detail=detail)), NOW))
    assert first.startswith("failed while ")
    assert detail in first


def test_a_good_look_says_status_time_and_where_it_went() -> None:
    look = seen(status=200, phases={Phase.DNS: 0.01, Phase.TLS: 0.04}, certificate_expires_at=NOW + timedelta(days=80))
    assert list(explained.lines(look, NOW)) == [
        "as expected: 200 after 300 ms", "time: looking up the name 10 ms, agreeing on TLS 40 ms",
        "certificate: ends in 80 days (2026-03-22)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("suspend", "Render suspended"), ("suspend-by-user", "its owner"), ("no-server", "bound to nothing"),
        ("hibernate-pending-wake", "waking now"), ("dynamic-hibernate-error-503", "asleep or starting"),
        ("dynamic-free-error", "free plan"), ("hibernate-rate-limited", "throttled"),
    ],
)  # fmt: skip
def test_renders_edge_is_understood(value: str, said: str) -> None:
    assert said in (explained.routing(value) or "")
    assert f"x-render-routing {value}: " in "\n".join(
        explained.lines(seen(status=503, headers={"x-render-routing": value}), NOW)
    )


def test_a_value_of_the_edge_that_nobody_saw_is_not_guessed() -> None:
    assert explained.routing("brand-new") is None
