"""render.yaml: places are the file's, references are held against it, and hostile YAML is told and not run."""

import pytest

from everwake.doctor import blueprint, telling
from everwake.doctor.context import Context
from everwake.doctor.fix import mend

HEALTHY = """\
services:
  - type: web
    name: chatbot
    runtime: python
    plan: free
    healthCheckPath: /health
    envVars:
      - key: PYTHON_VERSION
        value: 3.11.9
      - key: ENVIRONMENT
        value: production
      - key: OPENAI_API_KEY
        sync: false
      - key: SECRET_KEY
        generateValue: true
      - key: DATABASE_URL
        fromDatabase: {name: main, property: connectionString}
      - key: PORT
        value: "10000"
      - key: BACKEND_CORS_ORIGINS
        value: '["https://shop.example.com"]'
      - fromGroup: shared
databases:
  - name: main
envVarGroups:
  - name: shared
    envVars:
      - key: LOG_LEVEL
        value: info
"""


def found(text: str, context: Context | None = None) -> list[tuple[str, str, int | None, int | None]]:
    return [
        (one.problem.key, one.problem.problem, one.problem.line, one.file_column)
        for one in blueprint.study(text, context).findings
    ]


def web(*lines: str) -> str:
    head = "services:\n  - type: web\n    name: bot\n    plan: free\n    envVars:\n"
    return head + "".join(f"      {line}\n" for line in lines)


def test_a_healthy_blueprint_has_no_findings() -> None:
    assert found(HEALTHY) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("- key: REDIS_URL", '  value: "redis://a-b.upstash.io:6379"'), ("REDIS_URL", "tls_required", 7, 17)),
        (("- key: PYTHON_VERSION", "  value: 3.10"), ("PYTHON_VERSION", "python_version_no_patch", 7, 16)),
        (("- key: JWT_SECRET", "  value: q8Zr1vTn4mXw"), ("JWT_SECRET", "secret_in_repository", 7, 16)),
        (("- key: NODE_OPTIONS", "  value: --max-old-space-size=4096"), ("NODE_OPTIONS", "heap_over_memory", 7, 37)),
        (("- key: RATE", "  value: 1.10"), ("RATE", "bad_type", 7, 16)),
        (("- key: DB", "  fromDatabase: {name: mian}"), ("DB", "wrong_sibling_host", 7, 30)),
        (("- key: EMPTY",), ("EMPTY", "empty_value", 6, 14)),
        (("- key: A", "  value: x", "- key: A", "  value: y"), ("A", "duplicate_key", 8, 14)),
        (
            ("- key: CORS_ORIGINS", "  value: '[\"https://a.example.com\"] x'"),
            ("CORS_ORIGINS", "json_trailing_garbage", 7, 43),
        ),
    ],
)
def test_what_is_wrong_has_its_line_and_column(lines: tuple[str, ...], expected: tuple[str, str, int, int]) -> None:
    assert found(web(*lines) + "databases:\n  - name: main\n") == [expected]


def test_a_health_path_that_is_a_url_is_told() -> None:
    text = HEALTHY.replace("/health", "https://chatbot.onrender.com/health")
    assert found(text) == [("healthCheckPath", "scheme_in_host_field", 6, 22)]


def test_urls_are_held_against_the_fleet() -> None:
    text = web("- key: CHATBOT_URL", "  value: https://shop-bot-ww0z.onrender.com")
    context = Context(siblings={"chatbot": "https://shop-bot.onrender.com"})
    assert [one[:2] for one in found(text, context)] == [("CHATBOT_URL", "wrong_sibling_host")]


def test_projects_and_their_environments_are_looked_into() -> None:
    inner = web("- key: PYTHON_VERSION", "  value: 3.10").replace("\n", "\n        ").rstrip()
    text = f"projects:\n  - name: p\n    environments:\n      - name: e\n        {inner}\n"
    assert [one[:2] for one in found(text)] == [("PYTHON_VERSION", "python_version_no_patch")]


@pytest.mark.parametrize(
    "text",
    [
        "services: [",
        "a: b: c",
        "\t- x",
        "services:\n  - &a [*a]\n",
        "- " * 3000,
        "'",
        "services: 3",
        "",
        "- 1",
        "services:\n  - 3\n  - envVars: {a: 1}\n",
    ],
)
def test_odd_yaml_is_told_or_passed_over_and_never_raises(text: str) -> None:
    assert {one[:2] for one in found(text)} <= {("*", "bad_type")}


def test_python_objects_are_not_made() -> None:
    assert found("services: !!python/object/apply:os.system ['false']\n") == []


def test_mending_rewrites_the_value_and_keeps_every_other_byte() -> None:
    text = "# mine\n" + web(
        "- key: REDIS_URL  # cache", '  value: "redis://a-b.upstash.io:6379"   # plain', "- key: RATE", "  value: 1.10"
    )
    done = mend(text, blueprint.study)
    assert done.text == text.replace("redis://", "rediss://").replace("1.10", '"1.10"')
    assert done.study.findings == ()


def test_a_blueprint_is_told_from_a_file_of_variables() -> None:
    assert blueprint.looks_like_one("# x\nservices:\n  - type: web\n")
    assert not blueprint.looks_like_one("SERVICES=web\nPORT=1\n")


def test_a_column_of_the_file_is_not_told_as_one_of_the_value() -> None:
    twice = blueprint.study(web("- key: TITLE", "  value: a", "- key: TITLE", "  value: b"))
    said = "\n".join(line for _, line in telling.lines("render.yaml", twice.findings))
    assert "render.yaml:8:14: TITLE" in said
    assert "found: TITLE\n" in said
    assert "of the value" not in said
    (inner,) = blueprint.study(web("- key: JWT_SECRET", '  value: "q8Zr1vTn4mXw "')).findings[:1]
    assert inner.file_column != inner.problem.column


FLEET = """\
services:
  - type: web
    name: api
    plan: freee
    startCommand: uvicorn app:app --host 127.0.0.1 --port $PORT
    healthCheckPath: health
    envVars:
      - fromGroup: nogroup
      - fromGroup: sharde
      - key: CHATBOT_URL
        value: https://chatbot-old.onrender.com
      - key: BACKEND_CORS_ORIGINS
        value: '["https://chatbto.onrender.com", "https://chatbot-x7f2.onrender.com", "https://pages.onrender.com"]'
  - type: web
    name: chatbot
    plan: free
    startCommand: gunicorn app --bind=0.0.0.0:$PORT
    healthCheckPath: /health
    envVars:
      - key: API_URL
        value: https://api.onrender.com
envVarGroups:
  - name: shared
    envVars:
      - key: LOG_LEVEL
        value: info
"""


def test_what_stands_beside_the_variables_and_hosts_that_no_service_has_are_told() -> None:
    told = [
        (one.problem.key, one.problem.problem, one.problem.line, one.file_column, one.problem.is_error)
        for one in blueprint.study(FLEET).findings
    ]
    assert told == [
        ("plan", "bad_type", 4, 11, True),
        ("startCommand", "bind_loopback", 5, 42, True),
        ("healthCheckPath", "bad_type", 6, 22, True),
        ("fromGroup", "wrong_key_name", 8, 20, False),
        ("fromGroup", "wrong_key_name", 9, 20, True),
        ("CHATBOT_URL", "wrong_sibling_host", 11, 24, False),
        ("BACKEND_CORS_ORIGINS", "wrong_sibling_host", 13, 27, False),
    ]


def test_a_health_path_without_its_slash_is_mended() -> None:
    assert "healthCheckPath: /health" in mend(FLEET, blueprint.study).text.splitlines()[5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A: 1\n", "something else"), ("- a\n", "a list"), ("", "an empty file"),
        ("# only a comment\n", "an empty file"), ("word\n", "without any names"),
        ("services:\n  web:\n    image: x\n", "a compose file"), ("apiVersion: v1\nkind: Pod\n", "Kubernetes"),
        (HEALTHY, ""), ("services: []\n", ""), ("a: [\n", ""),
    ],
)  # fmt: skip
def test_what_a_file_is_that_is_no_blueprint(text: str, said: str) -> None:
    assert said in blueprint.what_else(text)
    assert bool(said) == bool(blueprint.what_else(text))
