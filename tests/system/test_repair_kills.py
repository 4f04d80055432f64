"""The keeper dies (SIGKILL) at random moments of a running remedy, and another goes on: every remedy ends, nothing is done twice.

Real processes: the simulated platform with its services in one, which writes down each change that it is asked for; the keeper in
another, always with the same data folder. What counts is what the platform was asked for and shows, not what the keeper says.
"""

import json
import os
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from everwake.remedy.guard import Limits
from tests.support import picky_service
from tests.support.processes import start
from tests.support.up_run import until
from tests.support.watch_run import described, watching

KILLS = int(os.environ.get("SOAK", "6"))
IS_LONG = KILLS >= 100
SEED = os.environ.get("SEED", "everwake")
SERVICES = Limits().fleet_hour if IS_LONG else 3
AT_ONCE = 3
GOOD = {"BACKEND_CORS_ORIGINS": '["https://a.example"]', "ALLOWED_ORIGINS": '["https://b.example"]'}
LEFTOVER = " -rsss"
# What is broken, what mends it, and how often the platform is to be asked for what.
REMEDIES = {
    "bad-env": ("fix-variables", {"POST deploys": 1, "PUT BACKEND_CORS_ORIGINS": 1, "PUT ALLOWED_ORIGINS": 1}),
    "crash-at-start": ("rollback", {"POST rollback": 1}),
    "hang": ("restart", {"POST restart": 1}),
}
# The phases of each remedy, and how long each lasts here, about: a kill falls somewhere in it.
PHASES = {
    "bad-env": {
        "starting": 1.5, "before its first step": 0.01, "write-variables intended": 0.25, "write-variables done": 0.0,
        "deploy intended": 0.14, "deploy done": 0.0, "follow intended": 0.6, "proving": 2.5, "any": 4.0,
    },
    "crash-at-start": {
        "starting": 1.5, "before its first step": 0.01, "rollback intended": 0.15, "rollback done": 0.0, "follow intended": 0.6,
        "proving": 2.5, "any": 4.0,
    },
    "hang": {"starting": 1.5, "before its first step": 0.01, "restart intended": 0.05, "proving": 2.5, "any": 4.0},
}  # fmt: skip


@dataclass(frozen=True)
class Remedy:
    """One row of `remedies`, with its steps as (what, state, said)."""

    id: str
    service: str
    playbook: str
    state: str
    is_open: bool
    holder: str
    outcome: str
    steps: tuple[tuple[str, str, str], ...]

    @property
    def phase(self) -> str:
        """Where a kill would fall now."""
        if self.state != "running":
            return self.state
        at = [f"{what} {state}" for what, state, _ in self.steps if state != "planned"]
        return at[-1] if at else "before its first step"


@dataclass
class Town:
    """A platform and a keeper, each in its own process. fell: where kills fell.   words: what the services are told to be.

    env: of them; looks: how the keeper looks at them.
    """

    folder: Path
    dice: random.Random
    fell: Counter[str]
    stack: ExitStack
    names: tuple[str, ...]
    words: str = ""
    given: Mapping[str, str] = field(default_factory=lambda: GOOD)
    looks: str = ""
    kills: int = 0
    dead: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        at = self.folder / "sim"
        at.mkdir(parents=True)
        (at / "render.yaml").write_text(
            json.dumps({"services": [_blueprint(name, self.words, self.given) for name in self.names]})  # JSON is YAML
        )
        argv = [sys.executable, "-m", "tests.support.sim_process", str(at)]
        self.sim = start("sim", {"PYTHONPATH": os.pathsep.join(sys.path)}, argv=argv)
        self.stack.callback(self._end_platform)
        until(lambda: (at / "sim.json").exists() or self.sim.process.poll() is not None)
        assert (at / "sim.json").exists(), self.sim.log
        self.document = json.loads((at / "sim.json").read_text())
        platform = self.document["platform"]
        services = "".join(
            described(
                name, one["url"],
                f'every = "1s"\ntimeout = "2s"\nplatform = "sim"\nplatform_id = "{one["id"]}"\nplan = "starter"\n'
                f'repair = "auto"\n{self.looks}',
            )
            for name, one in self.document["services"].items()
        )  # fmt: skip
        access = f'[platform.sim]\nurl = "{platform["url"]}"\napi_key = {{ env = "SIM_KEY" }}\n'
        (self.folder / "everwake.toml").write_text(services + access)
        self.before: dict[str, tuple[int, set[str]]] = {}

    def _end_platform(self) -> None:
        self.sim.terminate()
        self.sim.wait()
        self.sim.close()

    # --- the keeper ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start a keeper."""
        env = {"SIM_KEY": self.document["platform"]["key"], "PYTHONPATH": os.pathsep.join(sys.path)}
        self.keeping = ExitStack()
        self.run = self.keeping.enter_context(watching(self.folder, env=env))
        self.stack.callback(self.keeping.close)

    def kill(self) -> None:
        """SIGKILL it; where that fell is read from what it left."""
        self.run.process.kill()
        self.run.wait()
        self.keeping.close()
        assert "Traceback" not in self.run.log, self.run.log
        under_way = [one for one in self.remedies() if one.is_open]
        self.dead |= {one.holder for one in under_way if one.holder}
        self.fell.update(f"{one.playbook}: {one.phase}" for one in under_way)
        self.kills += bool(under_way)

    def remedies(self) -> list[Remedy]:
        """As the history has them on its disk."""
        file = self.folder / "data" / "history.sqlite3"
        if not file.exists():
            return []
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'remedies'").fetchone():
                return []
            rows = db.execute(
                "SELECT id, service, playbook, state, ended_us IS NULL, holder, outcome FROM remedies ORDER BY asked_us, id"
            ).fetchall()
            steps = "SELECT what, state, said FROM steps WHERE remedy = ? ORDER BY n"
            return [Remedy(*row, tuple(db.execute(steps, (row[0],)).fetchall())) for row in rows]

    def down(self) -> set[str]:
        """Whose incident is open, by the history."""
        query = "SELECT name FROM incidents JOIN services ON services.id = incidents.service WHERE closed_us IS NULL"
        with closing(
            sqlite3.connect(f"file:{self.folder / 'data' / 'history.sqlite3'}?mode=ro", uri=True, timeout=10)
        ) as db:
            return {name for (name,) in db.execute(query)}

    # --- the platform -------------------------------------------------------------------------------------------------

    def asked(self, method: str, path: str, body: object = None) -> Any:
        """One call of its API."""
        platform = self.document["platform"]
        url = platform["url"].removesuffix("/v1") + path
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {platform['key']}"}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(url, data, headers, method=method), timeout=30) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def id(self, name: str) -> str:
        return str(self.document["services"][name]["id"])

    def env(self, name: str) -> Mapping[str, str]:
        """The variables of a service, as its platform has them."""
        rows = self.asked("GET", f"/v1/services/{self.id(name)}/env-vars?limit=100")
        return {row["envVar"]["key"]: row["envVar"]["value"] for row in rows}

    def changes(self, name: str) -> list[tuple[str, Any]]:
        """What the platform was asked to change of a service, by whomever, in order: ("PUT KEY", body)."""
        lines = (self.folder / "sim" / "journal.jsonl").read_text().splitlines()
        rows = [row for row in map(json.loads, lines) if self.id(name) in row["path"] and row["status"] < 300]
        return [(f"{row['method']} {row['path'].rpartition('/')[2]}", row["body"]) for row in rows]

    def deploys(self, name: str) -> list[dict[str, Any]]:
        """The newest first."""
        rows = self.asked("GET", f"/v1/services/{self.id(name)}/deploys?limit=20")
        return [row["deploy"] for row in rows]

    # --- one round ----------------------------------------------------------------------------------------------------

    def round(self, broken: Mapping[str, str], kills: int) -> None:
        """Break some services, let the keeper begin to mend them, and kill it that often before they are mended."""
        for name, how in sorted(broken.items(), key=lambda one: one[1] != "hang"):
            if how == "bad-env":
                self.asked(
                    "PUT", f"/v1/services/{self.id(name)}/env-vars/ALLOWED_ORIGINS",
                    {"value": GOOD["ALLOWED_ORIGINS"] + LEFTOVER},
                )  # fmt: skip
            self.asked("POST", "/sim/drills", {"service": name, "how": how})
            self.before[name] = len(self.changes(name)), {one["id"] for one in self.deploys(name)}
            if how == "hang":
                # Found only when the edge has taken it out already, it would be left to the platform: it has to be seen before.
                until(lambda name=name: name in self.down(), 30)
        began_s = time.monotonic()
        for n in range(kills):
            if not self._until_moment(broken, is_first=n == 0):
                break
            self.kill()
            for name in broken:
                self._whole_or_old(name)
            self.begin()
        self._until_all_ended(broken)
        for name, how in broken.items():
            self._mended(name, how)
        assert time.monotonic() - began_s < 120

    def _mine(self, broken: Mapping[str, str]) -> list[Remedy]:
        return [one for one in self.remedies() if one.service in broken]

    def _until_all_ended(self, broken: Mapping[str, str]) -> None:
        until_s = time.monotonic() + 90
        while not self._all_ended(broken):
            if time.monotonic() > until_s:
                told = {name: self.run.get(f"/api/v1/services/{name}/remedy") for name in broken}
                raise AssertionError(
                    f"{broken} {self._mine(broken)} {told} {self.run.incidents} {self.run.log[-6_000:]}"
                )
            time.sleep(0.02)

    def _all_ended(self, broken: Mapping[str, str]) -> bool:
        mine = self._mine(broken)
        assert self.run.process.poll() is None, self.run.log
        return {one.service for one in mine} == set(broken) and not any(one.is_open for one in mine)

    def _until_moment(self, broken: Mapping[str, str], *, is_first: bool) -> bool:
        """Wait for a random moment of a random phase of what is under way; False: everything has ended."""
        phases = PHASES[self.dice.choice(list(broken.values()))]
        wanted, patience_s = self.dice.choice(list(phases)), 30.0 if is_first else 8.0
        dead = self.dead if is_first else {*self.dead, ""}
        began_s = seen_s = time.monotonic()
        while time.monotonic() - seen_s < patience_s:
            if self._all_ended(broken):
                return False
            # What nobody has taken over yet stands as the last one left it.
            under_way = [one.phase for one in self._mine(broken) if one.is_open and one.holder not in dead]
            if wanted in under_way or (wanted == "any" and under_way) or (wanted == "starting" and not is_first):
                break
            if under_way and seen_s == began_s:
                seen_s, patience_s = time.monotonic(), 3.0
            time.sleep(0.002)
        time.sleep(self.dice.uniform(0.0, phases[wanted]))
        return not self._all_ended(broken)

    def _whole_or_old(self, name: str) -> None:
        for key, value in self.env(name).items():
            assert value in (GOOD[key], GOOD[key] + LEFTOVER), f"{name}: {key} is half-written"

    def _mended(self, name: str, how: str) -> None:
        playbook, wanted = REMEDIES[how]
        runs = [one for one in self.remedies() if one.service == name]
        assert [(one.playbook, one.state) for one in runs] == [(playbook, "proved")], (runs, self.run.log)
        assert {state for _, state, _ in runs[0].steps} == {"done"}
        changes, known = self.changes(name)[self.before[name][0] :], self.before[name][1]
        assert Counter(what for what, _ in changes) == wanted, (changes, runs)
        assert all(body["value"] == GOOD[what.removeprefix("PUT ")] for what, body in changes if what.startswith("PUT"))
        assert self.env(name) == GOOD
        made = [one for one in self.deploys(name) if one["id"] not in known]
        intended = [said for what, _, said in runs[0].steps if what in ("deploy", "rollback")]
        assert [one["id"] for one in made] == intended
        assert {one["status"] for one in made} <= {"live"}
        events = self.asked("GET", f"/v1/services/{self.id(name)}/events?limit=100")
        assert sum(row["event"]["type"] == "server_restarted" for row in events) == (how == "hang")

    def until_closed(self) -> None:
        """Every incident is over, after the minute for which a service has to stay up."""
        until(lambda: all(one["closed_at"] is not None for one in self.run.incidents), 100)
        assert {one["service"] for one in self.run.incidents} == set(self.before)
        assert set(self.run.states.values()) == {"up"}


def _blueprint(name: str, words: str, env: Mapping[str, str]) -> Mapping[str, object]:
    return {
        "type": "web", "name": name, "runtime": "python", "plan": "starter", "healthCheckPath": "/health",
        "buildCommand": "", "startCommand": f"{sys.executable} {picky_service.__file__} {words}",
        "envVars": [{"key": key, "value": value} for key, value in env.items()],
    }  # fmt: skip


@contextmanager
def a_town(folder: Path, dice: random.Random, fell: Counter[str]) -> Iterator[Town]:
    """A town with a keeper that sees everything up."""
    with ExitStack() as stack:
        town = Town(folder, dice, fell, stack, tuple(f"one-{n}" for n in range(SERVICES)))
        town.begin()
        town.run.until_ready()
        until(lambda: set(town.run.states.values()) == {"up"}, 20)
        yield town


posix_only = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP are POSIX")


@pytest.mark.soak
@posix_only
@pytest.mark.timeout(120 + 20 * KILLS)
def test_killed_at_any_moment_every_remedy_ends_and_nothing_is_done_twice_or_by_half(tmp_path: Path) -> None:
    fell, kills, remedies, n, began_s = Counter[str](), 0, 0, 0, time.monotonic()
    with ThreadPoolExecutor(1) as pool, ExitStack() as towns:
        closing_: Future[None] | None = None
        while kills < KILLS:
            n += 1
            dice, stack = random.Random(f"{SEED} {n}"), towns.enter_context(ExitStack())
            town = stack.enter_context(a_town(tmp_path / str(n), dice, fell))
            whole = sorted(town.document["services"])
            while whole and town.kills + kills < KILLS:
                count, left = min(len(whole), dice.randint(1, AT_ONCE)), KILLS - kills - town.kills
                broken = {whole.pop(): dice.choice(list(REMEDIES)) for _ in range(count)}
                if not IS_LONG:
                    broken, whole = dict(zip(town.document["services"], REMEDIES, strict=True)), []
                town.round(broken, min(left, dice.randint(3, 9)) if IS_LONG else left)
                remedies += len(broken)
            kills += town.kills
            if closing_ is not None:
                closing_.result()
            if IS_LONG:  # a service has to stay up for a minute; meanwhile the next town has its trouble
                closing_ = pool.submit(_end, town, stack)
        if closing_ is not None:
            closing_.result()
    where = "".join(f"\n  {many:4} {what}" for what, many in sorted(fell.items()))
    print(
        f"\n{kills} kills, {remedies} remedies, {n} fleets, {time.monotonic() - began_s:.0f} s; at the time of a kill:{where}"
    )


def _end(town: Town, stack: ExitStack) -> None:
    town.until_closed()
    stack.close()


@posix_only
def test_what_a_killed_keeper_made_worse_the_next_one_takes_back(tmp_path: Path) -> None:
    """Its variables are wrong and it serves; mended, it does not. Who wrote them is dead when that shows."""
    bad = {key: value + LEFTOVER for key, value in GOOD.items()}
    with ExitStack() as stack:
        looks = "expect = { status = 200, below_ms = 200 }"
        town = Town(tmp_path, random.Random(SEED), Counter(), stack, ("one",), "moody", bad, looks)
        town.begin()
        until(lambda: any(one.phase == "proving" for one in town.remedies()), 40)
        town.kill()
        assert town.env("one") == GOOD
        kept = b"".join(file.read_bytes() for file in (town.folder / "data").iterdir())
        assert not [part for part in (b"a.example", b"b.example") if part in kept]
        town.begin()
        until(lambda: town.remedies()[-1].phase == "put-back-variables intended", 60)
        town.kill()
        town.begin()
        until(lambda: len(town.remedies()) == 2 and town.remedies()[-1].state not in ("running", "proving"), 60)
        mended, undone = town.remedies()
        assert (mended.playbook, mended.state, undone.playbook) == ("fix-variables", "unproved", "rollback"), undone
        assert {state for _, state, _ in undone.steps} == {"done"}
        assert town.env("one") == bad
        asked = Counter(what for what, _ in town.changes("one"))
        assert asked == {"PUT BACKEND_CORS_ORIGINS": 2, "PUT ALLOWED_ORIGINS": 2, "POST deploys": 1, "POST rollback": 1}
        until(lambda: town.run.states == {"one": "degraded"}, 20)
