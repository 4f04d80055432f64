"""The platform rehearsed with the chat fleet: deployed, read, written, broken, explained, asleep and awake again."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.everwake.cli.test_cli import everwake_says
from tests.support.up_run import UpRun, until, up_in

pytestmark = [
    pytest.mark.xdist_group("rehearsal"),
    pytest.mark.skipif(sys.platform == "win32", reason="stops what it started with SIGINT"),
]


class Rehearsal:
    """A running `everwake up --fast` and a second terminal."""

    def __init__(self, run: UpRun, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.document = run.until_ready()

    def says(self, *words: str, code: int = 0) -> str:
        """What a command prints beside the run."""
        said = everwake_says(*words, "--data", str(self.run.data))
        assert said.returncode == code, said
        return said.stdout

    def fix(self, *words: str, code: int = 0) -> tuple[str, str]:
        """What `everwake fix` prints: stdout, stderr. A proof takes its time."""
        argv = [sys.executable, "-m", "everwake", "fix", *words, "--data", str(self.run.data)]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, check=False)
        assert said.returncode == code, said
        return said.stdout, said.stderr

    def may_repair(self, how: str) -> None:
        """Write `repair = how` for every service, and wait until the keeper goes by it."""
        file = self.run.data / "everwake.toml"
        text, before = file.read_text(), len(self._readings())
        wanted = re.sub(r'^repair = ".*"$', f'repair = "{how}"', text, flags=re.MULTILINE)
        if wanted != text:
            file.write_text(wanted)
            until(lambda: len(self._readings()) > before, 20)

    def _readings(self) -> list[str]:
        items = self.keeper("/api/v1/log?limit=200")["items"]
        return [one["at"] for one in items if "was read again" in one["text"]]

    def keeper(self, path: str, *, post: bool = False) -> Any:
        """JSON of the keeper's API."""
        with urlopen(Request(self.document["dashboard"] + path, b"" if post else None), timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def platform(self) -> dict[str, Any]:
        """What the platform says of itself."""
        at = self.document["platform"]
        request = Request(
            at["url"].removesuffix("/v1") + "/sim/state", headers={"Authorization": f"Bearer {at['key']}"}
        )
        with urlopen(request, timeout=10) as answer:
            return dict(json.loads(answer.read()))

    def thought(self, name: str) -> dict[str, Any] | None:
        """What the keeper has decided about a service that is not well."""
        found = self.keeper(f"/api/v1/services/{name}/remedy")["thought"]
        return None if found is None else dict(found)

    def until_run(self, name: str, state: str, within_s: float = 60.0) -> dict[str, Any]:
        """Wait until its remedy is that far; what it was."""
        until(lambda: (self.keeper(f"/api/v1/services/{name}/remedy")["run"] or {}).get("state") == state, within_s)
        return dict(self.keeper(f"/api/v1/services/{name}/remedy")["run"])

    def until_state(self, name: str, *states: str, within_s: float = 60.0) -> None:
        """Wait until the keeper says so."""
        until(lambda: self.keeper(f"/api/v1/services/{name}")["state"] in states, within_s)


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder = tmp_path_factory.mktemp("rehearsal")
    with up_in(folder, "--fast", "--quiet") as run:
        yield Rehearsal(run, folder)
        assert run.told()[0] == 0
        assert run.left() == []


def test_up_json_names_platform_edge_and_services(rehearsal: Rehearsal) -> None:
    document = rehearsal.document
    assert set(document) == {"pid", "dashboard", "platform", "edge", "services"}
    assert document["platform"]["url"].endswith("/v1")
    host = document["edge"].removeprefix("http://")
    request = Request(f"http://{host}/health", headers={"Host": f"chatbot.localhost:{host.rpartition(':')[2]}"})
    with urlopen(request, timeout=10) as answer:
        assert json.loads(answer.read())["service"] == "chatify_chatbot"
        assert answer.headers["rndr-id"]


def test_init_writes_a_fleet_file_and_shows_variables_and_hours(rehearsal: Rehearsal) -> None:
    out = rehearsal.folder / "begun.toml"
    said = rehearsal.says("init", "--out", str(out))
    assert "✓" in said
    assert "nothing is wrong with them" in said
    assert "of 750 h used this month" in said
    assert 'depends_on = ["chatbot"]' in out.read_text()
    again = everwake_says("init", "--out", str(out), "--data", str(rehearsal.run.data))
    assert again.returncode == 2
    assert "--force" in again.stderr
    document = json.loads(rehearsal.says("init", "--out", str(out), "--force", "--json"))
    assert sorted(document["watched"]) == ["backend", "chatbot", "redis-service"]
    assert document["hours"]["allowance_h"] == 750
    assert out.with_name("begun.toml.bak").exists()


def test_variables_are_shown_masked_written_read_back_and_removed(rehearsal: Rehearsal) -> None:
    shown = rehearsal.says("env", "redis-service")
    secret = rehearsal.says("env", "redis-service", "get", "REDIS_URL", "--reveal").split()[1]
    assert secret not in shown
    assert "redis://***@" in shown
    rehearsal.says("env", "redis-service", "set", "LOG_LEVEL=WARNING", "GREETING=hello")
    document = json.loads(rehearsal.says("env", "redis-service", "get", "LOG_LEVEL", "GREETING", "--json"))
    assert document["variables"] == {"LOG_LEVEL": "WARNING", "GREETING": "hello"}
    rehearsal.says("env", "redis-service", "unset", "GREETING")
    rehearsal.says("env", "redis-service", "get", "GREETING", code=1)
    held = everwake_says("env", "redis-service", "unset", "LOG_LEVEL", "--data", str(rehearsal.run.data))
    assert held.returncode == 1
    assert "group" in held.stderr, "the env group goes on giving it a value, and that is said"


def test_a_deploy_is_followed_until_it_is_live(rehearsal: Rehearsal) -> None:
    document = json.loads(rehearsal.says("deploy", "redis-service", "--json"))
    assert document["live"]
    assert document["deploy"]["status"] == "live"
    items = json.loads(rehearsal.says("logs", "redis-service", "--json"))["items"]
    assert any("Server started successfully" in one["text"] for one in items)


def test_a_failed_deploy_ends_with_1_and_names_the_line_that_failed_it(rehearsal: Rehearsal) -> None:
    good = rehearsal.says("env", "redis-service", "get", "BACKEND_CORS_ORIGINS", "--reveal").split(None, 1)[1].strip()
    rehearsal.says("env", "redis-service", "set", f"BACKEND_CORS_ORIGINS={good} -rsss")
    said = rehearsal.says("deploy", "redis-service", code=1)
    assert "update failed" in said
    assert "text left after the JSON list" in said
    assert "cause  bad_env_var" in said
    rehearsal.says("env", "redis-service", "set", f"BACKEND_CORS_ORIGINS={good}")
    assert "is live" in rehearsal.says("deploy", "redis-service")


def test_what_does_not_exist_is_told_with_what_to_do(rehearsal: Rehearsal) -> None:
    data = ("--data", str(rehearsal.run.data))
    nobody = everwake_says("deploy", "nobody", *data)
    assert nobody.returncode == 1
    assert "nobody" in nobody.stderr
    wrong = everwake_says("sim", "break", "chatbot", "--how", "nonsense", *data)
    assert wrong.returncode == 2
    assert "--list" in wrong.stderr
    assert "KEY=VALUE" in everwake_says("env", "chatbot", "set", "LONELY", *data).stderr


def test_every_drill_is_listed_with_its_cause_and_its_cure(rehearsal: Rehearsal) -> None:
    listed = json.loads(rehearsal.says("sim", "break", "--list", "--json"))["drills"]
    assert len(listed) >= 21
    assert all(one["cause"] and (one["remedy"] or one["person"] or one["how"] == "heal") for one in listed)
    assert [one["how"] for one in listed] == [
        one["how"] for one in json.loads(everwake_says("sim", "break", "--list", "--json").stdout)["drills"]
    ]


def test_whoever_stops_the_keeper_sees_them_fall_asleep_and_wake_when_it_starts_again(rehearsal: Rehearsal) -> None:
    for name in rehearsal.document["services"]:
        rehearsal.until_state(name, "up", "degraded")
    rehearsal.keeper("/api/v1/monitoring/stop", post=True)
    until(lambda: len(rehearsal.platform()["asleep"]) == 3, 60)
    rehearsal.keeper("/api/v1/monitoring/start", post=True)
    until(lambda: rehearsal.platform()["asleep"] == [], 60)
    for name in rehearsal.document["services"]:
        rehearsal.until_state(name, "up")


def test_why_explains_one_that_is_well(rehearsal: Rehearsal) -> None:
    rehearsal.until_state("chatbot", "up")
    said = rehearsal.says("why", "chatbot")
    assert said.count("✓") == 5


def test_fix_has_nothing_to_do_for_one_that_is_well(rehearsal: Rehearsal) -> None:
    rehearsal.until_state("redis-service", "up")
    assert "redis-service: nothing is to be done" in rehearsal.fix("redis-service", "--plan")[0]
    planned = json.loads(rehearsal.fix("redis-service", "--plan", "--json")[0])
    assert (planned["decision"], planned["well"], planned["plan"], planned["through"]) == ("wait", True, None, "keeper")
    done = json.loads(rehearsal.fix("redis-service", "--yes", "--json")[0])
    assert (done["decision"], done["run"]) == ("wait", None)


def test_fix_asked_wrongly_ends_with_2_and_says_how_to_ask(rehearsal: Rehearsal) -> None:
    assert "known are backend, chatbot, redis-service" in rehearsal.fix("nobody", "--plan", code=2)[1]
    assert "did you mean chatbot?" in rehearsal.fix("chatbox", "--plan", code=2)[1]
    assert "one of --plan, --yes" in rehearsal.fix("chatbot", "--plan", "--yes", code=2)[1]
    assert "name a service" in rehearsal.fix("chatbot", "--stop-all", code=2)[1]
    assert "name a service" in rehearsal.fix(code=2)[1]


def test_the_red_switch_holds_repairs_back_until_somebody_allows_them_and_a_yes_is_proved(rehearsal: Rehearsal) -> None:
    name = "redis-service"
    rehearsal.until_state(name, "up")
    assert "all repairs are stopped" in rehearsal.fix("--stop-all")[0]
    again = json.loads(rehearsal.fix("--stop-all", "--json")[0])
    assert (again["stopped"], again["changed"]) == (True, False)
    try:
        rehearsal.says("sim", "break", name, "--how", "bad-env")
        rehearsal.until_state(name, "down")
        until(lambda: rehearsal.keeper(f"/api/v1/services/{name}/diagnosis")["causes"], 20)
        shown, _ = rehearsal.fix(name, "--plan", code=1)
        assert "plan   fix-variables (BACKEND_CORS_ORIGINS)" in shown
        assert "not now: all repairs are stopped" in shown
        assert "all repairs are stopped" in rehearsal.fix(name, "--yes", code=1)[1]
        rehearsal.may_repair("ask")
        assert "repairs are allowed" in rehearsal.fix("--start")[0]
        planned = json.loads(rehearsal.fix(name, "--plan", "--json", code=1)[0])
        assert (planned["decision"], planned["plan"]["remedy"], planned["refused"]) == ("act", "fix-variables", None)
        _, unasked = rehearsal.fix(name, code=1)
        assert "say --yes" in unasked, "nobody sits at a terminal, so nothing is begun"
        told, _ = rehearsal.fix(name, "--yes")
        assert [line.split()[1] for line in told.splitlines()][:4] == ["check", "mend", "deploy", "watch"]
        assert "redis-service is repaired and proved" in told
        run = rehearsal.keeper(f"/api/v1/services/{name}/remedy")["run"]
        assert run["by"].endswith("(everwake fix)")
        rehearsal.until_state(name, "up")
    finally:
        rehearsal.fix("--start")
        rehearsal.may_repair("auto")


def test_what_no_health_path_shows_is_found_by_talking_and_cured_where_a_machine_can(rehearsal: Rehearsal) -> None:
    """The health paths answer 200 all the while: only a chat through the backend, as a user's, finds either of the two."""
    for name in rehearsal.document["services"]:
        rehearsal.until_state(name, "up")
    rehearsal.says("sim", "break", "backend", "--how", "wrong-sibling-url")
    run = rehearsal.until_run("backend", "proved")
    assert (run["remedy"], run["about"], run["cause"]) == ("point-to-sibling", "CHATBOT_URL", "wrong_service_url")
    incident = rehearsal.keeper("/api/v1/incidents?service=backend")["items"][0]
    assert (incident["first"]["check"], incident["first"]["status"]) == ("chat:0", 200)
    right = rehearsal.document["services"]["chatbot"]["url"]
    assert right in rehearsal.says("env", "backend", "get", "CHATBOT_URL", "--reveal")
    assert rehearsal.run.call("backend", "/api/v1/chat/sessions", {"user_id": "ada"})["status"] == "ready"

    before = rehearsal.keeper("/api/v1/services/chatbot/remedy")["run"]
    rehearsal.says("sim", "break", "chatbot", "--how", "provider-rejects-key")
    until(lambda: (rehearsal.thought("chatbot") or {}).get("decision") == "ask", 60)
    asked = rehearsal.thought("chatbot")
    assert asked is not None
    assert "Put a key that the provider accepts into its variable" in asked["next"]
    assert rehearsal.keeper("/api/v1/services/chatbot")["cause"] == "dependency_external"
    assert rehearsal.keeper("/api/v1/services/chatbot/remedy")["run"] == before, "nothing is done"
    rehearsal.says("sim", "break", "chatbot", "--how", "heal")
    rehearsal.until_state("chatbot", "up")
