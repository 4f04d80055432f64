"""A right scheme is never called a slip of another: no finding, no edit, whatever it resembles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.doctor.examination import examine, study
from everwake.doctor.fix import mend
from everwake.doctor.known_schemes import KNOWN_SCHEMES, is_known_scheme

NAMES = ("MAIL_URL", "STREAM_URL", "BROKER_URL", "SERVICE_URL", "SUPPORT_URL", "UPLOAD_URI", "SENTRY_DSN", "X")


@given(
    scheme=st.sampled_from(sorted(KNOWN_SCHEMES)), name=st.sampled_from(NAMES), reader=st.sampled_from(["", "docker"])
)
def test_a_scheme_that_somebody_speaks_gives_no_finding_and_no_edit(scheme: str, name: str, reader: str) -> None:
    text = f"{name}={scheme}://app:pw1x@files.example.com/in\n"
    assert examine(text, {"reader": reader}) == ()
    assert mend(text, lambda now: study(now, {"reader": reader})).text == text


@given(
    scheme=st.sampled_from(sorted(KNOWN_SCHEMES)),
    name=st.sampled_from(["API_URL", "REDIS_URL", "DATABASE_URL", "MONGO_URL", "AMQP_URL", "WS_URL", "CORS_ORIGINS"]),
)
def test_where_another_is_wanted_it_may_be_called_wrong_but_is_never_replaced(scheme: str, name: str) -> None:
    text = f"{name}={scheme}://files.example.com\n"
    assert mend(text, study).text == text


@pytest.mark.parametrize(
    ("name", "written", "mended"),
    [
        ("API_URL", "htp", "http"),
        ("STORE_URL", "htps", "https"),
        ("REDIS_URL", "reddis", "redis"),
        ("DATABASE_URL", "postgress", "postgres"),
        ("WS_URL", "wsss", "wss"),
    ],
)
def test_one_slip_of_what_belongs_there_is_mended(name: str, written: str, mended: str) -> None:
    (found,) = examine({name: f"{written}://api.example.com/app"})
    assert (found.problem, found.value) == ("wrong_scheme", f"{mended}://api.example.com/app")


def test_a_slip_between_two_is_told_and_left() -> None:
    (found,) = examine({"API_URL": "httsp://api.example.com"})
    assert (found.problem, found.value, found.fix) == ("wrong_scheme", None, "write http:// or https://")


def test_a_scheme_of_two_words_is_known_by_either() -> None:
    assert all(is_known_scheme(each) for each in ("git+ssh", "SMTP+TLS", "vendor+https"))
    assert not any(is_known_scheme(each) for each in ("htp", "reddis"))
