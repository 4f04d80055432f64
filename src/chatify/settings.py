"""Variables, read once; every mistake is reported at once.

One declaration per variable (name, type, range, default, help) feeds the parser, the messages and docs/settings.md.
`load` either returns a frozen settings object or raises `BadSettings` with every mistake in it.
"""

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from chatify.masking import mask

__all__ = ["BackendSettings", "BadSettings", "ChatbotSettings", "Mistake", "RedisServiceSettings", "load", "secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong with one variable. column: 1-based, None when the whole value or its absence is the mistake."""

    variable: str
    problem: str
    message: str
    column: int | None
    found: str
    fix: str

    def __str__(self) -> str:
        where = self.variable if self.column is None else f"{self.variable}, column {self.column}"
        return f"{where}: {self.message}\n    found: {self.found}\n    fix:   {self.fix}"


class BadSettings(Exception):  # noqa: N818 - reads as what it is
    """The variables cannot be used. mistakes: every one of them, in the order of the variables."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__("\n".join([f"{count} in the variables:", *(f"  {m}" for m in mistakes)]))


def _wrong(problem: str, message: str, *, fix: str, column: int | None = None, found: str | None = None) -> Exception:
    return PydanticCustomError(
        cast(Any, problem), cast(Any, "{message}"), {"message": message, "fix": fix, "column": column, "found": found}
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        raise _wrong("quotes_in_value", "the quotes are part of the value", column=1, fix="remove the quotes around it")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = _unquoted(_text(value)).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise _wrong("bad_type", "neither true nor false", column=1, fix="write true or false")


def _whole(value: object) -> int:
    if isinstance(value, int):
        return value
    text = _unquoted(_text(value)).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        bad = re.search(r"[^0-9]", text)
        raise _wrong("bad_type", "not a whole number", column=bad.start() + 1 if bad else 1, fix="write digits only")
    return int(text)


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd]?)", _unquoted(_text(value)).strip())
    if match is None:
        raise _wrong(
            "bad_type", "not a length of time", column=1, fix="write seconds, or a number with s, m, h or d: 24h"
        )
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def _url(*schemes: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = _unquoted(_text(value))
        lead = len(text) - len(text.lstrip())
        if lead or text != text.rstrip():
            column = 1 if lead else len(text.rstrip()) + 1
            raise _wrong(
                "leading_whitespace" if lead else "trailing_whitespace",
                "blanks round the URL",
                column=column,
                fix="remove the blanks",
            )
        blank = re.search(r"\s", text)
        if blank:
            raise _wrong(
                "trailing_whitespace",
                "text after a blank in the URL",
                column=blank.start() + 1,
                fix="keep the URL alone",
            )
        wanted = " or ".join(f"{s}://" for s in schemes)
        if "://" not in text:
            raise _wrong("missing_scheme", "a URL needs its scheme", column=1, fix=f"begin with {wanted}")
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise _wrong(
                "bad_type",
                "not a URL: its host or port cannot be read",
                column=text.index("://") + 4,
                fix="write scheme://host:port/path with a port from 1 to 65535",
            ) from None
        if parts.scheme not in schemes:
            raise _wrong("wrong_scheme", f"the scheme is {parts.scheme[:20]}://", column=1, fix=f"begin with {wanted}")
        if not host:
            raise _wrong(
                "bad_type", "the URL has no host", column=text.index("://") + 4, fix="write the host after ://"
            )
        return text

    return BeforeValidator(check)


def _origin(entry: object, column: int) -> str:
    if not isinstance(entry, str):
        raise _wrong(
            "not_json_list", "an entry is not a text", column=column, fix='write each origin as "https://host"'
        )
    if entry == "*":
        return entry
    try:
        parts = urlsplit(entry)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", entry):
        raise _wrong(
            "missing_scheme",
            f"{mask(entry)} is not an origin",
            column=column,
            found=mask(entry),
            fix="write scheme://host or scheme://host:port",
        )
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        bare = f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")
        what = (
            "a trailing slash" if parts.path == "/" and not (parts.query or parts.fragment) else "more than an origin"
        )
        raise _wrong(
            "trailing_slash_origin",
            f"{mask(entry)} has {what}: a browser never sends it so",
            column=column,
            found=mask(entry),
            fix=f"write {bare}",
        )
    return entry


def _origins(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(_origin(entry, 1) for entry in value)
    text = _text(value)
    example = 'write exactly a JSON list: ["https://a.example", "https://b.example"]'
    try:
        start = len(text) - len(text.lstrip())
        found, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        raise _wrong("not_json_list", "not a JSON list", column=at + 1, fix=example) from None
    rest = text[end:]
    if rest.strip():
        column = end + len(rest) - len(rest.lstrip()) + 1
        raise _wrong(
            "json_trailing_garbage",
            "text left after the JSON value",
            column=column,
            found=mask(rest),
            fix=f"remove {mask(rest)!r}",
        )
    if not isinstance(found, list):
        raise _wrong("not_json_list", f"a JSON {type(found).__name__}, not a list", column=start + 1, fix=example)
    origins, at = [], start
    for entry in found:
        quoted = json.dumps(entry, ensure_ascii=False)
        at = max(text.find(quoted, at), at)
        origins.append(_origin(entry, at + 2))
        at += len(quoted)
    return tuple(origins)


def _version(value: object) -> str:
    text = _unquoted(_text(value)).strip()
    if not re.fullmatch(r"3\.[0-9]{1,2}\.[0-9]{1,2}", text):
        raise _wrong(
            "python_version_no_patch", "not a full Python version", column=1, fix="write all three parts: 3.11.9"
        )
    return text


def _level(value: object) -> str:
    text = _unquoted(_text(value)).strip().upper()
    known = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if text not in known:
        near = difflib.get_close_matches(text, known, 1, 0.4)
        raise _wrong("bad_type", "not a log level", column=1, fix=f"write {near[0] if near else 'INFO'}")
    return text


def _host(value: object) -> str:
    text = _unquoted(_text(value)).strip()
    if "://" in text or "/" in text:
        raise _wrong("scheme_in_host_field", "a host is a bare name or address", column=1, fix="write 0.0.0.0")
    if re.search(r"[\s\"']", text):
        raise _wrong("bad_type", "a blank or quote in the host", column=1, fix="write 0.0.0.0")
    return text


def _secret(value: object) -> str:
    text = _text(value.get_secret_value() if isinstance(value, SecretStr) else value)
    return _unquoted(text)


Boolean = Annotated[bool, BeforeValidator(_boolean)]
Whole = Annotated[int, BeforeValidator(_whole)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
HttpUrl = Annotated[str, _url("http", "https")]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
RedisUrl = Annotated[SecretStr, _url("redis", "rediss")]
Environment = Literal["development", "staging", "production"]


class Common(BaseModel):
    """What all three services read."""

    model_config = ConfigDict(
        alias_generator=str.upper,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )
    required_in_production: ClassVar[tuple[str, ...]] = ("BACKEND_CORS_ORIGINS",)

    environment: Environment = Field("development", description="development, staging or production")
    debug: Boolean = Field(False, description="more log; never part of an answer")
    host: Annotated[str, BeforeValidator(_host)] | None = Field(
        None, description="address to listen on; default 127.0.0.1, in production 0.0.0.0"
    )
    port: Whole = Field(8000, ge=1, le=65535, description="port to listen on")
    log_level: Annotated[str, BeforeValidator(_level)] = Field(
        "INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
    python_version: Annotated[str, BeforeValidator(_version)] | None = Field(
        None, description="read by the platform, checked here: three parts, such as 3.11.9"
    )
    backend_cors_origins: Origins = Field(
        (), description="exactly a JSON list of origins whose pages may call; required in production"
    )
    redis_url: RedisUrl | None = Field(None, description="redis:// or rediss:// (TLS)")
    data_dir: Path = Field(Path(".everwake"), description="folder of the SQLite file where Redis is not configured")

    @property
    def bind(self) -> str:
        """The address to listen on."""
        return self.host or ("127.0.0.1" if self.environment == "development" else "0.0.0.0")  # noqa: S104


class ChatbotSettings(Common):
    """Variables of `chatify chatbot`."""

    ai_provider: Literal["auto", "openai", "offline"] = Field(
        "auto", description="auto: openai when OPENAI_API_KEY is usable, else offline"
    )
    openai_api_key: Secret | None = Field(None, description="key of the OpenAI-compatible server")
    openai_base_url: HttpUrl | None = Field(
        None, description="another OpenAI-compatible server, such as http://host/v1"
    )
    openai_model: str = Field("gpt-4o-mini", min_length=1, max_length=200, description="model to ask")
    openai_timeout: Seconds = Field(60.0, ge=1, le=600, description="longest wait for a reply")
    session_response_limit: Whole = Field(20, ge=1, le=10_000, description="replies a session may have")
    session_ttl: Seconds = Field(
        86_400.0, ge=1, le=31_536_000, description="life of a session: seconds, or 30m, 24h, 7d"
    )
    rate_limit: Whole = Field(
        300, ge=1, le=1_000_000, description="messages a user may send at once; refills in a minute"
    )
    max_replies: Whole = Field(256, ge=1, le=10_000, description="replies in the making at once; more get 503")
    body_limit: Whole = Field(65_536, ge=1024, le=10_485_760, description="bytes of a request body")
    personalities_dir: Path | None = Field(
        None, description="folder of your own personalities, on top of the built-in ones"
    )
    require_sign_in: Boolean = Field(False, description="ask for a Firebase ID token")
    firebase_project_id: str | None = Field(None, description="project whose ID tokens are accepted")
    firebase_credentials: Secret | None = Field(None, description="service account as JSON text")
    firebase_credentials_file: Path | None = Field(None, description="the same as a file")
    service_token: Secret | None = Field(None, description="shared with the backend: it may act for any signed-in user")


class BackendSettings(Common):
    """Variables of `chatify backend`."""

    port: Whole = Field(8001, ge=1, le=65535, description="port to listen on")
    chatbot_url: HttpUrl = Field("http://127.0.0.1:8000", description="where the chatbot answers")
    keeper_url: HttpUrl | None = Field(None, description="where Everwake's keeper answers")
    reply_wait: Seconds = Field(10.0, ge=0, le=60, description="longest a POST waits for its reply before 202")
    rate_limit: Whole = Field(
        300, ge=1, le=1_000_000, description="messages a user may send at once; refills in a minute"
    )
    body_limit: Whole = Field(65_536, ge=1024, le=10_485_760, description="bytes of a request body")
    require_sign_in: Boolean = Field(False, description="ask for a Firebase ID token")
    firebase_project_id: str | None = Field(None, description="project whose ID tokens are accepted")
    firebase_credentials: Secret | None = Field(None, description="service account as JSON text")
    firebase_credentials_file: Path | None = Field(None, description="the same as a file")
    service_token: Secret | None = Field(
        None, description="shared with the chatbot: it lets the backend act for its users"
    )


class RedisServiceSettings(Common):
    """Variables of `chatify redis-service`."""

    required_in_production: ClassVar[tuple[str, ...]] = ("REDIS_URL",)

    port: Whole = Field(8002, ge=1, le=65535, description="port to listen on")


S = TypeVar("S", bound=Common)

# Names people write when they mean one of ours (seen in real deployments; difflib finds the plain misspellings).
_MEANT = {
    "REDIS_URI": "REDIS_URL", "REDIS_TLS_URL": "REDIS_URL", "REDISCLOUD_URL": "REDIS_URL",
    "CORS_ORIGINS": "BACKEND_CORS_ORIGINS", "ALLOWED_ORIGINS": "BACKEND_CORS_ORIGINS",
    "OPENAI_KEY": "OPENAI_API_KEY", "OPENAI_TOKEN": "OPENAI_API_KEY", "OPENAI_API_BASE": "OPENAI_BASE_URL",
    "LOGLEVEL": "LOG_LEVEL", "ENV": "ENVIRONMENT",
}  # fmt: skip


def _names(kind: type[Common]) -> dict[str, str]:
    return {name.upper(): name for name in kind.model_fields}


def _look_alikes(kind: type[Common], environ: Mapping[str, str]) -> list[Mistake]:
    """Variables that nobody reads but whose names are all but those of variables that are absent."""
    names, mistakes = _names(kind), []
    every = {n.upper() for k in (ChatbotSettings, BackendSettings, RedisServiceSettings) for n in k.model_fields}
    absent = [name for name in names if not environ.get(name)]
    for name in sorted(environ):
        if name in every or not environ[name]:
            continue
        meant = _MEANT.get(name) or next(iter(difflib.get_close_matches(name, absent, 1, 0.88)), None)
        if meant in absent:
            mistakes.append(
                Mistake(variable=name, problem="misspelled_key", message=f"nobody reads it; {meant} is absent",
                        column=None, found=name, fix=f"rename it to {meant}")
            )  # fmt: skip
    return mistakes


def _mistake(kind: type[Common], error: ErrorDetails, environ: Mapping[str, str]) -> Mistake:
    name = str(error["loc"][0]).upper() if error["loc"] else kind.__name__
    context = error.get("ctx", {})
    field = kind.model_fields.get(name.lower())
    is_secret = field is not None and "Secret" in str(field.annotation)
    value = environ.get(name, "")
    found = context.get("found") or (mask(value) if value else "nothing")
    if is_secret and value:
        found = f"{len(value)} characters, not shown"
    if "fix" in context:
        return Mistake(variable=name, problem=error["type"], message=context["message"], column=context["column"],
                       found=found, fix=context["fix"])  # fmt: skip
    help_text = (field.description if field else None) or "see docs/settings.md"
    return Mistake(variable=name, problem="bad_type", message=error["msg"], column=1 if value else None,
                   found=found, fix=help_text)  # fmt: skip


def _missing(kind: type[Common], environ: Mapping[str, str]) -> list[Mistake]:
    if environ.get("ENVIRONMENT") != "production":
        return []
    return [
        Mistake(variable=name, problem="missing_key", message="required in production", column=None, found="nothing",
                fix=f"set it: {kind.model_fields[name.lower()].description}")
        for name in kind.required_in_production
        if not environ.get(name)
    ]  # fmt: skip


def load(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read `kind` from `environ` (default: the process's).

    Raises:
        BadSettings: with every mistake; a secret's value is in none of them.
    """
    environ = os.environ if environ is None else environ
    values = {name: environ[name] for name in _names(kind) if environ.get(name)}
    mistakes = _missing(kind, environ) + _look_alikes(kind, environ)
    settings: S | None = None
    try:
        settings = kind.model_validate(values)
    except ValidationError as failure:
        mistakes = [_mistake(kind, error, environ) for error in failure.errors(include_url=False)] + mistakes
    if settings is None or mistakes:
        order = list(_names(kind))
        raise BadSettings(
            tuple(sorted(mistakes, key=lambda m: order.index(m.variable) if m.variable in order else 999))
        )
    return settings


def secrets(settings: Common) -> tuple[str, ...]:
    """The values that no log line may hold."""
    held = (getattr(settings, name) for name in type(settings).model_fields)
    return tuple(value.get_secret_value() for value in held if isinstance(value, SecretStr))
