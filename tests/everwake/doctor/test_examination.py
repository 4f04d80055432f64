"""What the doctor says of whole sets: the mission's own block, the incident, healthy sets, and texts nobody wrote."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.doctor.examination import examine, study
from everwake.doctor.problems import PROBLEMS
from everwake.model import VariableProblem

ORIGINS = '["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"]'
MISSION = {
    "BACKEND_CORS_ORIGINS": ORIGINS,
    "REDIS_URL": "redis://default:pw9x@apn1-happy-cat-12345.upstash.io:6379",
    "DEBUG": "true",
    "ENVIRONMENT": "production",
    "HOST": "0.0.0.0",
    "LOG_LEVEL": "INFO",
    "OPENAI_API_KEY": "your_openai_api_key_here",
    "PORT": "8000",
    "PYTHON_VERSION": "3.11.9",
}
CONTEXTS = [
    {},
    {"platform": "render"},
    {"reader": "pydantic-settings", "platform": "render", "environment": "production"},
]


def said(problems: tuple[VariableProblem, ...]) -> list[tuple[str, str]]:
    return [(one.key, one.problem) for one in problems]


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_missions_own_block_has_one_error_and_two_pieces_of_advice(context: dict[str, str]) -> None:
    found = examine(MISSION, context)
    assert said(tuple(one for one in found if one.is_error)) == [("REDIS_URL", "tls_required")]
    advice = said(tuple(one for one in found if not one.is_error))
    assert advice == [("DEBUG", "debug_in_production"), ("OPENAI_API_KEY", "placeholder")]


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_same_block_mended_is_healthy(context: dict[str, str]) -> None:
    healthy = {
        **MISSION,
        "REDIS_URL": MISSION["REDIS_URL"].replace("redis:", "rediss:"),
        "DEBUG": "false",
        "OPENAI_API_KEY": "sk-4f9a1c77b2e0",
    }
    assert examine(healthy, context) == ()
    text = "".join(f"{key}={value}\n" for key, value in healthy.items())
    assert examine(text, context) == ()


def test_the_incidents_leftover_is_found_at_column_88_with_its_one_answer() -> None:
    (found,) = examine({"BACKEND_CORS_ORIGINS": ORIGINS + " -rsss"})
    assert (found.problem, found.column, found.found, found.is_error) == ("json_trailing_garbage", 88, "-rsss", True)
    assert found.value == ORIGINS


def test_in_a_file_the_line_is_told_and_the_column_stays_the_values() -> None:
    text = f"# mine\nPORT=8000\nBACKEND_CORS_ORIGINS={ORIGINS} -rsss\n"
    (finding,) = study(text).findings
    assert (finding.problem.line, finding.problem.column, finding.file_column) == (
        3,
        88,
        88 + len("BACKEND_CORS_ORIGINS="),
    )


def test_what_quotes_hide_is_found_too_each_with_its_place() -> None:
    found = examine({"REDIS_URL": '"redis://default:pw9x@eu1-calm-owl-31234.upstash.io:6379" '})
    assert {(one.problem, one.column) for one in found} == {
        ("trailing_whitespace", 58),
        ("quotes_in_value", 1),
        ("tls_required", 2),
    }
    assert {one.value for one in found} == {"rediss://default:pw9x@eu1-calm-owl-31234.upstash.io:6379"}


def test_a_problem_without_one_safe_answer_offers_none() -> None:
    (found,) = examine({"MAIL_API_KEY": "your_key_here"})
    assert found.value is None


def test_unknown_surroundings_are_not_production() -> None:
    assert examine({"REDIS_URL": "redis://localhost:6379", "DEBUG": "true", "HOST": "127.0.0.1"}) == ()


def test_what_the_variables_say_of_their_environment_counts() -> None:
    variables = {"REDIS_URL": "redis://localhost:6379", "NODE_ENV": "production"}
    assert said(examine(variables)) == [("REDIS_URL", "localhost_in_production")]
    assert examine(variables, {"environment": "development"}) == ()


def test_the_same_quotes_are_right_for_one_reader_and_wrong_for_another() -> None:
    text = 'TITLE="My shop"\n'
    assert examine(text, {"reader": "dotenv"}) == ()
    assert said(examine(text, {"reader": "docker run --env-file"})) == [("TITLE", "quotes_in_value")]


def test_the_service_of_the_context_stands_on_every_problem() -> None:
    (found,) = examine({"PORT": "eighty"}, {"service": "chatbot"})
    assert found.service == "chatbot"


TEXT = st.text(max_size=80)
NAMES = st.sampled_from([
    "REDIS_URL", "DATABASE_URL", "BACKEND_CORS_ORIGINS", "PORT", "HOST", "DB_HOST", "DEBUG", "OPENAI_API_KEY", "TLS_KEY", "PATH",
    "ALLOWED_HOSTS", "API_URL", "NODE_OPTIONS", "PYTHON_VERSION", "GOOGLE_APPLICATION_CREDENTIALS", "WS_URL", "X",
])  # fmt: skip
PIECES = st.lists(
    st.sampled_from([
        "://", "@", ":", "/", "#", "?", "[", "]", '"', "'", "\\", "\\n", "\n", "redis", "https", "postgresql", "a", "%",
        "{", "}", "<", ">",
        "-----BEGIN X-----", "-----END X-----", "localhost", ".upstash.io", ".onrender.com", "undefined", " ", ",", "“", "true",
    ]),
    max_size=14,
).map("".join)  # fmt: skip
CONTEXT = st.fixed_dictionaries(
    {},
    optional={
        "reader": st.sampled_from(
            ["docker run --env-file", "dotenv", "shell", "comma list", "pydantic-settings", "SQLAlchemy", ""]
        ),
        "platform": st.sampled_from(["render", "railway", "docker compose", "huggingface"]),
        "environment": st.sampled_from(["production", "development"]),
        "type": st.sampled_from(["list[str]", "bool", "int", "dict"]),
        "siblings": st.just({"chatbot": "https://shop-bot.onrender.com", "redis": "https://shop-redis.onrender.com/x"}),
        "expected_keys": st.just(["REDIS_URL", "SECRET_KEY"]),
        "target_port": st.just(8000),
    },
)


@given(
    variables=st.dictionaries(st.one_of(NAMES, TEXT.filter(bool)), st.one_of(PIECES, TEXT), max_size=4), context=CONTEXT
)
def test_no_set_of_variables_is_too_odd_to_examine(variables: dict[str, str], context: dict[str, object]) -> None:
    for found in examine(variables, context):
        assert found.problem in PROBLEMS
        assert len(found.found) <= 120
        assert found.column is None or found.column >= 1
        assert found.fix


@given(
    text=st.one_of(PIECES, TEXT, st.lists(st.tuples(NAMES, PIECES).map("=".join), max_size=5).map("\n".join)),
    context=CONTEXT,
)
def test_no_text_is_too_odd_to_examine(text: str, context: dict[str, object]) -> None:
    for found in examine(text, context):
        assert found.line is None or 1 <= found.line <= text.count("\n") + text.count("\r") + 1


@pytest.mark.parametrize(
    "context", [{"expected_keys": 3, "siblings": 7, "reader": None, "memory": []}, {"declared": {"PORT": "no-such"}}]
)
def test_a_context_of_no_use_is_passed_over(context: dict[str, object]) -> None:
    assert examine({"PORT": "8000"}, context) == ()


@pytest.mark.parametrize(
    "piece", [" ", "a ", "localhost ", '"', "\\", "a:b@", "://", " #", "“", "\u200b", "-----BEGIN A-----\n", "?a=b&"]
)
def test_hostile_values_take_time_in_proportion(piece: str) -> None:
    """Quadratic, the longer of the two would take 16 times as long as the shorter, and minutes at a megabyte."""
    for key in ("CORS_ORIGINS", "REDIS_URL", "OPENAI_API_KEY", "TLS_PRIVATE_KEY", "X"):
        took = []
        for size in (5_000, 20_000):
            value = f"redis://a{piece * (size // len(piece))}b"
            rounds = []
            for _ in range(2):
                began = time.process_time()
                examine({key: value}, {"environment": "production"})
                rounds.append(time.process_time() - began)
            took.append(min(rounds))
        assert took[1] < 0.15 + 9 * took[0]


def test_a_quote_that_swallows_what_follows_names_it() -> None:
    (one,) = study('A="x\nB=1\nexport C=2\n# D=3\nF="y"\nG=1\n').findings
    assert (one.problem.key, one.problem.line) == ("A", 1)
    assert one.problem.fix == "close the quote: up to the next one it swallows B, C, F"


def test_a_quote_that_swallows_a_broken_secret_shows_none_of_it() -> None:
    secret = "q8Zr1vTn4mXw" * 3
    (one,) = study(f'A="x\n{secret}=\nF="y"\n').findings
    assert secret not in repr(one.problem)


def test_a_version_that_there_is_and_the_platform_has_not_is_not_called_one_that_does_not_exist() -> None:
    (one,) = study({"PYTHON_VERSION": "2.7.18"}, {"platform": "render"}).findings
    assert one.problem.problem == "version_not_offered"
    assert "exist" not in PROBLEMS["version_not_offered"][1] + one.problem.fix
