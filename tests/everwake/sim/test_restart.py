"""The simulator stopped and started again, or killed: what was stays, nothing is left running, nothing is torn."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import psutil
import pytest

from everwake.sim.records import Deploy, DeployStatus, Owner, Service, Standing
from everwake.sim.store import Store
from tests.everwake.sim import killed_platform
from tests.everwake.sim.rehearsal import rehearsal, until

KILLS = int(os.environ.get("SOAK", "1"))


async def test_services_come_back_as_they_were(tmp_path: Path) -> None:
    others = psutil.Process().children(recursive=True)
    async with rehearsal(tmp_path) as town:
        awake, drowsy, away = await town.service("awake"), await town.service("drowsy"), await town.service("away")
        await town.platform.set_env(awake, "LATER", "1")
        town.platform.hosted(drowsy).sleep()
        await town.platform.suspend(away)
        deploys, events = town.platform.deploys(awake), town.platform.events(awake)
    left = [each for each in psutil.Process().children(recursive=True) if each not in others]
    assert not [each for each in left if each.status() != psutil.STATUS_ZOMBIE]
    async with rehearsal(tmp_path) as town:
        await until(lambda: town.platform.hosted(awake).is_ready)
        assert (await town.ask(awake))[0] == 200
        assert town.platform.env(awake) == {"LATER": "1"}
        assert town.platform.deploys(awake) == deploys
        assert town.platform.events(awake)[-len(events) :] == events
        assert town.platform.instances(drowsy) == []
        assert town.platform.books.standing(drowsy).is_asleep
        assert await town.ask(away) == (503, "suspend-by-user")
        assert (await town.ask(drowsy))[0] == 200
        assert "==> Your service is live" in town.log(awake)


async def test_a_deploy_that_was_under_way_goes_on(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service("one", "late=1", live=False)
        await until(lambda: town.platform.deploys(one)[0].status is DeployStatus.UPDATING)
        deploy = town.platform.deploys(one)[0]
    async with rehearsal(tmp_path) as town:
        assert (await town.live(one)).id == deploy.id
        assert town.event_types(one).count("deploy_started") == 1


async def test_hours_and_calendar_go_on_where_they_were(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, speed=36_000) as town:
        await town.service()
        await until(lambda: town.platform.hours_used(town.owner.id) > 5)
        used_h = town.platform.hours_used(town.owner.id)
        shown = town.platform.calendar.shows(town.platform.house.clock.now())
    async with rehearsal(tmp_path, speed=1) as town:
        again = town.platform.calendar.shows(town.platform.house.clock.now())
        assert 0 <= (again - shown).total_seconds() < 48 * 3600
        if town.platform.calendar.month(town.platform.house.clock.now()) == shown.strftime("%Y-%m"):
            assert town.platform.hours_used(town.owner.id) >= used_h


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "platform.sqlite3"):
        pass
    assert (tmp_path / "platform.sqlite3").stat().st_mode & 0o077 == 0


def started(folder: Path, seed: int) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "KILLED_SEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-m", killed_platform.__name__, str(folder)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip


def marked(folder: Path) -> list[psutil.Process]:
    """Living processes that a platform on this folder has started."""
    found = []
    for each in psutil.process_iter():
        try:
            if each.environ().get("KILLED_FOLDER") == str(folder) and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except psutil.Error:
            continue
    return found


def torn(folder: Path) -> list[str]:
    """What in the file contradicts itself."""
    found = []
    with Store(folder / "platform.sqlite3") as store:
        check = sqlite3.connect(folder / "platform.sqlite3").execute("PRAGMA integrity_check").fetchone()[0]
        if check != "ok":
            found.append(check)
        deploys: dict[str, list[Deploy]] = {}
        for deploy in store.read(Deploy):
            deploys.setdefault(deploy.service_id, []).append(deploy)
        standings = {each.service_id: each for each in store.read(Standing)}
        for service in store.read(Service):
            live = [each.id for each in deploys.get(service.id, []) if each.status is DeployStatus.LIVE]
            said = standings[service.id].live if service.id in standings else ""
            if live != ([said] if said else []):
                found.append(f"{service.name}: live are {live}, standing says {said!r}")
        if len(store.read(Owner)) != 1:
            found.append("no owner")
    return found


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_a_random_moment_it_leaves_no_process_and_no_torn_state(tmp_path: Path, seed: int) -> None:
    one_kill_after_another(tmp_path, seed, kills=2)


@pytest.mark.soak
@pytest.mark.timeout(60 + 20 * KILLS)
def test_killed_again_and_again_it_leaves_no_process_and_no_torn_state(tmp_path: Path) -> None:
    one_kill_after_another(tmp_path, 1, kills=KILLS)


def one_kill_after_another(folder: Path, seed: int, kills: int) -> None:
    random = Random(seed)
    for _ in range(kills):
        platform = started(folder, random.randrange(10**6))
        assert platform.stdout is not None
        assert platform.stderr is not None
        assert platform.stdout.readline() == b"running\n", platform.stderr.read().decode()
        time.sleep(random.uniform(0.1, 2.5))
        platform.send_signal(signal.SIGKILL)
        platform.communicate(timeout=10)
        deadline = time.monotonic() + 10
        while (left := marked(folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left, [each.cmdline() for each in left]
        assert torn(folder) == []
