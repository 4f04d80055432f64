"""One intention, one deploy: what it is called, and which deploy fulfils it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.model import DeployRecord
from everwake.platforms import _intentions

NOW = datetime(2026, 1, 1, 11, 30, 0, 500_000, tzinfo=UTC)
TRIGGERS = ("api", "service_updated")


def deploy(n: int, after_s: float, trigger: str = "api", status: str = "live") -> DeployRecord:
    at = NOW + timedelta(seconds=after_s)
    return DeployRecord(id=f"dep-{n}", service_id="srv-1", status=status, trigger=trigger, created_at=at)


@given(id=st.text(max_size=40), at=st.datetimes(timezones=st.just(UTC), min_value=datetime(1900, 1, 1)))  # noqa: DTZ001 - Hypothesis adds the zone
def test_an_intention_says_when_it_was_made(id: str, at: datetime) -> None:
    made = _intentions.read(_intentions.intend(id, at))
    assert made.made_at is not None
    assert timedelta(0) <= at - made.made_at < timedelta(milliseconds=1)


@given(words=st.text(max_size=60))
def test_any_words_are_an_intention(words: str) -> None:
    assert _intentions.read(words).words == words


@pytest.mark.parametrize("words", ["", "x", "a@b", "x@2026-01-01", "x@2026-01-01T11:30:00", "@", "ada@example.org"])
def test_words_without_a_time_in_a_zone_have_none(words: str) -> None:
    assert _intentions.read(words).made_at is None


_DEPLOYS = st.lists(
    st.builds(
        deploy,
        st.integers(0, 99),
        st.floats(-100, 100),
        st.sampled_from(["api", "service_updated", "manual", "new_commit", "unknown"]),
        st.sampled_from(["live", "canceled", "created", "build_failed"]),
    ),
    max_size=12,
)


@given(deploys=_DEPLOYS, others=st.sets(st.integers(0, 99).map("dep-{}".format)))
def test_only_what_came_after_and_is_nobody_elses_is_adopted(deploys: list[DeployRecord], others: set[str]) -> None:
    found = _intentions.adoptable(deploys, since=NOW, triggers=TRIGGERS, not_these=others)
    fit = [
        each
        for each in deploys
        if each.created_at and each.created_at >= NOW and each.trigger in TRIGGERS and each.id not in others
    ]
    if found is None:
        assert fit == []
        return
    assert found in fit
    assert found.status != "canceled" or all(each.status == "canceled" for each in fit)
    assert all(
        found.created_at >= each.created_at
        for each in fit
        if (each.status == "canceled") == (found.status == "canceled")
    )  # type: ignore[operator]


def test_a_time_that_was_cut_to_its_second_counts_as_the_whole_second() -> None:
    cut = DeployRecord(
        id="dep-1", service_id="srv-1", status="live", trigger="api", created_at=NOW.replace(microsecond=0)
    )
    assert _intentions.adoptable([cut], since=NOW, triggers=TRIGGERS) is cut
    assert _intentions.adoptable([deploy(1, -0.001)], since=NOW, triggers=TRIGGERS) is None
