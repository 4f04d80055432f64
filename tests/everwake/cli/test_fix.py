"""`everwake fix` alone, with no keeper and no platform that could be asked."""

import json
from pathlib import Path

import pytest

from tests.everwake.cli.test_cli import everwake_says
from tests.support.processes import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "everwake.toml").write_text(f'[[service]]\nname = "chatbot"\nurl = "http://127.0.0.1:{free_port()}"\n')
    return tmp_path


def fix(folder: Path, *words: str) -> tuple[int, str, str]:
    said = everwake_says("fix", *words, "--fleet", str(folder / "everwake.toml"), "--data", str(folder / "data"))
    return said.returncode, said.stdout, said.stderr


@pytest.mark.parametrize("words", [("--plan",), ("--yes",), ()])
def test_one_that_is_down_and_out_of_anybodys_hands_is_a_persons_with_the_next_step(
    folder: Path, words: tuple[str, ...]
) -> None:
    code, out, err = fix(folder, "chatbot", *words)
    assert code == 1
    assert "chatbot needs a person" in out
    assert "there is no way to its platform" in out
    assert "next   " in out
    assert err == ""


def test_as_json_it_says_that_nothing_was_begun(folder: Path) -> None:
    code, out, _ = fix(folder, "chatbot", "--yes", "--json")
    found = json.loads(out)
    assert (code, found["decision"], found["well"], found["run"], found["through"]) == (1, "ask", False, None, "alone")


def test_a_platform_that_does_not_answer_ends_with_3_and_is_named(folder: Path) -> None:
    file = folder / "everwake.toml"
    more = f'platform = "render"\nplatform_id = "srv-1"\n[platform.render]\nurl = "http://127.0.0.1:{free_port()}/v1"\n'
    file.write_text(file.read_text() + more + 'api_key = { env = "A_KEY" }\n')
    words = ("fix", "chatbot", "--plan", "--fleet", str(file), "--data", str(folder / "data"))
    said = everwake_says(*words, A_KEY="k")
    assert (said.returncode, said.stdout) == (3, "")
    assert "until its platform answers" in said.stderr


def test_a_name_that_nobody_has_is_told_with_the_one_that_was_meant(folder: Path) -> None:
    code, _, err = fix(folder, "chatbox", "--plan")
    assert code == 2
    assert "did you mean chatbot?" in err


def test_a_history_that_cannot_be_opened_ends_with_3_before_anything_is_done(folder: Path) -> None:
    (folder / "data" / "history.sqlite3").mkdir(parents=True)
    code, out, err = fix(folder, "chatbot", "--yes")
    assert (code, out) == (3, "")
    assert "the history cannot be read" in err
