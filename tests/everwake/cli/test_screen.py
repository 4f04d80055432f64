"""What a run shows: plain text through a pipe, colours on a terminal only, and never a stop because nobody reads."""

import json
import os
import subprocess
import sys

import pytest

# Shows the same things each time; its arguments: quiet, json.
SHOW = """
import sys
from everwake.app.up import Running
from everwake.cli._screen import Screen
urls = {"chatbot": "http://127.0.0.1:8601", "backend": "http://127.0.0.1:8602", "redis-service": "http://127.0.0.1:8603"}
with Screen(is_quiet="quiet" in sys.argv, is_json="json" in sys.argv) as screen:
    screen.say("starting")
    screen.line("chatbot", "hello [bold]there[/bold]")
    screen.warn("a warning")
    screen.ready(Running(
        document={"pid": 1, "platform": {"url": "http://127.0.0.1:8700/v1"}}, urls=urls, dashboard="http://127.0.0.1:8600",
        down={}, redis="of its own", provider="offline", speed=1.0,
    ))
    for number in range(int(next((word[6:] for word in sys.argv if word.startswith("lines=")), "0"))):
        screen.line("backend", f"{number:06} " + "x" * 100)
print("done", file=sys.stderr)
"""


def shown(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", SHOW, *words]
    return subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env}, timeout=30, check=True)


def test_a_pipe_gets_plain_text() -> None:
    answer = shown()
    assert not [char for char in answer.stdout + answer.stderr if ord(char) < 32 and char != "\n"]
    assert "chatbot       | hello [bold]there[/bold]\n" in answer.stdout
    assert "Open http://127.0.0.1:8602/ and chat." in answer.stdout
    assert "Ctrl-C stops everything." in answer.stdout
    row = next(line for line in answer.stdout.splitlines() if "8603" in line)
    assert row.split() == ["redis-service", "answers", "http://127.0.0.1:8603"]
    assert answer.stderr == "· starting\n! a warning\ndone\n"


def test_quiet_hides_the_services_lines_only() -> None:
    answer = shown("quiet")
    assert "hello" not in answer.stdout
    assert "and chat" in answer.stdout


def test_json_has_stdout_for_itself() -> None:
    answer = shown("json")
    assert json.loads(answer.stdout) == {"pid": 1, "platform": {"url": "http://127.0.0.1:8700/v1"}}
    assert "and chat" in answer.stderr
    assert "hello" in answer.stderr


def test_a_reader_that_went_away_stops_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SHOW, "lines=20000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == 0
    assert said.endswith("done\n")
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_a_reader_that_does_not_read_holds_nothing_up() -> None:
    """The pipe holds 64 KiB; 20,000 lines are 2 MB. The rest is left out, and the run comes to its end."""
    with subprocess.Popen(
        [sys.executable, "-c", SHOW, "lines=20000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.read().endswith("done\n")
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(("env", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_colours_unless_it_said_no(env: dict[str, str], is_coloured: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    surroundings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    surroundings |= {"TERM": "xterm-256color", **env}
    with subprocess.Popen([sys.executable, "-c", SHOW], stdout=theirs, stderr=theirs, env=surroundings) as process:
        os.close(theirs)
        heard = b""
        while b"done" not in heard:
            heard += os.read(ours, 4096)
        assert process.wait(30) == 0
    os.close(ours)
    assert (b"\x1b[" in heard) is is_coloured
