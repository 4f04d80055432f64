"""Which provider the variables choose, and what is said about it."""

import pytest

from chatify.chatbot.providers import choose
from chatify.settings import ChatbotSettings

REAL = "sk-live-4f9Qz81LmRt7Yw2Vb6Nx3Kc5"


def settings(**values: str) -> ChatbotSettings:
    return ChatbotSettings.model_validate(values)


@pytest.mark.parametrize("key", [None, "your_openai_api_key_here", "sk-...", "changeme", "<key>", "xxx"])
def test_without_a_usable_key_it_is_offline_with_one_warning_and_a_note(key: str | None) -> None:
    choice = choose(settings(**({} if key is None else {"OPENAI_API_KEY": key})))
    assert (choice.name, choice.provider.name) == ("offline", "offline")
    assert choice.warning is not None
    assert choice.note is not None
    assert "OPENAI_API_KEY" in choice.warning
    assert key is None or key not in choice.warning.replace("OPENAI_API_KEY", "")


def test_a_usable_key_chooses_openai_without_a_word() -> None:
    choice = choose(settings(OPENAI_API_KEY=REAL, OPENAI_MODEL="gpt-x"))
    assert (choice.name, choice.warning, choice.note) == ("openai", None, "model gpt-x")
    assert REAL not in f"{choice}{choice.provider!r}"


def test_an_own_server_needs_no_real_key() -> None:
    assert choose(settings(OPENAI_API_KEY="EMPTY", OPENAI_BASE_URL="http://127.0.0.1:1/v1")).name == "openai"
    assert choose(settings(OPENAI_API_KEY="EMPTY")).name == "offline"


def test_offline_on_purpose_warns_of_nothing() -> None:
    choice = choose(settings(AI_PROVIDER="offline", OPENAI_API_KEY=REAL))
    assert (choice.name, choice.warning) == ("offline", None)
