"""`everwake once`, `check` and `notify test`, as a person or a cron job calls them."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.everwake.cli.test_cli import everwake_says
from tests.support.answering import Answering, answering
from tests.support.processes import free_port
from tests.support.receiver import receiver


@pytest.fixture
def there() -> Iterator[Answering]:
    with answering() as one:
        yield one


class Files:
    """A folder with a fleet file."""

    def __init__(self, folder: Path) -> None:
        self.fleet, self.data = folder / "everwake.toml", folder / "data"

    def write(self, *services: str, rest: str = "") -> None:
        self.fleet.write_text("\n".join([*services, rest]))

    def says(self, command: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        data = ("--data", str(self.data)) if command == "check" else ()
        return everwake_says(command, *arguments, "--fleet", str(self.fleet), *data, **env)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def service(name: str, url: str, more: str = "") -> str:
    return f'[[service]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


def test_once_ends_with_0_when_everything_is_up(files: Files, there: Answering) -> None:
    files.write(service("one", there.url), service("two", there.url, 'health = "/ready"'))
    said = files.says("once")
    assert said.returncode == 0, said
    assert [line.split()[:3] for line in said.stdout.splitlines()] == [["one", "up", "200"], ["two", "up", "200"]]
    assert sorted(there.paths) == ["/health", "/ready"]


def test_once_ends_with_1_when_anything_is_not_up_and_json_is_one_document(files: Files, there: Answering) -> None:
    port = free_port()
    files.write(
        service("one", there.url), service("gone", f"http://127.0.0.1:{port}"),
        service("tcp", there.url, f'[[service.check]]\nkind = "tcp"\nport = {port}'),
    )  # fmt: skip
    said = files.says("once", "--json")
    assert said.returncode == 1
    document = json.loads(said.stdout)
    assert {one["name"]: one["state"] for one in document["services"]} == {
        "one": "up",
        "gone": "down",
        "tcp": "degraded",
    }
    assert document["state"] == "down"
    assert document["services"][1]["checks"][0]["failure"]["kind"] == "refused"
    assert "looking at 3 services" in said.stderr


def test_check_explains_what_renders_edge_says(there: Answering) -> None:
    there.answer(503, b"Service Suspended", {"x-render-routing": "suspend-by-user", "retry-after": "5"})
    said = everwake_says("check", f"{there.url}/api")
    assert said.returncode == 1
    assert there.paths == ["/api"]
    for text in (
        "is down",
        "503",
        "suspend-by-user: its owner suspended the service",
        "retry-after",
        "Service Suspended",
    ):
        assert text in said.stdout, text


def test_check_of_a_url_without_a_path_asks_for_health(there: Answering) -> None:
    said = everwake_says("check", there.url, "--json")
    assert said.returncode == 0
    assert there.paths == ["/health"]
    assert json.loads(said.stdout)["checks"][0]["status"] == 200


def test_check_of_a_service_uses_its_own_settings_and_names_the_nearest(files: Files, there: Answering) -> None:
    files.write(service("chatbot", there.url, 'expect = { json = { status = "sleepy" } }'))
    said = files.says("check", "chatbot")
    assert said.returncode == 1
    assert "the JSON is not as expected" in said.stdout
    wrong = files.says("check", "chatbto")
    assert wrong.returncode == 2
    assert "did you mean chatbot?" in wrong.stderr


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://a:b@c/", "http://x:99999"])
def test_check_of_what_is_no_url_ends_with_2(url: str) -> None:
    said = everwake_says("check", url)
    assert (said.returncode, said.stdout) == (2, "")


def test_check_config_names_every_mistake_and_touches_no_network(files: Files, there: Answering) -> None:
    files.write(service("one", there.url, 'every = "200ms"'), service("two", there.url, "timeuot = 3"))
    said = files.says("check", "--config")
    assert said.returncode == 2
    assert "everwake.toml:4:9: service[1].every: 200ms is below the minimum of 1s" in said.stderr
    assert "did you mean timeout?" in said.stderr
    as_data = files.says("check", "--config", "--json")
    assert as_data.returncode == 2
    assert [one["line"] for one in json.loads(as_data.stdout)["mistakes"]] == [4, 9]
    files.write(service("one", there.url))
    right = files.says("check", "--config")
    assert (right.returncode, right.stdout) == (0, f"{files.fleet} is right: fleet, 1 service\n")
    assert there.paths == []


def test_check_wants_one_thing_to_look_at() -> None:
    assert everwake_says("check").returncode == 2
    assert everwake_says("check", "https://a.example", "--config").returncode == 2


def test_notify_test_reaches_every_channel_and_says_which_did_not_take_it(files: Files) -> None:
    with receiver() as there:
        files.write(
            service("one", "http://127.0.0.1:9"),
            rest='[notify]\nurls = [{ env = "GOOD" }, { env = "BAD" }]',
        )
        said = files.says("notify", "test", GOOD=there.url, BAD="no-such://secret-token")
        assert said.returncode == 1
        assert said.stdout.splitlines() == [
            "channel 1 (env GOOD) took it", "channel 2 (env BAD) did not take it: Apprise knows no such URL",
        ]  # fmt: skip
        assert there.titles == ["fleet: a test of Everwake"]
        assert "secret" not in said.stdout + said.stderr
        as_data = files.says("notify", "test", "--json", GOOD=there.url, BAD=there.url)
        assert as_data.returncode == 0
        assert json.loads(as_data.stdout)["ok"] is True


def test_notify_test_without_a_channel_says_what_to_write(files: Files) -> None:
    files.write(service("one", "http://127.0.0.1:9"))
    said = files.says("notify", "test")
    assert said.returncode == 2
    assert "ALERT_URL" in said.stderr


def test_page_is_one_file_with_the_fleets_addresses_and_none_of_its_secrets(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "keep-alive.html"
    files.write(
        service("chatbot", "https://chatbot.example", 'heartbeat = "/ws/keepalive"'),
        rest='[notify]\nurls = [{ env = "ALERT_URL" }]',
    )
    said = files.says("page", "--out", str(out), ALERT_URL="json://open-sesame")
    assert (said.returncode, said.stdout) == (0, "")
    page = out.read_text()
    assert page.startswith("<!doctype html>")
    assert "wss://chatbot.example/ws/keepalive" in page
    assert "open-sesame" not in page
    assert files.says("page", "--out", "-", ALERT_URL="json://x").stdout == f"{page}\n"
    assert files.says("page", "--out", str(tmp_path / "no" / "where.html"), ALERT_URL="json://x").returncode == 2


def test_check_config_needs_no_secret_and_says_which_are_not_here(files: Files) -> None:
    secret = '[notify]\nurls = [{ env = "ALERT_URL" }]\n'
    files.write(service("one", "https://one.example", 'every = "10s"\ntimeout = "1m"'), rest=secret)
    said = files.says("check", "--config")
    assert (said.returncode, said.stdout) == (0, f"{files.fleet} is right: fleet, 1 service\n")
    assert f"note: {files.fleet}:5:11: service[1].timeout: 60s is longer than every (10s)" in said.stderr
    assert f"note: {files.fleet}:8:9: notify.urls[1]: the variable ALERT_URL is not set here" in said.stderr
    document = json.loads(files.says("check", "--config", "--json").stdout)
    assert (document["ok"], [one["where"] for one in document["notes"]]) == (
        True,
        ["service[1].timeout", "notify.urls[1]"],
    )
    assert files.says("check", "--config", ALERT_URL="json://x").stderr.count("note:") == 1


def test_watch_needs_every_secret(files: Files) -> None:
    files.write(service("one", "https://one.example"), rest='[notify]\nurls = [{ env = "ALERT_URL" }]\n')
    said = everwake_says("watch", "--fleet", str(files.fleet), "--data", str(files.data))
    assert said.returncode == 2
    assert "notify.urls[1]: the variable ALERT_URL is not set" in said.stderr


def test_once_and_check_need_the_secrets_of_services_and_page_needs_none(
    files: Files, there: Answering, tmp_path: Path
) -> None:
    messages = '[notify]\nurls = [{ env = "ALERT_URL" }]\n[keeper]\ntoken = { env = "TOKEN_OF_THE_PAGE" }\n'
    files.write(service("one", there.url), rest=messages)
    assert files.says("once").returncode == 0
    assert files.says("check", "one").returncode == 0
    assert files.says("page", "--out", str(tmp_path / "page.html")).returncode == 0
    header = '[[service.check]]\nkind = "http"\nheaders = { Authorization = { env = "TOKEN" } }\n'
    files.write(service("one", there.url, header), rest=messages)
    assert files.says("page", "--out", str(tmp_path / "page.html")).returncode == 0
    for command in (["once"], ["check", "one"]):
        said = files.says(*command)
        assert said.returncode == 2
        assert "the variable TOKEN is not set" in said.stderr
        assert "ALERT_URL" not in said.stderr


STALLS = """
import socket, time
real = socket.getaddrinfo
def stalls(host, *rest, **more):
    if host == "stalls.example":
        time.sleep(40)
    return real(host, *rest, **more)
socket.getaddrinfo = stalls
"""


def test_a_name_server_that_does_not_answer_does_not_hold_up_the_end(
    files: Files, there: Answering, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STALLS)
    check = '[[service.check]]\nkind = "tcp"\nhost = "stalls.example"\nport = 80\ntimeout = "1s"'
    files.write(service("one", there.url, check))
    began = time.monotonic()
    said = files.says("once", PYTHONPATH=str(tmp_path))
    assert time.monotonic() - began < 20, "its thread sleeps for 40 s"
    assert said.returncode == 1
    assert said.stdout.endswith("tcp:0: timeout in dns\n")
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("has_fleet", [True, False])
def test_an_address_without_its_scheme_is_told_how_to_be_written(files: Files, has_fleet: bool) -> None:
    if has_fleet:
        files.write(service("one", "http://127.0.0.1:9"))
    said = files.says("check", "127.0.0.1:20116")
    assert said.returncode == 2
    assert "write http://127.0.0.1:20116" in said.stderr


@pytest.fixture
def running(tmp_path: Path, there: Answering) -> Path:
    """A data folder as a running `everwake up` keeps it: `up.json` of a process that lives, and its own fleet file."""
    data = tmp_path / "bd"
    data.mkdir()
    up = {
        "pid": os.getpid(),
        "dashboard": "http://127.0.0.1:1",
        "platform": {"url": "http://127.0.0.1:1/v1", "key": "k"},
    }
    (data / "up.json").write_text(json.dumps(up))
    (data / "everwake.toml").write_text(service("of-up", there.url))
    return data


def test_a_data_folder_that_is_named_and_runs_wins_over_a_fleet_file_that_only_lies_there(
    tmp_path: Path, running: Path, there: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "everwake.toml").write_text("[[service]]\nname = 1\n")
    for named in (("--data", "bd"), ("--data=bd",)):
        said = everwake_says("once", *named)
        assert (said.returncode, said.stdout.split()[:2]) == (0, ["of-up", "up"]), said
    assert everwake_says("once").returncode == 2, "no folder was named: the file that lies there is meant"
    (tmp_path / "other.toml").write_text(service("other", there.url))
    said = everwake_says("once", "--data", "bd", "--fleet", "other.toml")
    assert said.stdout.split()[:2] == ["other", "up"]
    (running / "up.json").write_text(json.dumps({"pid": 2**22 + 1, "dashboard": "x", "platform": {}}))
    assert everwake_says("once", "--data", "bd").returncode == 2, "nothing runs in the folder any more"


def test_without_a_fleet_file_the_one_that_up_wrote_is_meant(
    tmp_path: Path, running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    running.rename(tmp_path / ".everwake")
    assert everwake_says("once").stdout.split()[:2] == ["of-up", "up"]


def test_why_reads_the_fleet_file_of_the_folder_that_is_named(
    tmp_path: Path, running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "everwake.toml").write_text("[[service]]\nname = 1\n")
    assert "of-up" in everwake_says("why", "of-up", "--data", "bd").stdout
