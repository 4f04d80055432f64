"""How services live on the simulated platform, with real processes: asleep, woken, crashed, sick, out of memory, out of hours."""

import asyncio
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from everwake.sim.edge.routes import Refusal
from everwake.sim.records import Suspender
from everwake.sim.verbs import LogQuery, Refused
from tests.everwake.sim.rehearsal import QUICK, Rehearsal, rehearsal, until

DROWSY = replace(QUICK, idle_s=1.5)


async def asleep(town: Rehearsal, service_id: str) -> None:
    """Until it has fallen asleep by itself."""
    await until(lambda: town.platform.books.standing(service_id).is_asleep)
    await until(lambda: not town.platform.instances(service_id))


async def put_to_sleep(town: Rehearsal, service_id: str) -> None:
    """As after the idle time, and it does not fall asleep again while a busy machine runs the test."""
    town.platform.hosted(service_id).sleep()
    await asleep(town, service_id)


async def test_a_free_service_without_inbound_traffic_falls_asleep_and_is_woken_by_a_request_that_is_held(
    tmp_path: Path,
) -> None:
    async with rehearsal(tmp_path, DROWSY) as town:
        one = await town.service()
        first = town.platform.instances(one)[0].id
        await asleep(town, one)
        assert "Shutting down" in town.log(one, first)
        status, body = await town.ask(one)
        assert status == 200
        assert json.loads(body)["instance"] != first


async def test_inbound_messages_on_an_open_line_keep_it_awake(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, DROWSY) as town:
        one = await town.service()
        for _ in range(12):
            await asyncio.sleep(0.2)
            town.platform.inbound(one)
        assert not town.platform.books.standing(one).is_asleep
        await asleep(town, one)


async def test_a_paid_service_never_sleeps(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, DROWSY) as town:
        one = await town.service(plan="starter")
        await asyncio.sleep(2.0)
        assert town.platform.instances(one)


async def test_a_browser_gets_the_loading_page_at_once_and_many_held_requests_wake_one_instance(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, replace(QUICK, wake_burst=30)) as town:
        one = await town.service("one", "late=0.5")
        await put_to_sleep(town, one)
        to = await town.platform.route(one, wants_html=True)
        assert isinstance(to, Refusal)
        assert (to.status, to.routing, to.retry_after_s) == (503, "hibernate-pending-wake", 5)
        assert to.content_type.startswith("text/html")
        answers = await asyncio.gather(*(town.ask(one) for _ in range(20)))
        assert {status for status, _ in answers} == {200}
        assert len({body for _, body in answers}) == 1


async def test_too_many_wake_requests_are_throttled(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, replace(QUICK, wake_burst=3, wake_refill_s=60)) as town:
        one = await town.service("one", "late=1")
        await put_to_sleep(town, one)
        seen = [await town.ask(one, html=True) for _ in range(5)]
        assert seen == [(503, "hibernate-pending-wake")] * 3 + [(429, "hibernate-rate-limited")] * 2


async def test_woken_but_crashing_the_edge_gives_up_and_it_sleeps_on(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, QUICK) as town:
        one = await town.service()
        await put_to_sleep(town, one)
        service = town.platform.service(one)
        live = town.platform.books.live(one)
        assert live is not None
        town.platform.books.put(replace(live, env={"BAD": "1"}))
        assert await town.ask(one) == (503, "hibernate-wake-error")
        assert town.events(one, "server_failed")[-1]["reason"] == {"evicted": False, "nonZeroExit": 1}
        assert "ValidationError: 1 validation error for Settings - BAD" in town.log(one)
        assert town.platform.books.standing(one).is_asleep
        assert service.suspenders == frozenset()


async def test_the_edge_holds_a_request_no_longer_than_it_waits_for_a_wake(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, replace(QUICK, wake_gives_up_s=0.4)) as town:
        one = await town.service("one", "late=1.2")
        await put_to_sleep(town, one)
        assert await town.ask(one) == (503, "hibernate-wake-error")
        await until(lambda: town.platform.hosted(one).is_ready)
        assert (await town.ask(one))[0] == 200


async def test_a_crash_is_an_event_with_its_reason_and_the_service_comes_back_by_itself(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        with pytest.raises(Exception, match=r".*"):
            await town.ask(one, "/crash")
        await until(lambda: town.events(one, "server_failed"))
        assert town.events(one, "server_failed")[0]["reason"] == {"evicted": False, "nonZeroExit": 3}
        await until(lambda: town.platform.hosted(one).is_ready)
        assert (await town.ask(one))[0] == 200
        assert town.event_types(one)[-2:] == ["server_failed", "server_available"]


async def test_the_delays_between_restarts_grow(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, replace(QUICK, first_restart_s=0.3, longest_restart_s=5)) as town:
        one = await town.service("one", "after=0.1")
        await until(lambda: len(town.events(one, "server_failed")) >= 4)
        lines = town.platform.logs(LogQuery(services=(one,), newest_first=False, limit=1000)).entries
        told = [each for each in lines if each.text.startswith(("==> Exited with status", "==> Running"))]
        waits = [
            (b.at - a.at).total_seconds() for a, b in pairwise(told)
            if a.text.startswith("==> Exited") and b.text.startswith("==> Running")
        ]  # fmt: skip
        assert waits[1] >= 0.3
        assert waits[2] >= 0.6


async def test_a_crash_loop_without_end_is_suspended_by_the_platform_and_its_owner_can_resume_it(
    tmp_path: Path,
) -> None:
    async with rehearsal(
        tmp_path, replace(QUICK, first_restart_s=0.01, longest_restart_s=0.01, crashloop_tries=3)
    ) as town:
        one = await town.service("one", "after=0.05")
        await until(lambda: Suspender.CRASHLOOPING in town.platform.service(one).suspenders)
        assert await town.ask(one) == (503, "suspend")
        assert town.events(one, "suspender_added")[-1]["actor"] == "stuck_crashlooping"
        assert (await town.platform.resume(one)).suspenders == frozenset()


async def test_a_sick_instance_is_taken_out_of_rotation_and_then_restarted(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        sick = town.platform.instances(one)[0].id
        await town.ask(one, "/sick")
        await until(lambda: "server_unhealthy" in town.event_types(one))
        assert await town.ask(one) == (502, "no-deploy")
        await until(lambda: town.platform.hosted(one).is_ready)
        failed = town.events(one, "server_failed")[0]
        assert failed["instanceID"] == sick
        assert "unhealthy" in failed["reason"]  # type: ignore[operator]
        assert json.loads((await town.ask(one))[1])["instance"] != sick


async def test_more_memory_than_the_plan_gives_is_the_end_of_an_instance(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service("one", "eats=600", live=False)
        await until(lambda: town.events(one, "server_failed"))
        assert town.events(one, "server_failed")[0]["reason"] == {
            "evicted": False,
            "oomKilled": {"memoryLimit": "512Mi"},
        }
        assert "==> Out of memory (used over 512Mi)" in town.log(one)


async def test_suspended_by_its_owner_it_is_stopped_until_it_is_resumed_by_a_deploy(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        await town.platform.suspend(one)
        assert await town.ask(one) == (503, "suspend-by-user")
        await until(lambda: not town.platform.instances(one))
        for refused in (town.platform.create_deploy(one), town.platform.restart(one)):
            with pytest.raises(Refused) as why:
                await refused
            assert why.value.status == 409
        await town.platform.resume(one)
        assert (await town.live(one)).trigger == "service_resumed"
        assert (await town.ask(one))[0] == 200
        types = town.event_types(one)
        assert [each for each in types if "susp" in each or "resumed" in each] == [
            "suspender_added", "service_suspended", "suspender_removed", "service_resumed",
        ]  # fmt: skip


async def test_a_restart_rolls_over_to_a_new_instance_of_the_same_deploy(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        old = town.platform.instances(one)[0].id
        await town.platform.restart(one)
        await until(lambda: len(town.platform.instances(one)) == 2)
        assert (await town.ask(one))[0] == 200
        await until(
            lambda: (
                [each.id for each in town.platform.instances(one)] not in ([old], [])
                and len(town.platform.instances(one)) == 1
            )
        )
        assert len(town.platform.deploys(one)) == 1
        assert town.events(one, "server_restarted") == [{"triggeredByUser": "owner@example.com"}]


async def test_hours_used_up_suspend_every_free_service_until_the_first_of_the_month(tmp_path: Path) -> None:
    # 31 days in about 3 s: 1,000,000 times as fast, and the 750 h of two services are used up half-way.
    async with rehearsal(tmp_path, replace(QUICK, free_hours=400), speed=1_000_000) as town:
        one, paid = await town.service("one"), await town.service("paid", plan="starter")
        month = town.platform.calendar.month(town.platform.house.clock.now())
        await until(lambda: Suspender.BILLING in town.platform.service(one).suspenders)
        assert await town.ask(one) == (503, "suspend")
        assert town.platform.service(paid).suspenders == frozenset()
        assert town.events(one, "suspender_added")[-1] == {"actor": "billing"}
        await until(lambda: Suspender.BILLING not in town.platform.service(one).suspenders)
        assert town.platform.calendar.month(town.platform.house.clock.now()) > month
        assert (await town.ask(one))[0] == 200
        assert town.event_types(one).count("service_resumed") >= 1


async def test_a_service_asleep_uses_no_hours(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, DROWSY, speed=3600) as town:
        one = await town.service()
        await asleep(town, one)
        await asyncio.sleep(2.5)
        used_h = town.platform.hours_used(town.owner.id)
        assert 0 < used_h < 100
        await asyncio.sleep(2.5)
        assert town.platform.hours_used(town.owner.id) == used_h


async def test_a_host_that_is_bound_to_nothing_is_no_server(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service("chatbot")
        assert town.platform.service_of("chatbot.localhost") == one
        assert town.platform.service_of("Chatbot.localhost.") == one
        assert town.platform.service_of("chatbot-ww0z.localhost") == ""
        assert await town.ask("") == (404, "no-server")


async def test_the_log_can_be_read_page_by_page_from_either_end_and_followed(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        following = town.platform.subscribe(LogQuery(services=(one,), texts=("asked for*/later",)))
        line = asyncio.create_task(anext(following))
        await asyncio.sleep(0)
        await town.ask(one, "/later")
        heard = await asyncio.wait_for(line, 5)
        assert re.search("asked for /later", heard.text)
        assert heard in town.platform.logs(LogQuery(services=(one,), limit=100)).entries
        await following.aclose()  # type: ignore[attr-defined]
        for newest_first in (True, False):
            query, seen = LogQuery(services=(one,), newest_first=newest_first, limit=2, types=("app",)), []
            while True:
                page = town.platform.logs(query)
                seen += page.entries
                if not page.has_more:
                    break
                query = replace(query, since=page.next_since, until=page.next_until)
            whole = town.platform.logs(replace(query, since=None, until=None, limit=100)).entries
            assert len(seen) == len(set(seen)) > 4
            assert tuple(seen) == whole[: len(seen)]


async def test_a_deploy_that_takes_too_much_memory_before_it_listens_fails_for_that(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service("one", "hoards=600", "late=20", live=False)
        assert (await town.ended(one)).status == "update_failed"
        assert town.events(one, "server_failed")[0]["reason"] == {
            "evicted": False,
            "oomKilled": {"memoryLimit": "512Mi"},
        }


async def test_restarted_while_asleep_it_is_awake_for_another_idle_time(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, DROWSY) as town:
        one = await town.service()
        await asleep(town, one)
        await town.platform.restart(one)
        await until(lambda: town.platform.hosted(one).is_ready)
        assert not town.platform.books.standing(one).is_asleep
        await asleep(town, one)
