"""`everwake watch` whole: the chat fleet watched for real, killed and told to stop, its file changed under it."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.answering import Answering, answering
from tests.support.processes import free_port, running
from tests.support.receiver import receiver
from tests.support.redis_server import RedisServer
from tests.support.up_run import until
from tests.support.watch_run import WatchRun, described, watching

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="SIGHUP and SIGKILL are POSIX")
KILLS = int(os.environ.get("SOAK", "10"))
NOTIFY = '[notify]\nurls = [{ env = "ALERT_URL" }]\n'


def test_the_chat_fleet_is_watched_and_a_killed_chatbot_is_known_told_and_known_again(tmp_path: Path) -> None:
    at = free_port()
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        chatbot = stack.enter_context(running("chatbot", {"DATA_DIR": str(tmp_path / "c")}, port=at))
        backend = stack.enter_context(running("backend", {"DATA_DIR": str(tmp_path / "b"), "CHATBOT_URL": chatbot.url}))
        front = stack.enter_context(running("redis-service", {"REDIS_URL": redis.url}))
        there = stack.enter_context(receiver())
        beat = 'heartbeat = "/ws/keepalive"'
        (tmp_path / "everwake.toml").write_text(
            described("chatbot", chatbot.url, beat)
            + described("backend", backend.url, f'{beat}\ndepends_on = ["chatbot"]')
            + described("redis-service", front.url, beat)
            + NOTIFY
        )
        run = stack.enter_context(watching(tmp_path, env={"ALERT_URL": there.url}))
        assert run.until_ready()["dashboard"] == run.url
        until(lambda: set(run.states.values()) == {"up"}, 10)
        for title in ("Chatbot", "Backend", "Redis"):
            run.until_line(f"{title} WebSocket connected (keeps service alive)")
            run.until_line(f"{title} heartbeat (service alive)")
            line = run.until_line(f"{title} Service is alive! (200 - ")
            assert re.fullmatch(r"\[\d\d:\d\d:\d\d] \w+ Service is alive! \(200 - \d+ms\)", line)

        chatbot.kill()
        began = time.monotonic()
        until(lambda: run.states["chatbot"] == "down", 10)
        assert time.monotonic() - began < 5.0, "whatever the interval, which is 3 minutes"
        assert run.states == {"chatbot": "down", "backend": "up", "redis-service": "up"}
        run.until_line("Chatbot WebSocket closed (reconnecting in ")
        until(lambda: run.incidents, 10)  # it is written a moment after it is known
        (incident,) = run.incidents
        assert (incident["service"], incident["closed_at"]) == ("chatbot", None)
        assert incident["first"]["failure"]["kind"] in ("refused", "reset")
        assert incident["first"]["at"] == incident["opened_at"]
        assert "degraded" not in run.log, "a line that breaks is the beginning of down, not a state of its own"
        until(lambda: there.titles == ["Chatbot is down"], 15)
        assert f"{run.url}/#/service/chatbot" in there.messages[0]["message"]
        assert chatbot.url in there.messages[0]["message"]
        assert re.search(r"Cause: connection (refused|reset)\.", there.messages[0]["message"])

        stack.enter_context(running("chatbot", {"DATA_DIR": str(tmp_path / "c")}, port=at))
        until(lambda: run.states["chatbot"] == "up", 40)
        run.until_line("Chatbot is up")
        if KILLS >= 100:  # it has to stay up for a minute, which everybody else need not wait for
            until(lambda: run.incidents[0]["closed_at"] is not None, 90)
            until(lambda: there.titles == ["Chatbot is down", "Chatbot is up again"], 15)
        assert "Traceback" not in run.log


@posix_only
def test_a_frozen_service_is_down_five_seconds_after_its_first_failed_look_ended(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        chatbot = stack.enter_context(running("chatbot", {"DATA_DIR": str(tmp_path / "c")}))
        # Four looks of 6 s and the pauses between them would be 28 s.
        (tmp_path / "everwake.toml").write_text(described("chatbot", chatbot.url, 'every = "2s"\ntimeout = "6s"'))
        run = stack.enter_context(watching(tmp_path))
        run.until_ready()
        until(lambda: run.states == {"chatbot": "up"}, 10)
        chatbot.process.send_signal(signal.SIGSTOP)
        stack.callback(chatbot.process.send_signal, signal.SIGCONT)
        until(lambda: run.states == {"chatbot": "down"}, 25)
        known_s = time.time()
        until(lambda: bool(run.incidents), 10)  # it is on the disk a moment later
        (incident,) = run.incidents
        first = incident["first"]
        failed_s = datetime.fromisoformat(first["at"]).timestamp() + first["took_ms"] / 1000
        assert first["failure"]["kind"] == "timeout"
        assert first["took_ms"] >= 5_900
        assert known_s - failed_s < 5.0 + 3.0, "with what a busy machine and the asking of this test take"
        assert incident["opened_at"] == first["at"]


def test_who_pressed_stop_finds_it_stopped_after_a_restart(tmp_path: Path) -> None:
    with answering() as there:
        (tmp_path / "everwake.toml").write_text(described("one", there.url, 'every = "1s"'))
        with watching(tmp_path) as run:
            run.until_ready()
            until(lambda: run.states == {"one": "up"}, 10)
            assert run.post("/api/v1/monitoring/stop")["changed"]
            until(lambda: run.states == {"one": "paused"}, 5)
            time.sleep(0.5)  # what was written a moment ago is on the disk
            run.process.kill()
            run.wait()
        asked = len(there.paths)
        with watching(tmp_path) as run:
            run.until_ready()
            run.until_line("Architecture monitoring is still stopped")
            time.sleep(2)
            fleet = run.get("/api/v1/fleet")
            assert (fleet["monitoring"], fleet["next_check_at"], run.states) == (False, None, {"one": "paused"})
            assert len(there.paths) == asked
            assert run.post("/api/v1/monitoring/start")["changed"]
            until(lambda: run.states == {"one": "up"}, 10)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WatchRun, Answering]]:
    """One keeper and one service for the tests that end neither."""
    folder = tmp_path_factory.mktemp("watch")
    with answering() as there:
        (folder / "everwake.toml").write_text(described("one", there.url, 'every = "1h"'))
        with watching(folder) as run:
            run.until_ready()
            until(lambda: run.states == {"one": "up"}, 10)
            yield run, there


@pytest.mark.xdist_group("watch")
def test_a_second_keeper_on_the_same_data_is_refused_and_told_who_has_it(shared: tuple[WatchRun, Answering]) -> None:
    run, _ = shared
    with watching(run.data.parent) as second:
        assert second.wait() == 2
        assert f"another everwake keeper (process {run.process.pid})" in second.log
    assert run.states == {"one": "up"}


@pytest.mark.xdist_group("watch")
def test_up_json_is_for_its_owner_only_and_names_the_page(shared: tuple[WatchRun, Answering]) -> None:
    run, _ = shared
    assert json.loads((run.data / "up.json").read_text()) == {"pid": run.process.pid, "dashboard": run.url}
    if sys.platform != "win32":
        assert (run.data / "up.json").stat().st_mode & 0o777 == 0o600
    with urlopen(run.url, timeout=10) as page:
        assert "text/html" in page.headers["content-type"]


@pytest.mark.xdist_group("watch")
def test_a_changed_file_is_taken_and_a_bad_one_keeps_the_one_of_before(shared: tuple[WatchRun, Answering]) -> None:
    run, there = shared
    before, asked = run.get("/api/v1/services/one"), len(there.paths)
    good = run.fleet.read_text()
    run.fleet.write_text(good + described("two", there.url, 'health = "/two"'))
    until(lambda: run.states == {"one": "up", "two": "up"}, 10)
    assert run.get("/api/v1/services/one")["since"] == before["since"], "state and turn are kept"
    assert there.paths[asked:] == ["/two"], "nobody is looked at twice"

    run.fleet.write_text("[[service]]\nnmae = 1\n")
    run.until_line("The fleet file has mistakes, so the one of before goes on: line ")
    assert run.states == {"one": "up", "two": "up"}
    assert any("fleet file" in text for text in run.get("/api/v1/fleet")["trouble"])

    run.fleet.write_text(good)
    until(lambda: run.states == {"one": "up"}, 10)
    assert run.get("/api/v1/fleet")["trouble"] == []


@posix_only
@pytest.mark.xdist_group("watch")
def test_sighup_reads_the_file_again(shared: tuple[WatchRun, Answering]) -> None:
    run, _ = shared
    said = sum("was read again" in line for line in run.lines)
    run.process.send_signal(signal.SIGHUP)
    until(lambda: sum("was read again" in line for line in run.lines) == said + 1, 10)
    assert run.states == {"one": "up"}


@pytest.mark.xdist_group("watch")
def test_stopped_nothing_is_sent_and_started_it_goes_on(shared: tuple[WatchRun, Answering]) -> None:
    run, _ = shared
    run.post("/api/v1/monitoring/stop")
    assert run.states == {"one": "paused"}
    run.until_line("Architecture monitoring stopped")
    run.post("/api/v1/monitoring/start")
    until(lambda: run.states == {"one": "up"}, 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_is_gone_within_five_seconds_whoever_looks(number: int, tmp_path: Path) -> None:
    """Somebody has the page open, a look is under way that nobody answers, and the heartbeat hangs."""
    if sys.platform == "win32":
        number = signal.CTRL_BREAK_EVENT
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "everwake.toml").write_text(described("silent", url, 'heartbeat = "/ws"'))
        with watching(tmp_path) as run:
            run.until_ready()
            with urlopen(f"{run.url}/api/v1/events", timeout=10) as events:
                assert events.readline()
                began = time.monotonic()
                run.process.send_signal(number)
                assert run.wait() == 0, run.log
                assert time.monotonic() - began < 5.0
            assert not (run.data / "up.json").exists()
            assert "Traceback" not in run.log


def test_json_prints_up_json_alone_on_stdout_and_no_service_is_no_fleet(tmp_path: Path) -> None:
    (tmp_path / "everwake.toml").write_text('[fleet]\nname = "empty"\n')
    with watching(tmp_path, "--json") as run:
        assert run.wait() == 2
        assert "no service at all" in run.log


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ('[keeper]\nhost = "0.0.0.0"', "without a password"),
        ('[keeper]\nprot = 1', "did you mean port?"),
        ('[notify]\nurls = [{ env = "NOT_SET" }]', "NOT_SET is not set"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_2(rest: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "everwake.toml").write_text(described("one", "http://127.0.0.1:9") + rest)
    with watching(tmp_path) as run:
        assert run.wait() == 2
        assert said in run.log
        assert "Traceback" not in run.log


def test_a_taken_port_is_refused_with_2(tmp_path: Path) -> None:
    (tmp_path / "everwake.toml").write_text(described("one", "http://127.0.0.1:9"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with watching(tmp_path, port=taken.getsockname()[1]) as run:
            assert run.wait() == 2
            assert "--port" in run.log


def test_off_loopback_with_a_token_it_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "everwake.toml").write_text(
        described("one", "http://127.0.0.1:9") + '[keeper]\nhost = "0.0.0.0"\ntoken = { env = "TOKEN" }\n'
    )
    with watching(tmp_path, env={"TOKEN": "open-sesame"}) as run:
        run.until_ready()
        with pytest.raises(HTTPError) as refused:
            run.get("/api/v1/fleet")
        with refused.value:
            assert refused.value.code == 401
        assert "open-sesame" not in run.log


@posix_only
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_random_moments_no_incident_and_no_message_is_lost_or_doubled(tmp_path: Path) -> None:
    """A service after the other goes down while keepers come and are killed; in the end each is told exactly once."""
    dice, count = random.Random(3), KILLS
    with answering() as there, receiver() as told:
        gone = [free_port() for _ in range(count)]
        urls = [there.url] * count

        def write() -> None:
            text = "".join(described(f"s{n}", url, 'every = "1s"\ntimeout = "2s"') for n, url in enumerate(urls))
            (tmp_path / "new.toml").write_text(text + NOTIFY)
            (tmp_path / "new.toml").replace(tmp_path / "everwake.toml")

        write()
        for n in range(count):
            with watching(tmp_path, "--quiet", env={"ALERT_URL": told.url}) as run:
                if n % 2 == 0:
                    run.until_ready()
                urls[n] = f"http://127.0.0.1:{gone[n]}"
                write()
                time.sleep(dice.uniform(0, 6.0))  # the moment is the subject
                run.kill()
        with watching(tmp_path, env={"ALERT_URL": told.url}) as run:
            run.until_ready()
            until(lambda: set(run.states.values()) == {"down"}, 20)

            def opened() -> list[str]:
                """That a repair wants a person is a message of its own."""
                return [key.partition("@")[0] for key in told.keys if ":person:" not in key]

            until(lambda: len(set(opened())) >= count, 45)
            incidents = [one for page in _pages(run) for one in page]
            assert sorted(one["service"] for one in incidents) == sorted(f"s{n}" for n in range(count))
            assert all(one["closed_at"] is None for one in incidents)
            assert sorted(opened()) == sorted(f"{one['id']}:opened" for one in incidents), "each was sent once"
            assert "Traceback" not in run.log


def _pages(run: WatchRun) -> Iterator[list[dict[str, str]]]:
    cursor = ""
    while True:
        page = run.get(f"/api/v1/incidents?limit=100{cursor}")
        yield page["items"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"
