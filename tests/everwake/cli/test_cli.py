"""The command line: what it says, what it costs, and with which exit code it ends."""

import base64
import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import everwake
from everwake import errors
from everwake.app.platform import secrets_of
from everwake.cli import _commands
from everwake.cli.env import masked

SOURCE = Path(everwake.__file__).parent.parent


def everwake_says(*arguments: str, before: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *before, "-m", "everwake", *arguments]
    surroundings = {**os.environ, "COLUMNS": "100", **env}
    return subprocess.run(argv, capture_output=True, text=True, env=surroundings, timeout=30, check=False)


def test_help_lists_what_there_is_and_nothing_else() -> None:
    answer = everwake_says("--help")
    assert answer.returncode == 0
    listed = answer.stdout.partition("Commands:")[2]
    rows = [line for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert [row.split()[0] for row in rows] == _commands.names()
    assert "up" in _commands.names()


def test_help_of_up_names_its_options_and_defaults() -> None:
    answer = everwake_says("up", "--help")
    assert answer.returncode == 0
    for text in ("--port", "8600", "--data", ".everwake", "--quiet", "--json", "OPENAI_API_KEY", "REDIS_URL", "Ctrl-C"):
        assert text in answer.stdout, text


def test_no_arguments_show_the_help() -> None:
    answer = everwake_says()
    assert "Usage: everwake" in answer.stdout + answer.stderr
    assert answer.returncode == 2


def test_the_version_is_the_distributions() -> None:
    assert everwake_says("--version").stdout == f"everwake {version('everwake')}\n"


def test_an_unknown_command_is_answered_with_the_nearest_name() -> None:
    answer = everwake_says("upp")
    assert answer.returncode == 2
    assert "No such command 'upp'. Did you mean 'up'?" in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    "wrong", [("up", "--port", "0"), ("up", "--port", "70000"), ("up", "--prot", "1"), ("up", "more")]
)
def test_wrong_usage_ends_with_2(wrong: tuple[str, ...]) -> None:
    answer = everwake_says(*wrong)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Usage: everwake up" in answer.stderr


@pytest.mark.parametrize("command", _commands.names())
def test_every_command_takes_a_fleet_file_and_a_data_folder(command: str) -> None:
    help_ = everwake_says(command, "--help").stdout
    assert "--fleet" in help_
    assert "--data" in help_


HEAVY = {"rich", "fastapi", "starlette", "uvicorn", "openai", "redis", "asyncio", "chatify", "everwake.app"}


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (("--help",), HEAVY | {"pydantic"}),
        (("--version",), HEAVY | {"pydantic"}),
        (("up", "--help"), HEAVY),  # Typer itself reads options with pydantic
    ],
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...], heavy: set[str]) -> None:
    answer = everwake_says(*arguments, before=("-X", "importtime"))
    loaded = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert "typer" in loaded
    assert loaded & heavy == set()


def test_without_the_extra_the_message_names_it(tmp_path: Path) -> None:
    """Without `site`, only our own source is in reach: what `pip install everwake` alone brings."""
    answer = everwake_says("--help", before=("-S",), PYTHONPATH=str(SOURCE))
    assert answer.returncode == 2
    assert answer.stderr.splitlines() == [
        "everwake: the command line is not installed (typer missing)", '  hint: pip install "everwake[all]"',
    ]  # fmt: skip


def test_every_error_has_an_exit_code_of_the_contract() -> None:
    tree = {kind.__name__: kind.exit_code for kind in vars(errors).values() if isinstance(kind, type)}
    assert tree == {
        "EverwakeError": 1, "Finding": 1, "DidNotStart": 1, "Misused": 2, "MissingExtra": 2, "AlreadyRunning": 2,
        "OutOfReach": 3,
    }  # fmt: skip
    assert set(tree) == set(errors.__all__)


def test_a_drawn_value_is_masked_whatever_its_name_and_an_ordinary_one_is_shown() -> None:
    drawn = base64.b64encode(hashlib.sha256(b"generateValue").digest()).decode()
    variables = {
        "FOO": drawn,
        "OPENAI_MODEL": "gpt-4o-mini-2024-07-18",
        "ENVIRONMENT": "production",
        "LINE": f"a {drawn} b",
    }
    shown = {key: masked(key, value, secrets_of(variables)) for key, value in variables.items()}
    assert drawn not in str(shown)
    assert "44 characters; --reveal shows it" in shown["FOO"]
    assert (shown["OPENAI_MODEL"], shown["ENVIRONMENT"]) == ("gpt-4o-mini-2024-07-18", "production")
