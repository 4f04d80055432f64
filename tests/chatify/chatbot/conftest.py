"""A chatbot on a real uvicorn, with whatever variables a test wants, and an AI that does as it is told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatify.chatbot.app import create
from chatify.settings import ChatbotSettings, load
from tests.support.in_thread import InThread
from tests.support.openai_server import OpenAIServer

Chatbot = Callable[..., InThread]


@pytest.fixture(scope="session")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InThread]:
    """The chatbot without any variables, shared by the tests that ask for nothing else."""
    variables = {"DATA_DIR": str(tmp_path_factory.mktemp("chatbot")), "AI_PROVIDER": "offline", "RATE_LIMIT": "100000"}
    with InThread(create(load(ChatbotSettings, variables))) as server:
        yield server


@pytest.fixture
def chatbot(ordinary: InThread, tmp_path: Path) -> Iterator[Chatbot]:
    """chatbot(NAME="value", ...) is a running chatbot; without an AI provider of its own it is offline."""
    with ExitStack() as running:

        def started(**variables: str) -> InThread:
            if not variables:
                return ordinary
            variables = {"DATA_DIR": str(tmp_path), "AI_PROVIDER": "offline", **variables}
            return running.enter_context(InThread(create(load(ChatbotSettings, variables))))

        yield started


@pytest.fixture
def ai() -> Iterator[OpenAIServer]:
    """A provider on loopback."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def asking(ai: OpenAIServer) -> dict[str, str]:
    """Variables of a chatbot that asks `ai`."""
    return asking_of(ai)


def asking_of(ai: OpenAIServer) -> dict[str, str]:
    return {"AI_PROVIDER": "openai", "OPENAI_API_KEY": "sk-test-0f9a8b7c6d5e4f3a2b1c", "OPENAI_BASE_URL": ai.base_url}
