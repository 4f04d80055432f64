"""Asleep on purpose, woken ahead because a user opens the page, then proved alive: real processes, and a platform that puts to
sleep whoever hears nothing for 30 s.
"""

import json
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from tests.everwake.cli.test_cli import everwake_says
from tests.support.up_run import until, up_in
from tests.system.test_rehearsal import Rehearsal

pytestmark = [
    pytest.mark.xdist_group("awake"),
    pytest.mark.skipif(sys.platform == "win32", reason="stops what it started with SIGINT"),
]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder = tmp_path_factory.mktemp("awake")
    with up_in(folder, "--fast", "--quiet") as run:
        yield Rehearsal(run, folder)
        assert run.told()[0] == 0
        assert run.left() == []


def test_one_on_demand_is_left_alone_until_it_sleeps_and_is_woken_when_a_user_opens_the_page(
    rehearsal: Rehearsal,
) -> None:
    # First of all: whoever chats holds the chatbot awake for ten minutes.
    file = rehearsal.run.data / "everwake.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('repair = "auto"', 'repair = "auto"\nawake = "on-demand"', 1), encoding="utf-8")
    rehearsal.until_state("chatbot", "asleep", within_s=20)
    until(lambda: "chatbot" in rehearsal.platform()["asleep"], 80)
    view = rehearsal.keeper("/api/v1/services/chatbot")
    assert (view["state"], view["rests"], view["next_check_at"], view["incident"]) == ("asleep", True, None, None)
    with urlopen(rehearsal.run.at("backend") + "/api/v1/chat/personalities", timeout=30) as answer:
        assert answer.status == 200
    rehearsal.until_state("chatbot", "up", within_s=60)
    assert "chatbot" not in rehearsal.platform()["asleep"]


def test_the_whole_fleet_is_proved_alive_by_all_seven_criteria(rehearsal: Rehearsal) -> None:
    for name in ("chatbot", "backend", "redis-service"):
        rehearsal.until_state(name, "up")
    document = json.loads(rehearsal.says("verify", "--soak", "10s", "--json"))
    assert document["proved"] is True
    by_name = {one["name"]: one for one in document["services"]}
    assert [each["met"] for each in by_name["chatbot"]["criteria"]] == [True] * 7
    assert "through backend" in by_name["chatbot"]["criteria"][4]["said"]
    assert set(by_name["redis-service"]["lacking"]) == {"sessions", "messages"}


def test_the_hours_are_those_of_the_platforms_own_calendar(rehearsal: Rehearsal) -> None:
    found = json.loads(_budget(rehearsal))["platforms"]["sim"]
    inside = rehearsal.platform()
    assert (found["speed"], found["allowance_h"]) == (30.0, 750.0)
    assert 0 < found["used_h"] <= inside["hours_used"] + 0.01  # rounded to two places
    assert {one["name"] for one in found["services"]} == {"chatbot", "backend", "redis-service"}
    until(lambda: rehearsal.keeper("/api/v1/hours")["platforms"], 30)


def _budget(rehearsal: Rehearsal) -> str:
    """Whether three of them last depends on the day of the month, and so does the exit code."""
    said = everwake_says("budget", "--json", "--data", str(rehearsal.run.data))
    assert said.returncode in (0, 1), said
    return said.stdout
