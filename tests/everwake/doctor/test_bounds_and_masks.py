"""What is masked is not judged, what is too long is not looked into, and neither many lines nor long ones take long."""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from everwake.doctor.examination import examine, study
from everwake.doctor.fix import mend, mend_values

NAMES = (
    "REDIS_URL", "DATABASE_URL", "OPENAI_API_KEY", "SECRET_KEY", "DB_PASSWORD", "BACKEND_CORS_ORIGINS", "PORT", "DEBUG",
    "LOG_LEVEL", "NODE_VERSION", "PYTHON_VERSION", "REDIS_USER", "HOST", "TLS_PRIVATE_KEY", "GOOGLE_CREDENTIALS", "TITLE",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["***", "sk-***", '["***"]'])
def test_a_value_that_is_masked_is_not_known_and_gives_no_finding(name: str, value: str) -> None:
    context = {"platform": "render", "environment": "production"}
    assert [one for one in examine({name: value, "REDIS_HOST": "redis.example.com"}, context) if one.key == name] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "rediss://***@eu1-calm-owl-31234.upstash.io:6379"),
        ("REDIS_URL", "rediss://***:***@eu1-calm-owl-31234.upstash.io:6379"),
        ("DATABASE_URL", "postgresql://***:***@db.example.com/app"),
        ("DATABASE_URL", "postgresql://***@aws-0-eu-west-1.pooler.supabase.com:6543/postgres"),
        ("API_URL", "https://api.example.com/v1?key=***"),
    ],
)
def test_of_the_masked_part_of_an_address_nothing_is_said(name: str, value: str) -> None:
    assert examine({name: value}, {"environment": "production"}) == ()


def test_what_is_not_masked_of_an_address_is_judged_as_ever() -> None:
    found = study({"REDIS_URL": "redis://***@eu1-calm-owl-31234.upstash.io:6379"})
    assert [one.problem.problem for one in found.findings] == ["tls_required"]
    assert mend_values(found) == {"REDIS_URL": "rediss://***@eu1-calm-owl-31234.upstash.io:6379"}


def test_of_two_masked_values_nobody_knows_whether_they_are_the_same() -> None:
    text = "API_TOKEN=***\nAPI_TOKEN=***\n"
    (found,) = examine(text)
    assert (found.problem, found.is_error) == ("duplicate_key", False)
    assert mend(text, study).text == text


def test_a_key_of_many_stars_was_copied_from_where_it_is_hidden() -> None:
    (found,) = examine({"OPENAI_API_KEY": "sk-************4f9a"})
    assert found.problem == "placeholder"


def test_a_value_beyond_64_kib_is_not_looked_into_and_that_is_said() -> None:
    (found,) = examine("A=1\nNOTES=" + "x" * 70_000)
    assert (found.key, found.line, found.is_error, found.found) == ("NOTES", 2, False, "70000 characters")
    assert "64 KiB" in found.fix


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("BACKEND_CORS_ORIGINS=" + "[" * 100_000, "BACKEND_CORS_ORIGINS"),
        ("DATABASE_URL=postgres://" + "a:@" * 30_000, "DATABASE_URL"),
        ("NOTES=" + "x" * 140_000, "NOTES"),
    ],
)
def test_what_can_never_be_so_long_is_an_error(text: str, name: str) -> None:
    (found,) = examine(text)
    assert (found.key, found.problem, found.is_error) == (name, "bad_type", True)


def test_a_long_value_takes_no_memory_beyond_a_few_times_itself() -> None:
    text = "DATABASE_URL=postgres://" + "a:@" * 200_000
    tracemalloc.start()
    try:
        examine(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000 + 30 * len(text)


@pytest.mark.parametrize("line", [lambda n: "A_B=1\n", lambda n: f"A_{n}=1\n"], ids=["the same", "others"])
def test_a_file_of_many_lines_takes_time_in_proportion(line: Callable[[int], str]) -> None:
    """Quadratic, the longer of the two would take 36 times as long as the shorter."""

    def took_s(count: int) -> float:
        text = "".join(line(n) for n in range(count))
        began = time.process_time()
        examine(text, {"reader": "shell"})
        return time.process_time() - began

    # The best of several: whoever else uses this machine makes some of them slower, none quicker.
    assert min(took_s(6_000) for _ in range(3)) < 0.1 + 15 * min(took_s(1_000) for _ in range(3))
