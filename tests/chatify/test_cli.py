"""`chatify`: words, exit codes, what goes where."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatify.cli import main
from tests.support.processes import running


def test_check_says_that_the_variables_are_in_order() -> None:
    argv = [sys.executable, "-m", "chatify", "chatbot", "--check"]
    with running("chatbot", {}, until_up=False, argv=argv) as service:
        assert service.wait(30) == 0
        assert service.log == "The variables are in order."


def test_personalities_that_cannot_be_read_end_it_with_2(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text('name = "x')
    with running("chatbot", {"PERSONALITIES_DIR": str(tmp_path)}, until_up=False) as service:
        assert service.wait(30) == 2
        assert "PERSONALITIES_DIR" in service.log
        assert "broken.toml" in service.log


def test_a_folder_of_personalities_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    with running("chatbot", {"PERSONALITIES_DIR": str(tmp_path / "nope")}, until_up=False) as service:
        assert service.wait(30) == 2
        assert "PERSONALITIES_DIR does not exist" in service.log
        assert "found: nope\n" in service.log + "\n"


@pytest.mark.parametrize("word", ["chatbot", "backend"])
def test_a_data_dir_that_cannot_be_made_is_told_with_its_path_once(tmp_path: Path, word: str) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "data"
    with running(word, {"DATA_DIR": str(folder), "AI_PROVIDER": "offline"}) as service:
        line = service.until_line("DATA_DIR: ")
        assert "cannot be made" in line
        if word == "chatbot":  # JSON writes a backslash twice
            assert str(folder) in line
        service.terminate()
        service.wait(10)
        assert service.log.count("DATA_DIR: ") == 1


@pytest.mark.parametrize("argv", [[], ["nobody"], ["chatbot", "--wrong"]])
def test_wrong_usage_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert "usage: chatify" in capsys.readouterr().err


def test_help_names_every_service(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("chatbot", "backend", "redis-service"))


def test_a_start_imports_nothing_heavy() -> None:
    """What a waiting user does not wait for: each of these is loaded when it is used, behind the open port."""
    code = (
        "import sys; from chatify.settings import ChatbotSettings, load; from chatify.chatbot.app import create;"
        "import chatify.cli, chatify.serving; create(load(ChatbotSettings, {'AI_PROVIDER': 'openai',"
        "'OPENAI_API_KEY': 'sk-0a1b2c3d4e5f', 'REDIS_URL': 'redis://h', 'FIREBASE_PROJECT_ID': 'p'}));"
        "print([m for m in ('openai', 'redis', 'firebase_admin', 'fastapi', 'argparse', 'typer', 'sqlite3', 'pydantic.v1')"
        " if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"
