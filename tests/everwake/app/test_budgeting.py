"""Hours of a real platform API on loopback: by its count, by our looks, or assumed; a simulator's by its own calendar."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from json import loads
from pathlib import Path

import pytest

from everwake.app.budgeting import Asked, budget
from everwake.app.saving import Saving
from everwake.budget.ledger import Source
from everwake.budget.telling import headline
from everwake.clock import SystemClock
from everwake.errors import Misused, OutOfReach
from everwake.fleet.schema import Fleet, Service
from everwake.history.moves import moves_in
from everwake.history.sqlite import History
from everwake.model import Level, State, Transition
from everwake.ports import Notice, Standing
from everwake.sim.records import Suspender
from tests.support.fake_clock import FakeClock
from tests.support.fake_workspace import KEY, FakeWorkspace
from tests.support.sim_api import Served, served

CALENDAR = datetime(2026, 11, 5, tzinfo=UTC)


class Fast:
    """A simulator's inside: its calendar shows the 5th of a month of 30 days, and runs 30 times as fast."""

    free_hours = 750.0

    def listed(self) -> list[Mapping[str, object]]:
        return []

    def broken(self, owner_id: str) -> Mapping[str, str]:
        return {}

    async def fire(self, service_id: str, how: str) -> Mapping[str, object]:
        return {}

    def state(self, owner_id: str) -> Mapping[str, object]:
        return {"speed": 30.0, "calendar": CALENDAR.isoformat(), "free_hours": self.free_hours}


def workspace() -> FakeWorkspace:
    made = FakeWorkspace(SystemClock())
    for name in ("chatbot", "backend", "redis"):
        made.add(name)
    return made


def fleet_file(folder: Path, api: Served, held: FakeWorkspace, awake: str = "always") -> Path:
    rows = [
        f'[[service]]\nname = "{one.name}"\nurl = "http://{one.name}.localhost"\nplatform = "sim"\nplatform_id = "{one.id}"\n'
        f'plan = "free"\nawake = "{awake}"\n'
        for one in held.held.values()
    ]
    head = f'[fleet]\nname = "f"\n[platform.sim]\nurl = "{api.url}"\napi_key = {{ env = "KEY" }}\n'
    path = folder / "everwake.toml"
    path.write_text(head + "".join(rows), encoding="utf-8")
    return path


async def test_three_round_the_clock_are_answered_with_the_day_it_ends_and_three_ways_out(tmp_path: Path) -> None:
    held = workspace()
    async with served(held, drills=Fast()) as api:
        asked = Asked(fleet=fleet_file(tmp_path, api, held), data=tmp_path, environ={"KEY": KEY})
        hours = (await budget(asked)).hours["sim"]
    assert (hours.speed, hours.now, hours.forecast.used_h) == (30.0, CALENDAR, pytest.approx(12.5))
    assert hours.forecast.ends_at is not None
    assert hours.forecast.ends_at.day == 15
    assert len(hours.ways) == 3


@pytest.mark.parametrize(
    ("awake", "code", "said"), [("always", 1, "They end on"), ("on-demand", 0, "They last the month")]
)
async def test_the_command_says_it_and_its_exit_code_whether_they_last(
    tmp_path: Path, awake: str, code: int, said: str
) -> None:
    held = workspace()
    async with served(held, drills=Fast()) as api:
        file = fleet_file(tmp_path, api, held, awake)
        argv = [sys.executable, "-m", "everwake", "budget", "--fleet", str(file), "--data", str(tmp_path)]
        run = await asyncio.to_thread(
            subprocess.run, argv, capture_output=True, timeout=60, check=False, env={**os.environ, "KEY": KEY}
        )
    assert run.returncode == code, run.stderr.decode()
    assert said in run.stdout.decode()
    assert ("ways to make them last" in run.stdout.decode()) is (code == 1)


async def test_hours_that_are_used_up_say_since_when_until_when_and_what_can_still_be_done(tmp_path: Path) -> None:
    held, fast = workspace(), Fast()
    fast.free_hours = 10.0
    for id, one in list(held.held.items()):
        held.held[id] = replace(one, suspenders=frozenset({Suspender.BILLING}))
        held.happen(id, "suspender_added", actor="billing")
    async with served(held, drills=fast) as api:
        asked = Asked(fleet=fleet_file(tmp_path, api, held), data=tmp_path, environ={"KEY": KEY})
        hours = (await budget(asked)).hours["sim"]
        argv = [sys.executable, "-m", "everwake", "budget", "--fleet", str(asked.fleet), "--data", str(tmp_path)]
        env = {**os.environ, "KEY": KEY}
        told, json = [
            await asyncio.to_thread(
                subprocess.run, [*argv, *more], capture_output=True, timeout=60, check=False, env=env
            )
            for more in ([], ["--json"])
        ]
    ended = hours.forecast.ended
    assert ended is not None
    assert ended.since is not None
    assert timedelta(0) <= CALENDAR - ended.since < timedelta(hours=1), "by its own calendar"
    assert (hours.forecast.ends_at, ended.suspended) == (ended.since, ("chatbot", "backend", "redis"))
    assert (told.returncode, json.returncode) == (1, 1)
    text = " ".join(told.stdout.decode().split())
    assert "The 10 h are used up since Wednesday 4 November, 23:5" in text
    assert "chatbot, backend and redis are suspended until Tuesday 1 December, 00:00 UTC, when 10 h begin anew." in text
    assert "ways out: 1. wait until 1 December" in text
    assert "3. move what is needed before that to a paid instance" in text
    said = loads(json.stdout)["platforms"]["sim"]
    assert (said["lasts"], said["ended"]["again_at"], len(said["ways"])) == (False, "2026-12-01T00:00:00Z", 3)
    assert said["ways"][0] == {
        "says": "wait until 1 December; planned as now, the new hours end on 1 December",
        "awake": dict.fromkeys(("chatbot", "backend", "redis"), "always"), "costs": 0, "lasts": False, "spare_h": None,
    }  # fmt: skip


async def test_who_was_suspended_in_another_month_or_says_nothing_of_it_has_no_day_for_it(tmp_path: Path) -> None:
    held = workspace()
    for id, one in list(held.held.items()):
        held.held[id] = replace(one, suspenders=frozenset({Suspender.BILLING}))
    async with served(held, drills=Fast()) as api:
        asked = Asked(fleet=fleet_file(tmp_path, api, held), data=tmp_path, environ={"KEY": KEY})
        hours = (await budget(asked)).hours["sim"]
    assert hours.forecast.ended is not None
    assert hours.forecast.ended.since is None
    assert "suspended all free services, as it does when the 750 h are used up (here 1" in headline(hours)


@pytest.mark.parametrize("more", ["", "[platform.render]\n"])
async def test_a_fleet_whose_services_name_no_platform_is_told_what_to_write(tmp_path: Path, more: str) -> None:
    file = tmp_path / "everwake.toml"
    file.write_text(
        f'[fleet]\nname = "f"\n{more}[[service]]\nname = "a"\nurl = "https://a.example"\n', encoding="utf-8"
    )
    with pytest.raises(Misused, match=r"no service of .*everwake\.toml names a platform") as found:
        await budget(Asked(fleet=file, data=tmp_path, environ={}))
    assert found.value.hint == 'write platform = "render" to each service that runs there, and set RENDER_API_KEY'
    assert found.value.exit_code == 2


async def test_on_demand_lasts_and_round_the_clock_is_told_beside_it(tmp_path: Path) -> None:
    held = workspace()
    async with served(held, drills=Fast()) as api:
        asked = Asked(fleet=fleet_file(tmp_path, api, held, "on-demand"), data=tmp_path, environ={"KEY": KEY})
        hours = (await budget(asked)).hours["sim"]
    assert hours.forecast.lasts
    assert hours.around_the_clock is not None
    assert not hours.around_the_clock.lasts


async def test_a_platform_that_does_not_answer_is_out_of_reach(tmp_path: Path) -> None:
    held = workspace()
    async with served(held) as api:
        path = fleet_file(tmp_path, api, held)
    with pytest.raises(OutOfReach):
        await budget(Asked(fleet=path, data=tmp_path, environ={"KEY": KEY}))


async def test_without_a_key_what_is_missing_is_said(tmp_path: Path) -> None:
    held = workspace()
    async with served(held) as api:
        path = fleet_file(tmp_path, api, held)
        path.write_text(path.read_text().replace('api_key = { env = "KEY" }', ""), encoding="utf-8")
        with pytest.raises(OutOfReach, match="there is no key"):
            await budget(Asked(fleet=path, data=tmp_path, environ={}))


# --- from our own history ---------------------------------------------------------------------------------------------


async def test_the_history_tells_which_state_each_was_in_and_when_nobody_looked(tmp_path: Path) -> None:
    clock = FakeClock()
    history = History(tmp_path / "h.sqlite3", clock)
    history.open()
    began = clock.now()
    for hours, old, new in ((0, State.UNKNOWN, State.UP), (2, State.UP, State.ASLEEP)):
        at = began + timedelta(hours=hours)
        move = Transition(service="a", old=old, new=new, at=at)
        history.moved(move, Standing(service="a", state=new, since=at))
        assert history.flush()
        await clock.advance(2 * 3600)
    history.close()
    found = moves_in(tmp_path / "h.sqlite3", began - timedelta(days=1))
    assert set(found) == {"a"}
    states = [state for _, state in found["a"]]
    assert states[-1] is State.UNKNOWN, "after the last keeper nobody knows"
    assert states.index(State.UP) < states.index(State.ASLEEP)
    assert all(began <= at <= clock.now() for at, _ in found["a"]), "before the first keeper nothing is known"
    assert moves_in(tmp_path / "none.sqlite3", began) == {}


async def test_what_the_platform_does_not_count_is_taken_from_our_looks_else_assumed() -> None:
    from everwake.app.budgeting import hours_of
    from everwake.model import PlatformService

    class Uncounted:
        name, verbs = "render", frozenset[str]()

    now = datetime(2026, 11, 5, tzinfo=UTC)
    services = [PlatformService(id=f"srv-{n}", name=n, url="", type="web_service", plan="free") for n in ("a", "b")]
    moves = {"a": [(now - timedelta(days=4), State.UP), (now - timedelta(days=3), State.ASLEEP)]}
    hours = await hours_of(Uncounted(), services, moves=moves, now=now)  # type: ignore[arg-type]
    assert hours is not None
    seen, assumed = hours.usages
    assert (seen.source, seen.used_h) == (Source.SEEN, 24.0)
    assert (assumed.source, assumed.low_h, assumed.high_h) == (Source.ASSUMED, 0.0, 96.0)


# --- while a keeper runs ----------------------------------------------------------------------------------------------


class NoDoors:
    def __init__(self, door: object) -> None:
        self.door = door

    async def of(self, service: Service) -> object:
        return self.door


async def test_people_are_told_once_a_month_and_the_log_once_for_each_day_it_ends_on(tmp_path: Path) -> None:
    from everwake.app.diagnosing import Doors
    from everwake.checks import specs
    from everwake.fleet.load import load

    held, fast = workspace(), Fast()
    lines: list[tuple[Level, str]] = []
    notices: list[Notice] = []
    async with served(held, drills=fast) as api:
        fleet = load(fleet_file(tmp_path, api, held), {"KEY": KEY}, specs())

        async def moves(since: datetime) -> dict[str, list[tuple[datetime, State]]]:
            return {}

        async with Doors(fleet, {"KEY": KEY}) as doors:
            saving = Saving(
                SystemClock(), doors, {}, fleet=lambda: fleet, moves=moves, resting=lambda: (),
                stands=lambda name, runs, by: None, say=lambda level, text: lines.append((level, text)),
                notify=notices.append, link="http://keeper",
            )  # fmt: skip
            for _ in range(3):
                await saving.count()
            assert [level for level, _ in lines] == [Level.WARNING]
            assert "They end on" in lines[0][1]
            assert "The cheapest change that lasts the month: " in lines[0][1]
            assert {notice.key for notice in notices} == {"hours:sim:2026-11"}
            assert notices[0].title == "f: the free hours end on 15 November"
            fast.free_hours = 5_000.0
            await saving.count()
            assert [level for level, _ in lines] == [Level.WARNING, Level.SUCCESS]
            fast.free_hours = 10.0
            for _ in range(3):
                await saving.count()
            for id, one in list(held.held.items()):
                held.held[id] = replace(one, suspenders=frozenset({Suspender.BILLING}))
            for _ in range(3):
                await saving.count()
    assert [level for level, _ in lines] == [Level.WARNING, Level.SUCCESS, Level.WARNING, Level.WARNING]
    assert "yet the platform has suspended nobody" in lines[2][1]
    assert "chatbot, backend and redis are suspended until Tuesday 1 December" in lines[3][1]
    assert {one.key: one.title for one in notices} == {
        "hours:sim:2026-11": "f: the free hours end on 15 November",
        "hours:sim:2026-11:counted": "f: the free hours are used up by our count",
        "hours:sim:2026-11:ended": "f: the free hours are used up",
    }
    assert "Ways out:\n1. wait until 1 December" in notices[-1].body
    assert "3. move what is needed before that to a paid instance" in notices[-1].body


async def test_who_rests_stands_as_its_platform_says_and_as_nobody_knows_when_that_is_silent() -> None:
    from everwake.model import PlatformService

    class Platform:
        async def service(self, id: str) -> PlatformService:
            if id == "srv-silent":
                raise OutOfReach("no answer")
            running = ("i-1",) if id == "srv-runs" else ()
            stopped = ("billing",) if id == "srv-stopped" else ()
            return PlatformService(
                id=id, name=id, url="", type="web_service", plan="free", instances=running, suspenders=stopped
            )

    names = ("runs", "sleeps", "stopped", "silent")
    services = tuple(
        Service(name=name, url="http://x", platform="sim", platform_id=f"srv-{name}", awake="on-demand")
        for name in names
    )
    fleet = Fleet(name="f", services=services)
    stood: dict[str, tuple[bool | None, tuple[str, ...]]] = {}

    async def moves(since: datetime) -> dict[str, list[tuple[datetime, State]]]:
        return {}

    saving = Saving(
        FakeClock(), NoDoors(Platform()), {}, fleet=lambda: fleet, moves=moves, resting=lambda: names,  # type: ignore[arg-type]
        stands=lambda name, runs, by: stood.update({name: (runs, by)}), say=lambda level, text: None,
        notify=lambda notice: None,
    )  # fmt: skip
    await saving.ask()
    assert stood == {
        "runs": (True, ()), "sleeps": (False, ()), "stopped": (False, ("billing",)), "silent": (None, ()),
    }  # fmt: skip


async def test_it_counts_again_and_again_until_it_is_ended() -> None:
    clock, counted = FakeClock(), 0
    fleet = Fleet(name="f", services=(Service(name="a", url="http://x"),))

    def now() -> Fleet:
        nonlocal counted
        counted += 1
        return fleet

    async def moves(since: datetime) -> dict[str, list[tuple[datetime, State]]]:
        return {}

    saving = Saving(
        clock, NoDoors(None), {}, fleet=now, moves=moves, resting=lambda: (), stands=lambda name, runs, by: None,  # type: ignore[arg-type]
        say=lambda level, text: None, notify=lambda notice: None,
    )  # fmt: skip
    running = asyncio.create_task(saving.run())
    await clock.advance(1_000)
    running.cancel()
    await asyncio.wait({running})
    assert counted >= 2
    assert saving.counted is None
