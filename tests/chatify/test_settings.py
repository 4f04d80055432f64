"""Variables: what is right is read, what is wrong is told, all of it at once, with its column and its fix."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatify.settings import (
    KINDS,
    BackendSettings,
    BadSettings,
    ChatbotSettings,
    Common,
    Mistake,
    RedisServiceSettings,
    load,
    schema,
    secrets,
)

MISSION = {
    "BACKEND_CORS_ORIGINS": '["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"]',
    "REDIS_URL": "redis://default:pw@apn1-happy-cat-12345.upstash.io:6379",
    "DEBUG": "true",
    "ENVIRONMENT": "production",
    "HOST": "0.0.0.0",
    "LOG_LEVEL": "INFO",
    "OPENAI_API_KEY": "your_openai_api_key_here",
    "PORT": "8000",
    "PYTHON_VERSION": "3.11.9",
}


def mistakes(environ: dict[str, str], kind: type[Common] = ChatbotSettings) -> tuple[Mistake, ...]:
    with pytest.raises(BadSettings) as caught:
        load(kind, environ)
    assert all(str(mistake) in str(caught.value) for mistake in caught.value.mistakes)
    return caught.value.mistakes


def only(environ: dict[str, str], kind: type[Common] = ChatbotSettings) -> Mistake:
    found = mistakes(environ, kind)
    assert len(found) == 1, found
    return found[0]


def test_what_was_found_is_shown_as_it_was_written() -> None:
    assert only({"LOG_LEVEL": "loud"}).found == "loud"
    assert only({"HOST": "300.300.1.1"}).found == "300.300.1.1"
    assert "12345" not in only({"HOST": "1234567890123.45"}).found, "a long number may be anybody's"


def test_nothing_is_required_in_development() -> None:
    for kind in KINDS.values():
        settings = load(kind, {})
        assert settings.environment == "development"
        assert settings.bind == "127.0.0.1"


def test_the_missions_own_block_is_right() -> None:
    settings = load(ChatbotSettings, MISSION)
    assert settings.backend_cors_origins == (
        "https://blabinn-frontend.onrender.com",
        "https://blabbin-backend-rsss.onrender.com",
    )
    assert settings.bind == "0.0.0.0"
    assert settings.debug is True


def test_the_missions_own_mistake_is_found_at_column_88() -> None:
    mistake = only({**MISSION, "BACKEND_CORS_ORIGINS": MISSION["BACKEND_CORS_ORIGINS"] + " -rsss"})
    assert (mistake.variable, mistake.column) == ("BACKEND_CORS_ORIGINS", 88)
    assert mistake.problem == "json_trailing_garbage"
    assert mistake.found == "-rsss"
    assert "-rsss" in mistake.fix


def test_every_mistake_is_told_at_once_in_the_order_of_the_variables() -> None:
    found = mistakes(
        {
            "PORT": "99999", "DEBUG": "ture", "ENVIRONMENT": "Production", "HOST": "http://x", "LOG_LEVEL": "INFOO",
            "PYTHON_VERSION": "3.11", "SESSION_TTL": "0s", "RATE_LIMIT": "80a", "AI_PROVIDER": "openai",
            "REQUIRE_SIGN_IN": "true", "OPENAI_BASE_URL": "api.example.com/v1", "REDIS_URI": "redis://h",
            "BACKEND_CORS_ORIGINS": '["https://a.example/", "b.example"] x',
        }
    )  # fmt: skip
    assert [(one.variable, one.column) for one in found] == [
        ("ENVIRONMENT", 1), ("DEBUG", 1), ("HOST", 1), ("PORT", 1), ("LOG_LEVEL", 1), ("PYTHON_VERSION", 1),
        ("BACKEND_CORS_ORIGINS", 3), ("BACKEND_CORS_ORIGINS", 25), ("BACKEND_CORS_ORIGINS", 37),
        ("FIREBASE_PROJECT_ID", None), ("OPENAI_API_KEY", None), ("OPENAI_BASE_URL", 1), ("SESSION_TTL", 1),
        ("RATE_LIMIT", 3), ("REDIS_URI", None),
    ]  # fmt: skip
    for one in found:
        assert one.message
        assert one.found
        assert one.fix


@pytest.mark.parametrize(
    ("variable", "value", "problem", "column", "fix"),
    [
        ("PORT", "8000 -rsss", "bad_type", 6, "write 8000 and nothing after it"),
        ("PORT", "0", "bad_type", 1, "from 1 to 65535"),
        ("PORT", "65536", "bad_type", 1, "from 1 to 65535"),
        ("PORT", "-1", "bad_type", 1, "from 1 to 65535"),
        ("PORT", "tcp://10.0.0.1:8000", "bad_type", 1, "digits only"),
        ("PORT", '"8000"', "quotes_in_value", 1, "remove the quotes"),
        ("PORT", " '8000'", "quotes_in_value", 2, "remove the quotes"),
        ("DEBUG", "treu", "bad_type", 1, "write true"),
        ("DEBUG", "'true'", "quotes_in_value", 1, "remove the quotes"),
        ("DEBUG", "“true”", "smart_quotes", 1, "remove the quotes"),
        ("ENVIRONMENT", "prod", "bad_type", 1, "write production"),
        ("ENVIRONMENT", "PRODUCTION", "bad_type", 1, "write production"),
        ("ENVIRONMENT", "devlopment", "bad_type", 1, "write development"),
        ("ENVIRONMENT", "production # live", "bad_type", 12, "write production and nothing after it"),
        ("AI_PROVIDER", "open-ai", "bad_type", 1, "write openai"),
        ("LOG_LEVEL", "WARN", "bad_type", 1, "write WARNING"),
        ("LOG_LEVEL", "verbose", "bad_type", 1, "write"),
        ("HOST", "https://a.example", "scheme_in_host_field", 1, "0.0.0.0"),
        ("HOST", "0.0.0.0 -x", "bad_type", 8, "0.0.0.0"),
        ("HOST", "300.300.1.1", "bad_type", 1, "0.0.0.0"),
        ("HOST", "0.0.0", "bad_type", 1, "0.0.0.0"),
        ("HOST", "1.2.3.4.5", "bad_type", 1, "0.0.0.0"),
        ("PYTHON_VERSION", "3.11", "python_version_no_patch", 1, "3.11.9"),
        ("PYTHON_VERSION", "python-3.11.9", "python_version_no_patch", 1, "3.11.9"),
        ("SESSION_TTL", "24 hours", "bad_type", 4, "24h"),
        ("SESSION_TTL", "0", "bad_type", 1, "from 1 to"),
        ("REDIS_URL", "redis://host:6379 ", "trailing_whitespace", 18, "remove"),
        ("REDIS_URL", " redis://host:6379", "leading_whitespace", 1, "remove"),
        ("REDIS_URL", "redis://host:6379\n", "trailing_whitespace", 18, "remove"),
        ("REDIS_URL", "redis://host:6379 -rsss", "bad_type", 19, "keep the URL alone"),
        ("REDIS_URL", '"redis://host:6379"', "quotes_in_value", 1, "remove the quotes"),
        ("REDIS_URL", "redis-cli --tls -u redis://host:6379", "bad_type", 1, "keep the URL alone"),
        ("REDIS_URL", "host:6379", "missing_scheme", 1, "redis:// or rediss://"),
        ("REDIS_URL", "https://host.upstash.io", "wrong_scheme", 1, "redis:// or rediss://"),
        ("REDIS_URL", "redis://:pw@", "bad_type", 9, "host"),
        ("REDIS_URL", "redis://host:99999", "bad_type", 9, "65535"),
        ("OPENAI_BASE_URL", "ftp://a.example", "wrong_scheme", 1, "http:// or https://"),
        ("OPENAI_BASE_URL", "https://a.example/“v1”", "bad_type", 19, "remove"),
        ("OPENAI_API_KEY", "sk-proj-0a1b2c3d4e5f\n", "trailing_whitespace", 21, "paste the key again"),
        ("OPENAI_API_KEY", "sk-proj-0a1b\u200b2c3d4e5f", "non_ascii_char", 13, "paste the key again"),
        ("BACKEND_CORS_ORIGINS", "https://a.example", "not_json_list", 1, '["https://a.example"]'),
        ("BACKEND_CORS_ORIGINS", "https://a.example, https://b.example", "not_json_list", 1,
         '["https://a.example", "https://b.example"]'),
        ("BACKEND_CORS_ORIGINS", "['https://a.example']", "not_json_list", 2, "JSON list"),
        ("BACKEND_CORS_ORIGINS", "[“https://a.example”]", "not_json_list", 2, "JSON list"),
        ("BACKEND_CORS_ORIGINS", "'[\"https://a.example\"]'", "quotes_in_value", 1, "remove the quotes"),
        ("BACKEND_CORS_ORIGINS", '[\\"https://a.example\\"]', "not_json_list", 2, "JSON list"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example",]', "not_json_list", 22, "JSON list"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example" "https://b.example"]', "not_json_list", 22, "JSON list"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example"', "not_json_list", 21, "JSON list"),
        ("BACKEND_CORS_ORIGINS", '{"origins": []}', "not_json_list", 1, "JSON list"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example", 5]', "not_json_list", 23, "https://host"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example/"]', "trailing_slash_origin", 3, "write https://a.example"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example/app"]', "trailing_slash_origin", 3, "write https://a.example"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example:443"]', "trailing_slash_origin", 3, "write https://a.example"),
        ("BACKEND_CORS_ORIGINS", '["https://A.example"]', "trailing_slash_origin", 3, "write https://a.example"),
        ("BACKEND_CORS_ORIGINS", '["a.example"]', "missing_scheme", 3, "write https://a.example"),
        ("BACKEND_CORS_ORIGINS", '["https://*.a.example"]', "missing_scheme", 3, "scheme://host"),
        ("BACKEND_CORS_ORIGINS", '["https://a.example, https://b.example"]', "missing_scheme", 3, "scheme://host"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_name_its_column_and_its_fix(
    variable: str, value: str, problem: str, column: int, fix: str
) -> None:
    mistake = only({"BACKEND_CORS_ORIGINS": "[]", variable: value})
    assert (mistake.variable, mistake.problem, mistake.column) == (variable, problem, column)
    assert fix in mistake.fix


def test_each_bad_origin_of_a_list_has_a_column_of_its_own() -> None:
    text = '["https://ok.example", "https://a.example/", "HTTPS://b.example","c.example", "https://d.example/x?y"]'
    found = mistakes({"BACKEND_CORS_ORIGINS": text})
    assert [one.column for one in found] == [
        text.index(bad) + 1 for bad in ("https://a", "HTTPS://b", "c.example", "https://d")
    ]


def test_the_column_counts_characters_also_where_json_escapes_them() -> None:
    text = '["https://\\u0061.example", "b"]'
    assert only({"BACKEND_CORS_ORIGINS": text}).column == text.index('b"]') + 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BACKEND_CORS_ORIGINS", "[]"),
        ("BACKEND_CORS_ORIGINS", ' [ "https://a.example" , "http://localhost:3000" ] \n'),
        ("BACKEND_CORS_ORIGINS", '["*"]'),
        ("BACKEND_CORS_ORIGINS", '["http://[::1]:3000", "http://127.0.0.1"]'),
        ("REDIS_URL", "rediss://default:p%40ss@host.example:6380/2?x=y"),
        ("REDIS_URL", "redis://127.0.0.1"),
        ("PORT", " 8000 "),
        ("DEBUG", "Off"),
        ("LOG_LEVEL", "info"),
        ("HOST", "::"),
        ("HOST", "localhost"),
        ("PYTHON_VERSION", "3.15.0rc1"),
        ("SESSION_TTL", "30m"),
        ("OPENAI_API_KEY", "your openai key here"),
        ("OPENAI_API_KEY", "EMPTY"),
        ("FIREBASE_PRIVATE_KEY", '"-----BEGIN PRIVATE KEY-----\\nMIIE\\n"'),
        ("FIREBASE_CREDENTIALS", "not even JSON"),
        ("PORT", ""),
        ("REDIS_URL", "  "),
    ],
)
def test_what_can_be_meant_only_one_way_is_read(variable: str, value: str) -> None:
    load(ChatbotSettings, {variable: value})


def test_lengths_of_time_are_read_in_their_unit() -> None:
    for text, seconds in {"90": 90, "30m": 1800, "24h": 86_400, "7d": 604_800, "1.5 h": 5400}.items():
        assert load(ChatbotSettings, {"SESSION_TTL": text}).session_ttl == seconds


def test_what_production_requires_is_told_also_when_the_environment_is_misspelt() -> None:
    for written in ("production", "Production", '"production"'):
        assert "BACKEND_CORS_ORIGINS" in {one.variable for one in mistakes({"ENVIRONMENT": written})}
    assert only({"ENVIRONMENT": "production"}, RedisServiceSettings).variable == "REDIS_URL"
    assert only({"ENVIRONMENT": "production"}, BackendSettings).variable == "BACKEND_CORS_ORIGINS"
    load(ChatbotSettings, {"ENVIRONMENT": "production", "BACKEND_CORS_ORIGINS": "[]"})


@pytest.mark.parametrize("key", [None, "", "   ", "your_openai_api_key_here", "sk-...", "<your key>"])
def test_openai_without_a_usable_key_refuses_to_start(key: str | None) -> None:
    environ = {"AI_PROVIDER": "openai"} | ({} if key is None else {"OPENAI_API_KEY": key})
    assert only(environ).variable == "OPENAI_API_KEY"


def test_a_server_of_ones_own_may_take_any_key() -> None:
    load(ChatbotSettings, {"AI_PROVIDER": "openai", "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "http://10.0.0.1/v1"})


def test_sign_in_needs_a_project() -> None:
    for kind in (ChatbotSettings, BackendSettings):
        mistake = only({"REQUIRE_SIGN_IN": "true", "FIREBASE_CLIENT_EMAIL": "a@b.example"}, kind)
        assert (mistake.variable, mistake.problem) == ("FIREBASE_PROJECT_ID", "missing_key")
        for name in ("FIREBASE_PROJECT_ID", "FIREBASE_CREDENTIALS", "FIREBASE_CREDENTIALS_FILE"):
            load(kind, {"REQUIRE_SIGN_IN": "true", name: "x"})


# --- names that are almost ours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("REDIS_URI", "redis://h", "REDIS_URL"), ("redis_url", "redis://h", "REDIS_URL"),
        ("REDISURL", "redis://h", "REDIS_URL"), ("OPENAI_KEY", "x", "OPENAI_API_KEY"),
        ("OPEN_AI_API_KEY", "x", "OPENAI_API_KEY"), ("OPENAI_APIKEY", "x", "OPENAI_API_KEY"),
        ("OPENAI_API_KYE", "x", "OPENAI_API_KEY"), ("CORS_ORIGINS", '["https://a.example"]', "BACKEND_CORS_ORIGINS"),
        ("BACKEND_CORS_ORIGIN", "[]", "BACKEND_CORS_ORIGINS"), ("BACKEND_CROS_ORIGINS", "[]", "BACKEND_CORS_ORIGINS"),
        ("ENV", "production", "ENVIRONMENT"), ("ENVIROMENT", "production", "ENVIRONMENT"),
        ("LOGLEVEL", "debug", "LOG_LEVEL"), ("PYTHON_VERSON", "3.11.9", "PYTHON_VERSION"),
        ("SESSION_RESPONSES_LIMIT", "5", "SESSION_RESPONSE_LIMIT"), ("OPENAI_API_BASE", "https://a.example", "OPENAI_BASE_URL"),
    ],
)  # fmt: skip
def test_a_name_that_is_almost_ours_is_told(name: str, value: str, meant: str) -> None:
    mistake = only({name: value})
    assert (mistake.variable, mistake.problem, mistake.fix) == (name, "misspelled_key", f"rename it to {meant}")


def test_a_name_that_is_almost_ours_is_nobodys_business_when_ours_is_there() -> None:
    load(ChatbotSettings, {"REDIS_URI": "redis://a", "REDIS_URL": "redis://b", "REDIS_TLS_URL": "rediss://c:1"})


ORDINARY = {
    "a Linux shell": (
        "PATH HOME USER SHELL LANG LC_ALL TERM PWD OLDPWD SHLVL LOGNAME HOSTNAME HOSTTYPE EDITOR PAGER DISPLAY XDG_DATA_DIRS "
        "XDG_CONFIG_DIRS XDG_RUNTIME_DIR XDG_SESSION_ID XDG_SESSION_TYPE XDG_DATA_HOME DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK "
        "SSH_CONNECTION SSH_CLIENT LS_COLORS DEBIAN_FRONTEND DEBUGINFOD_URLS TMPDIR MAIL INVOCATION_ID JOURNAL_STREAM ENV "
        "BASH_ENV PYTHONPATH PYTHONUNBUFFERED PYTHONHASHSEED PYTHONDONTWRITEBYTECODE VIRTUAL_ENV CONDA_DEFAULT_ENV PYENV_VERSION "
        "PYENV_ROOT PIP_INDEX_URL GPG_KEY PYTHON_SHA256 PYTHON_PIP_VERSION PYTHON_SETUPTOOLS_VERSION http_proxy https_proxy "
        "no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY"
    ),
    "macOS": "__CF_USER_TEXT_ENCODING TERM_PROGRAM TERM_PROGRAM_VERSION COMMAND_MODE XPC_SERVICE_NAME XPC_FLAGS TERM_SESSION_ID",
    "Windows": (
        "ALLUSERSPROFILE APPDATA COMPUTERNAME COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA NUMBER_OF_PROCESSORS OS PATHEXT "
        "PROCESSOR_ARCHITECTURE PROGRAMDATA PROGRAMFILES PSMODULEPATH PUBLIC SESSIONNAME SYSTEMDRIVE SYSTEMROOT TEMP TMP "
        "USERDOMAIN USERNAME USERPROFILE WINDIR CommonProgramW6432"
    ),
    "Render": (
        "RENDER RENDER_CPU_COUNT RENDER_DISCOVERY_SERVICE RENDER_EXTERNAL_HOSTNAME RENDER_EXTERNAL_URL RENDER_GIT_BRANCH "
        "RENDER_GIT_COMMIT RENDER_GIT_REPO_SLUG RENDER_INSTANCE_ID RENDER_SERVICE_ID RENDER_SERVICE_NAME RENDER_SERVICE_TYPE "
        "RENDER_WEB_CONCURRENCY WEB_CONCURRENCY IS_PULL_REQUEST FORWARDED_ALLOW_IPS GUNICORN_CMD_ARGS NODE_VERSION POETRY_VERSION"
    ),
    "Heroku": "DYNO DYNO_RAM HEROKU_APP_NAME HEROKU_RELEASE_VERSION HEROKU_SLUG_COMMIT REDISCLOUD_URL DATABASE_URL STACK",
    "Kubernetes": (
        "KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_PORT KUBERNETES_PORT_443_TCP REDIS_PORT REDIS_SERVICE_HOST "
        "REDIS_SERVICE_PORT REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR CHATBOT_PORT CHATBOT_SERVICE_HOST CHATBOT_SERVICE_PORT "
        "BACKEND_SERVICE_HOST BACKEND_PORT POD_NAME POD_IP NODE_NAME"
    ),
    "others": (
        "OPENAI_ORG_ID OPENAI_ORGANIZATION OPENAI_PROJECT_ID OPENAI_LOG OPENAI_API_VERSION OPENAI_API_TYPE OPENAI_WEBHOOK_SECRET "
        "REDIS_HOST REDIS_PASSWORD REDIS_DB GHOST SPORT REPORT EXPORT SUPPORT_URL HOSTS PORTS DEBUGGER GITHUB_TOKEN "
        "GITHUB_ACTIONS CI NODE_ENV APP_ENV FLASK_ENV RAILS_LOG_LEVEL RUST_LOG FIREBASE_AUTH_EMULATOR_HOST "
        "GOOGLE_APPLICATION_CREDENTIALS GCLOUD_PROJECT FIREBASE_CONFIG LOG_FORMAT LOG_FILE DATABASE_DIR PGDATA API_KEY"
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", ORDINARY)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_others_set_is_no_mistake(where: str, kind: type[Common]) -> None:
    load(kind, dict.fromkeys(ORDINARY[where].split(), "/some/value"))


def test_this_very_environment_is_no_mistake() -> None:
    ours = {name.upper() for kind in KINDS.values() for name in kind.model_fields}
    load(ChatbotSettings, {name: value for name, value in os.environ.items() if name not in ours})


# --- as data, as documentation, as an exit code ------------------------------------------------------------------------


def test_the_schema_is_data() -> None:
    described = {one["name"]: one for one in schema(ChatbotSettings)}
    assert described["PORT"]["type"] == "number"
    assert (described["PORT"]["least"], described["PORT"]["most"], described["PORT"]["default"]) == (1, 65535, 8000)
    assert described["AI_PROVIDER"]["choices"] == ("auto", "openai", "offline")
    assert described["SESSION_TTL"]["type"] == "duration"
    assert described["BACKEND_CORS_ORIGINS"]["type"] == "list"
    assert described["BACKEND_CORS_ORIGINS"]["is_required_in_production"]
    assert described["DATA_DIR"]["type"] == "path"
    assert described["OPENAI_BASE_URL"]["type"] == "url"
    assert {name for name, one in described.items() if one["is_secret"]} == {
        "REDIS_URL", "OPENAI_API_KEY", "FIREBASE_CREDENTIALS", "FIREBASE_PRIVATE_KEY", "SERVICE_TOKEN",
    }  # fmt: skip
    assert all(one["help"] for kind in KINDS.values() for one in schema(kind))


def test_the_variables_of_the_mission_and_the_contract_are_all_there() -> None:
    names = {one["name"] for one in schema(ChatbotSettings)}
    assert set(MISSION) <= names
    assert {
        "DATA_DIR", "AI_PROVIDER", "OPENAI_BASE_URL", "OPENAI_MODEL", "SESSION_RESPONSE_LIMIT", "SESSION_TTL",
        "RATE_LIMIT", "PERSONALITIES_DIR", "REQUIRE_SIGN_IN", "FIREBASE_PROJECT_ID",
    } <= names  # fmt: skip
    assert {"CHATBOT_URL", "KEEPER_URL"} <= {one["name"] for one in schema(BackendSettings)}


def test_settings_can_be_made_in_code_and_stay_as_they_are() -> None:
    settings = load(ChatbotSettings, {"PORT": "9000", "REDIS_URL": "redis://a:b@host"})
    copy = ChatbotSettings.model_validate(settings.model_dump())
    assert copy == settings
    assert secrets(settings) == ("redis://a:b@host",)


def test_the_committed_page_of_variables_is_the_generated_one() -> None:
    from chatify.settings_docs import page

    committed = Path(__file__).parents[2] / "docs" / "settings.md"
    assert committed.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_bad_variables_end_the_process_with_2_and_every_mistake_on_stderr() -> None:
    environ = {"PATH": os.environ["PATH"], "PORT": "99999", "REDIS_URI": "redis://h", "PYTHONUTF8": "1"}
    if "SYSTEMROOT" in os.environ:
        environ["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    ended = subprocess.run(
        [sys.executable, "-m", "chatify", "chatbot"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "2 mistakes in the variables" in ended.stderr
    assert "PORT, column 1" in ended.stderr
    assert "rename it to REDIS_URL" in ended.stderr
    assert ended.stdout == ""
