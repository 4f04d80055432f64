"""Where readers disagree, and what each gets, without a word of the value."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.doctor.variables.dialects import DIALECTS
from everwake.doctor.variables.readers import differences, understood
from everwake.doctor.variables.sourcing import sourced


def test_a_file_that_all_read_alike_has_no_differences() -> None:
    assert differences("# a\nMODE=fast\nSIZE=2\n") == ()


def test_quotes_are_kept_by_docker_only() -> None:
    (one,) = differences('TITLE="My shop"\n')
    assert (one.key, one.line) == ("TITLE", 1)
    kept = {reader for reader, words in one.gets.items() if words == "the value with its quotes"}
    assert kept == {"docker run --env-file"}


def test_a_hash_ends_the_value_for_some() -> None:
    (one,) = differences("PIN=a1#b2\n")
    assert one.gets["dotenv (js)"] == "the part before the #"
    assert one.gets["python-dotenv"] == "the value"


def test_a_comment_stays_in_the_value_for_docker() -> None:
    (one,) = differences("MODE=fast # or slow\n")
    assert one.gets["docker run --env-file"] == "the value with the comment behind it"


def test_export_and_blanks_become_a_part_of_the_name_for_docker() -> None:
    export, padded = differences("export A=1\nB = 2\n")
    assert export.gets["docker run --env-file"] == "takes export for a part of the name"
    assert padded.gets["docker run --env-file"] == "takes a blank for a part of the name"


def test_no_value_is_told() -> None:
    told = repr(differences("TOKEN='s3cr3tvalue' # s3cr3tvalue\nexport PIN = s3cr3t#value\n"))
    assert "s3cr3t" not in told


def test_what_a_reader_understands_can_be_asked_for() -> None:
    assert understood("A='1'\nB=2#3\n", "dotenv") == {"A": "1", "B": "2"}
    assert understood("A='1'\nB=2#3\n", "docker") == {"A": "'1'", "B": "2#3"}


def gets(text: str, reader: str) -> str:
    """What that reader gets of the first variable; "the value" where all agree."""
    found = differences(text)
    return found[0].gets[DIALECTS[reader].title] if found else "the value"


REPLACED = "puts a variable's value in place of the $"


@pytest.mark.parametrize(
    ("text", "reader", "words"),
    [
        ('A="a$x"\n', "compose", REPLACED),
        ('A="a$x"\n', "shell", REPLACED),
        ('A="a$x"\n', "python-dotenv", "the value"),
        ('A="a${x}"\n', "python-dotenv", REPLACED),
        ("A='a${x}'\n", "python-dotenv", REPLACED),
        ("A='a$x'\n", "compose", "the value"),
        ("A='a$x'\n", "shell", "the value"),
        ("D=a$x\n", "compose", REPLACED),
        ("D=a$x\n", "dotenv", "the value"),
        ("D=a$\n", "shell", "the value"),
        ("D=5$ off\n", "compose", "the value"),
        ("J=a;b\n", "shell", "the part before the ;, and runs what follows"),
        ("B=x?a=1&b=2\n", "shell", "does not get it: the & takes it to a shell of its own"),
        ("B=a||b\n", "shell", "the part before the ||"),
        ("A=one two\n", "shell", "does not get it: what follows the blank is run as a command"),
        ("A=one # two\n", "shell", "the value"),
        ("A=one\n", "shell", "the value"),
        ("A=a(b)\n", "shell", "stops at the ("),
        ("A = a\n", "shell", "runs the name as a command: of the blank before the ="),
        ("O\n", "shell", "runs it as a command"),
        ("O\n", "docker", "hands on what its surroundings have"),
        ('M="a\\\\b"\n', "shell", "the value"),
        ('M="a\\\\b"\n', "docker", "the value with its quotes"),
        ("M=a\\b\n", "shell", "the value without its backslashes"),
        ('A="a`x`b"\n', "shell", "runs a command and takes what that prints"),
        ('A="$(date) and more"\n', "shell", "runs a command and takes what that prints"),
        ("A=it's\n", "shell", "stops: the ' is not closed"),
        ('A="a\\$x"\n', "shell", "the value without its backslashes"),
    ],
)
def test_what_each_gets_is_what_it_would_do(text: str, reader: str, words: str) -> None:
    assert gets(text, reader) == words


def test_what_a_quote_of_a_line_before_swallows_a_shell_does_not_get() -> None:
    found = {one.key: one.gets[DIALECTS["shell"].title] for one in differences("A=it's\nB=1\nC=isn't\nD=2\n")}
    assert found == {
        "B": "does not get it: it stands within the quotes of a line before",
        "A": "something else", "C": "does not get it: it stands within the quotes of a line before",
    }  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="no sh there")
@given(st.text(st.sampled_from("ab \"'\\#=;"), max_size=10))
@settings(max_examples=60, deadline=None)
def test_sourcing_agrees_with_the_shell_of_this_machine(value: str) -> None:
    got = sourced(f"A={value}\n", 2)
    script = f"A={value}\n"
    run = subprocess.run(
        ["/bin/sh", "-c", 'eval "$1" >/dev/null 2>&1; printf %s. "$A"', "sh", script],
        capture_output=True, text=True, timeout=20, check=False, env={"PATH": ""}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if got.value is not None:
        assert run.stdout == got.value + "."
