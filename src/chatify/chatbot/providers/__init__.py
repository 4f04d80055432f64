"""Who makes the replies: an OpenAI-compatible server, or a small talker that needs none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from chatify.chatbot.personalities import Personality, load
from chatify.chatbot.providers.offline import OfflineProvider
from chatify.chatbot.providers.openai import OpenAIProvider
from chatify.placeholders import is_placeholder

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

__all__ = ["Choice", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The provider that was chosen. note: why, for /health.   warning: to be logged once, None when all is as it was meant."""

    provider: OpenAIProvider | OfflineProvider
    name: Literal["openai", "offline"]
    note: str | None = None
    warning: str | None = None


class _Wanted(Protocol):
    """The variables that decide."""

    @property
    def ai_provider(self) -> str: ...
    @property
    def openai_api_key(self) -> "SecretStr | None": ...
    @property
    def openai_base_url(self) -> str | None: ...
    @property
    def openai_model(self) -> str: ...
    @property
    def openai_timeout(self) -> float: ...
    @property
    def personalities_dir(self) -> "Path | None": ...


def choose(settings: _Wanted, personalities: Mapping[str, Personality] | None = None) -> Choice:
    """The provider these variables ask for. Imports no SDK and touches no network.

    personalities: as loaded before; else they are loaded here, which raises what `load` does.
    """
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key is not None else ""
    is_usable = not is_placeholder(key, own_server=settings.openai_base_url is not None)
    if settings.ai_provider != "offline" and (is_usable or settings.ai_provider == "openai"):
        openai = OpenAIProvider(
            api_key=key,
            base_url=settings.openai_base_url,
            model=settings.openai_model,
            timeout_s=settings.openai_timeout,
        )
        return Choice(provider=openai, name="openai", note=f"model {settings.openai_model}")
    offline = OfflineProvider(load(settings.personalities_dir) if personalities is None else personalities)
    if settings.ai_provider == "offline":
        return Choice(provider=offline, name="offline", note="AI_PROVIDER is offline")
    reason = "OPENAI_API_KEY is a placeholder" if key else "OPENAI_API_KEY is not set"
    return Choice(
        provider=offline, name="offline", note=f"{reason}: replies come from the offline talker",
        warning=f"{reason}: replies come from the offline talker. Set a real key, or AI_PROVIDER=offline to be told no more.",
    )  # fmt: skip
