"""Variables, read once; every mistake is reported at once.

One declaration per variable (name, type, range, default, help) feeds the parser, the messages and docs/settings.md.
`load` either returns a frozen settings object or raises `BadSettings` with every mistake in it.
"""

import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from chatify.look_alikes import look_alikes
from chatify.mistakes import BadSettings, Mistake, unshown, word_shown
from chatify.placeholders import is_placeholder
from chatify.reading import (
    Boolean,
    Host,
    HttpUrl,
    Key,
    Level,
    Name,
    Origins,
    PythonVersion,
    RedisUrl,
    Seconds,
    Whole,
    choice,
    is_true,
)

__all__ = [
    "KINDS", "BackendSettings", "BadSettings", "ChatbotSettings", "Common", "Mistake", "RedisServiceSettings", "load",
    "schema", "secrets",
]  # fmt: skip

Environment = Annotated[
    Literal["development", "staging", "production"],
    choice("development", "staging", "production", default="production"),
]
AiProvider = Annotated[Literal["auto", "openai", "offline"], choice("auto", "openai", "offline", default="auto")]


class Common(BaseModel):
    """What all three services read."""

    model_config = ConfigDict(
        alias_generator=str.upper,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        defer_build=True,  # of three services only one is built in a process
    )
    required_in_production: ClassVar[tuple[str, ...]] = ("BACKEND_CORS_ORIGINS",)

    environment: Environment = Field("development", description="development, staging or production")
    debug: Boolean = Field(False, description="more log; never part of an answer")
    host: Host | None = Field(None, description="address to listen on; default 127.0.0.1, in production 0.0.0.0")
    port: Whole = Field(8000, ge=1, le=65535, description="port to listen on")
    log_level: Level = Field("INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    python_version: PythonVersion | None = Field(
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


class _SignIn(Common):
    """What chatbot and backend read to verify who a user is.

    The service account is not looked at here: a broken one is told by /health/ready and stops nobody.
    """

    require_sign_in: Boolean = Field(False, description="ask for a Firebase ID token")
    firebase_project_id: Name | None = Field(None, description="project whose ID tokens are accepted")
    firebase_credentials: SecretStr | None = Field(None, description="service account as JSON text")
    firebase_credentials_file: Path | None = Field(None, description="the same as a file")
    firebase_client_email: Name | None = Field(None, description="service account: its e-mail address")
    firebase_private_key: SecretStr | None = Field(
        None, description="service account: its private key (PEM), line ends also as \\n"
    )
    service_token: Key | None = Field(
        None, description="shared by chatbot and backend: it may act for any signed-in user"
    )


class ChatbotSettings(_SignIn):
    """Variables of `chatify chatbot`."""

    ai_provider: AiProvider = Field("auto", description="auto: openai when OPENAI_API_KEY is usable, else offline")
    openai_api_key: Key | None = Field(None, description="key of the OpenAI-compatible server")
    openai_base_url: HttpUrl | None = Field(
        None, description="another OpenAI-compatible server, such as http://host/v1"
    )
    openai_model: Name = Field("gpt-4o-mini", min_length=1, max_length=200, description="model to ask")
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
    service_token: Key | None = Field(None, description="shared with the backend: it may act for any signed-in user")


class BackendSettings(_SignIn):
    """Variables of `chatify backend`."""

    port: Whole = Field(8001, ge=1, le=65535, description="port to listen on")
    chatbot_url: HttpUrl = Field("http://127.0.0.1:8000", description="where the chatbot answers")
    keeper_url: HttpUrl | None = Field(None, description="where Everwake's keeper answers")
    keeper_token: Key | None = Field(None, description="token of that keeper's API, where it asks for one")
    reply_wait: Seconds = Field(10.0, ge=0, le=60, description="longest a POST waits for its reply before 202")
    rate_limit: Whole = Field(
        300, ge=1, le=1_000_000, description="messages a user may send at once; refills in a minute"
    )
    body_limit: Whole = Field(65_536, ge=1024, le=10_485_760, description="bytes of a request body")
    service_token: Key | None = Field(
        None, description="shared with the chatbot: it lets the backend act for its users"
    )


class RedisServiceSettings(Common):
    """Variables of `chatify redis-service`."""

    required_in_production: ClassVar[tuple[str, ...]] = ("REDIS_URL",)

    port: Whole = Field(8002, ge=1, le=65535, description="port to listen on")


S = TypeVar("S", bound=Common)
KINDS: Mapping[str, type[Common]] = {
    "chatbot": ChatbotSettings, "backend": BackendSettings, "redis-service": RedisServiceSettings,
}  # fmt: skip


def schema(kind: type[Common]) -> tuple[Mapping[str, Any], ...]:
    """The variables of `kind` as data, in their order.

    Each: name, type (text, number, duration, boolean, choice, url, list, path, secret), default (None: absent), choices,
    least, most, is_secret, is_required_in_production, help.
    """
    return tuple(_described(kind, field) for field in kind.model_fields)


_TYPES = {bool: "boolean", int: "number", float: "duration", tuple: "list", Path: "path", SecretStr: "secret"}


def _described(kind: type[Common], name: str) -> Mapping[str, Any]:
    field = kind.model_fields[name]
    annotation = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    bare: Any = get_origin(annotation) or annotation
    kind_of = "choice" if choices else _TYPES.get(bare, "url" if name.endswith("_url") else "text")
    bounds = {type(one).__name__: one for one in field.metadata}
    return {
        "name": name.upper(), "type": kind_of, "default": field.default, "choices": choices,
        "least": getattr(bounds.get("Ge"), "ge", None), "most": getattr(bounds.get("Le"), "le", None),
        "is_secret": bare is SecretStr, "is_required_in_production": name.upper() in kind.required_in_production,
        "help": field.description,
    }  # fmt: skip


def _mistakes(kind: type[Common], error: ErrorDetails, environ: Mapping[str, str]) -> list[Mistake]:
    """What pydantic tells about one variable, as ours; the input itself is in none of it."""
    name = str(error["loc"][0]).upper()
    value = environ.get(name, "")
    wrongs = error.get("ctx", {}).get("wrongs")
    if wrongs is not None:
        return [
            Mistake(variable=name, problem=wrong.problem, message=wrong.message, column=wrong.column,
                    found=unshown(value) if wrong.found is None else wrong.found, fix=wrong.fix)
            for wrong in wrongs
        ]  # fmt: skip
    known = _described(kind, name.lower())
    found = word_shown(value) if known["type"] in ("number", "duration") else None
    if known["least"] is not None and known["most"] is not None:
        least, most, unit = known["least"], known["most"], " seconds" if known["type"] == "duration" else ""
        message = f"not from {least:,} to {most:,}{unit}"
        fix = f"write a number from {least} to {most}{unit}"
    else:
        message, fix = "cannot be used", f"it is meant to be: {known['help']}"
    return [
        Mistake(variable=name, problem="bad_type", message=message, column=1, found=found or unshown(value), fix=fix)
    ]


def _absent(
    name: str, kind: type[Common], why: str, *, problem: str = "missing_key", found: str = "nothing"
) -> Mistake:
    fix = f"set it: {kind.model_fields[name.lower()].description}"
    return Mistake(variable=name, problem=problem, message=why, column=None, found=found, fix=fix)


def _demanded(kind: type[Common], environ: Mapping[str, str]) -> list[Mistake]:
    """Variables that others make necessary. Reads the texts, so that it is told even when others cannot be read."""

    def text(name: str) -> str:
        return environ.get(name, "").strip()

    mistakes = []
    if text("ENVIRONMENT").strip("\"'").lower() == "production":
        mistakes += [
            _absent(name, kind, "required in production") for name in kind.required_in_production if not text(name)
        ]
    if "ai_provider" in kind.model_fields and text("AI_PROVIDER") == "openai":
        key = text("OPENAI_API_KEY")
        if not key:
            mistakes.append(_absent("OPENAI_API_KEY", kind, "AI_PROVIDER=openai needs it"))
        elif is_placeholder(key, own_server=bool(text("OPENAI_BASE_URL"))):
            why, found = "AI_PROVIDER=openai needs a key, and this is a placeholder", "a placeholder"
            mistakes.append(_absent("OPENAI_API_KEY", kind, why, problem="placeholder", found=found))
    has_project = any(text(f"FIREBASE_{one}") for one in ("PROJECT_ID", "CREDENTIALS", "CREDENTIALS_FILE"))
    if "require_sign_in" in kind.model_fields and is_true(text("REQUIRE_SIGN_IN")) and not has_project:
        mistakes.append(_absent("FIREBASE_PROJECT_ID", kind, "REQUIRE_SIGN_IN=true needs a Firebase project"))
    return mistakes


def load(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Read `kind` from `environ` (default: the process's). An empty or blank variable is an absent one.

    Raises:
        BadSettings: with every mistake; no secret is in any of them, whichever variable it was written into.
    """
    environ = os.environ if environ is None else environ
    order = [name.upper() for name in kind.model_fields]
    values = {name: environ[name] for name in order if environ.get(name, "").strip()}
    everybody = {name.upper() for one in KINDS.values() for name in one.model_fields}
    mistakes = _demanded(kind, environ) + look_alikes(order, everybody, environ)
    settings: S | None = None
    try:
        settings = kind.model_validate(values)
    except ValidationError as failure:
        told = failure.errors(include_url=False, include_input=False)
        mistakes = [mistake for error in told for mistake in _mistakes(kind, error, environ)] + mistakes
    if settings is None or mistakes:
        place = {name: at for at, name in enumerate(order)}
        raise BadSettings(tuple(sorted(mistakes, key=lambda m: (place.get(m.variable, len(order)), m.column or 0))))
    return settings


def secrets(settings: Common) -> tuple[str, ...]:
    """The values that no log line may hold."""
    held = (getattr(settings, name) for name in type(settings).model_fields)
    return tuple(value.get_secret_value() for value in held if isinstance(value, SecretStr))
