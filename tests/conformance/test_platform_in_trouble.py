"""What the adapter makes of an API that refuses, loses answers, stalls, cuts, answers nonsense, or is not there."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everwake.errors import EverwakeError, Finding, Misused, OutOfReach
from everwake.fleet.schema import Secret
from everwake.platforms import _intentions
from everwake.platforms._kind import Access
from everwake.platforms.render import Render
from everwake.sim.records import Trigger
from tests.conformance.conftest import Scene, intend, quick, trouble, until
from tests.support import faulty
from tests.support.hasty_clock import HastyClock
from tests.support.processes import free_port

CREATE = r"^POST .*/deploys$"


# --- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"status": 500}, {"status": 502}, {"status": 503}, {"status": 520}, {"cut": True}, {"body": b"<html>"},
        {"body": b"[" * 90_000},
        {"first": True, "cut": True}, {"status": 429, "headers": {"retry-after": "0"}},
    ],
)  # fmt: skip
async def test_a_read_is_tried_again_until_it_is_answered(fake: Scene, how: dict[str, Any]) -> None:
    trouble(fake, "GET", times=3, **how)
    platform = await fake.adapter()
    assert len(await platform.services()) == 1
    assert fake.api.troubled.asked("GET") == 4


@pytest.mark.parametrize("how", [{"status": 500}, {"cut": True}, {"body": b"nonsense"}, {"status": 429}])
async def test_a_read_that_is_never_answered_is_out_of_reach(fake: Scene, how: dict[str, Any]) -> None:
    trouble(fake, "GET", times=-1, **how)
    with pytest.raises(OutOfReach) as away:
        await (await fake.adapter()).services()
    assert away.value.hint
    assert fake.api.troubled.asked("GET") == quick().tries


async def test_a_connection_that_says_nothing_is_given_up(fake: Scene) -> None:
    trouble(fake, "GET", times=-1, hang=True)
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(OutOfReach, match=r"no answer within 0\.2 s"):
        await (await fake.adapter(manners=quick(answer_s=0.2, tries=3))).services()
    assert asyncio.get_running_loop().time() - began_s < 5


async def test_a_slow_answer_is_waited_for(fake: Scene) -> None:
    trouble(fake, "GET", late_s=0.3)
    assert len(await (await fake.adapter()).services()) == 1
    assert fake.api.troubled.asked("GET") == 1


async def test_an_answer_without_end_is_not_read_to_its_end(fake: Scene) -> None:
    trouble(fake, "GET", times=-1, body=b"[" + b" " * 3_000_000 + b"]")
    with pytest.raises(OutOfReach, match="more than 1 MiB"):
        await (await fake.adapter(manners=quick(body_limit_bytes=2**20, tries=1))).services()


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b"[1]", b'[{"service": 5}]', b'[{"service": {}}]', b'[{"service": {"id": 5}}]', b'"x"']
)
async def test_an_answer_of_another_shape_is_told_as_that(fake: Scene, body: bytes) -> None:
    trouble(fake, "GET", times=-1, body=body)
    with pytest.raises(OutOfReach, match="something else than was asked for"):
        await (await fake.adapter()).services()


async def test_a_server_that_always_has_another_page_comes_to_an_end(fake: Scene) -> None:
    count = iter(range(100_000))

    def another(_: Any) -> Any:
        return [{"service": {"id": f"srv-{next(count)}", "name": "x"}, "cursor": f"c{next(count)}"} for _ in range(100)]

    trouble(fake, "GET", times=-1, status=200, changed=another)
    assert len(await (await fake.adapter()).services()) == 5_000
    fake.api.troubled.ahead.clear()
    trouble(
        fake,
        "GET .*/logs",
        times=-1,
        changed=lambda page: {
            **page,
            "hasMore": True,
            "nextStartTime": "2026-01-01T00:00:00Z",
            "nextEndTime": "2026-01-01T00:00:00Z",
        },
    )
    assert await (await fake.adapter()).logs(fake.id, datetime.now(UTC) - timedelta(hours=1)) == []
    assert fake.api.troubled.asked("GET .*/logs$") < 5


async def test_lines_that_come_twice_or_out_of_order_are_put_right(fake: Scene) -> None:
    began = datetime.now(UTC)
    for n in range(5):
        await fake.say(f"line {n}")
    trouble(fake, "GET .*/logs", changed=lambda page: {**page, "logs": [*page["logs"][2:], *page["logs"]]})
    assert [each.text for each in await (await fake.adapter()).logs(fake.id, began)] == [f"line {n}" for n in range(5)]


# --- names that came later ----------------------------------------------------------------------------------------------


def _renamed(**changes: Any) -> Callable[[Any], Any]:
    """Every object that has one of these keys has the new value."""

    def change(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: changes.get(key, change(value)) for key, value in node.items()}
        return [change(each) for each in node] if isinstance(node, list) else node

    return change


async def test_a_name_that_is_newer_than_the_package_is_passed_on_or_unknown(fake: Scene) -> None:
    platform = await fake.adapter()
    new = _renamed(
        status="hovering", trigger="ai_agent", type="hologram", suspenders=["user", "the_weather"], plan="galactic",
        region="moon", autoDeploy="sometimes", runtime="cobol", notifyOnFail="shout",
    )  # fmt: skip
    trouble(fake, "GET", times=-1, changed=new)
    service = await platform.service(fake.id)
    assert (service.type, service.suspenders, service.plan, service.region) == (
        "hologram",
        ("user", "the_weather"),
        "galactic",
        "moon",
    )
    (deploy,) = await platform.deploys(fake.id)
    assert (deploy.status, deploy.trigger) == ("unknown", "unknown")
    assert {each.type for each in await platform.events(fake.id)} == {"hologram"}
    told = [each async for each in platform.follow(fake.id, deploy.id)]
    assert [each.status for each in told] == ["unknown"], "a status that nobody knows is not waited for"


async def test_what_is_missing_or_new_in_an_answer_harms_nothing(fake: Scene) -> None:
    bare = [{"service": {"id": fake.id, "name": "chatbot", "hologram": {"deep": [1]}}, "cursor": "x"}]
    trouble(fake, "GET", times=1, changed=lambda _: bare)
    (service,) = await (await fake.adapter()).services()
    assert (service.id, service.url, service.type, service.created_at) == (fake.id, "", "unknown", None)


# --- limits -------------------------------------------------------------------------------------------------------------


async def test_it_waits_as_long_as_it_is_told_to(fake: Scene) -> None:
    clock = HastyClock()
    trouble(fake, "GET", times=2, status=429, headers={"retry-after": "20"})
    assert len(await (await fake.adapter(clock=clock)).services()) == 1
    assert [round(each) for each in clock.waited] == [20, 20]


async def test_it_does_not_wait_for_ever_but_says_how_long_it_would_be(fake: Scene) -> None:
    clock = HastyClock()
    trouble(fake, "GET", times=-1, status=429, headers={"retry-after": "3600"})
    with pytest.raises(OutOfReach, match=r"360[01] s") as away:
        await (await fake.adapter(clock=clock)).services()
    assert clock.waited == []
    assert "rate limit" in (away.value.hint or "")


@pytest.mark.parametrize("epoch", [False, True])
async def test_a_window_that_is_used_up_is_waited_out_before_the_next_call(fake: Scene, epoch: bool) -> None:
    clock = HastyClock()
    reset = str(int(clock.now().timestamp()) + 30) if epoch else "30"
    told = {"ratelimit-remaining": "0", "ratelimit-reset": reset}
    trouble(fake, "GET", changed=lambda it: it, headers=told)
    platform = await fake.adapter(clock=clock)
    await platform.services()
    assert clock.waited == []
    await platform.services()
    assert 27 <= sum(clock.waited) <= 31
    assert fake.api.troubled.asked("GET") == 2, "no call was wasted on a refusal"


async def test_a_refusal_for_being_too_many_is_no_lost_answer(fake: Scene) -> None:
    before = fake.deploys()
    trouble(fake, CREATE, times=2, status=429, headers={"retry-after": "0"})
    await (await fake.adapter()).deploy(fake.id, intention=intend())
    assert (fake.deploys(), fake.api.troubled.asked(CREATE)) == (before + 1, 3)


# --- keys and addresses -------------------------------------------------------------------------------------------------


async def test_a_key_that_is_refused_names_where_it_came_from(fake: Scene) -> None:
    fake.key = "some-other-key"
    platform = await fake.adapter()
    with pytest.raises(OutOfReach) as refused:
        await platform.services()
    assert "RENDER_API_KEY" in refused.value.message
    assert "RENDER_API_KEY" in (refused.value.hint or "")
    assert fake.api.troubled.asked("GET") == 1, "it would not be another one the next time"
    with pytest.raises(OutOfReach, match="refused the key"):
        await anext(platform.follow_logs(fake.id))


async def test_the_key_is_in_no_log_line_no_error_and_no_repr(fake: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "websockets", "websockets.client", "everwake"):
        caplog.set_level(logging.DEBUG, logger=name)
    told: list[str] = []
    platform = await fake.adapter(manners=quick(tries=1, settle_s=(0.01,)))
    echo = json.dumps({"message": f"you sent {fake.key}"}).encode()
    for how in (
        {},
        {"status": 500, "body": echo},
        {"status": 400, "body": echo},
        {"cut": True},
        {"status": 401},
        {"body": b"x"},
    ):
        trouble(fake, ".", **how)
        for call in (platform.services(), platform.deploy(fake.id, intention=intend()), platform.variables(fake.id)):
            try:
                await call
            except EverwakeError as error:
                told += [error.message, error.hint or "", repr(error), repr(error.__cause__), repr(error.__context__)]
    async with aclosing(platform.follow_logs(fake.id)) as lines:  # type: ignore[type-var]
        waiting = asyncio.ensure_future(anext(lines))
        await until(lambda: fake.workspace.waiting)
        await fake.say("hello")
        await waiting
    told += [repr(platform), repr(platform._door), repr(vars(platform)), repr(vars(platform._door)), caplog.text]
    assert any("***" in each for each in told), "the platform did say it back"
    assert not [each for each in told if fake.key in each]


async def test_no_value_of_a_variable_is_in_an_error_or_a_log_line(
    fake: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    trouble(fake, "GET .*/env-vars", times=-1, changed=_renamed(value="changed-by-somebody"))
    platform = await fake.adapter()
    with pytest.raises(Finding) as other:
        await platform.set_variables(fake.id, {"PASSWORD": "the-secret-value"})
    assert "PASSWORD" in other.value.message
    assert "the-secret-value" not in other.value.message + (other.value.hint or "") + caplog.text
    assert "changed-by-somebody" not in other.value.message


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "ké", "a\r\nX-Other: 1"])
def test_a_key_that_cannot_be_one_is_misuse_and_not_shown(key: str) -> None:
    with pytest.raises(Misused) as misused:
        Render(Access(key=Secret(key, "env RENDER_API_KEY")), HastyClock())
    assert len(key) < 2 or key not in misused.value.message + (misused.value.hint or "")


@pytest.mark.parametrize(
    "url", ["http://api.render.com/v1", "ftp://127.0.0.1", "https://user:pass@host/v1", "127.0.0.1:80"]
)
def test_the_key_is_not_sent_in_the_open(url: str) -> None:
    with pytest.raises(Misused, match="in the open"):
        Render(Access(key=Secret("a-key"), url=url), HastyClock())


async def test_the_key_does_not_go_where_a_redirect_points(fake: Scene) -> None:
    async with faulty.serve(faulty.never_says_anything) as elsewhere:
        trouble(fake, ".", times=-1, status=301, headers={"location": elsewhere.url})
        platform = await fake.adapter(manners=quick(tries=1))
        with pytest.raises(OutOfReach, match="301"):
            await platform.services()
        with pytest.raises(OutOfReach, match="301"):
            await anext(platform.follow_logs(fake.id))
        assert elsewhere.connections == 0


async def test_nobody_there_says_what_to_start() -> None:
    access = Access(key=Secret("a-key"), url=f"http://127.0.0.1:{free_port()}/v1")
    async with Render(access, HastyClock(), name="sim", manners=quick(tries=2)) as platform:
        for call in (
            platform.services(),
            anext(platform.follow_logs("srv-1")),
            platform.deploy("srv-1", intention=intend()),
        ):
            with pytest.raises(OutOfReach, match="cannot connect") as away:
                await call
            assert "everwake up" in (away.value.hint or "")


# --- a deploy whose answer is lost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"status": 500}, {"status": 502}, {"status": 504}, {"cut": True}, {"hang": True}, {"body": b"<html>"}, {"body": b""},
        {"status": 202, "body": b""}, {"late_s": 0.6},
    ],
    ids=str,
)  # fmt: skip
async def test_a_deploy_that_was_made_and_not_told_is_found_and_not_made_again(
    fake: Scene, how: dict[str, Any]
) -> None:
    before, words = fake.deploys(), intend()
    trouble(fake, CREATE, first=True, **how)
    platform = await fake.adapter(manners=quick(answer_s=0.4))
    made = await platform.deploy(fake.id, intention=words)
    after_a_crash = await (await fake.adapter()).deploy(fake.id, intention=words)
    assert made.id == after_a_crash.id == fake.workspace.deploys(fake.id)[0].id
    assert (fake.deploys(), fake.api.troubled.asked(CREATE)) == (before + 1, 1)


async def test_a_deploy_that_was_refused_with_500_is_asked_for_once_more(fake: Scene) -> None:
    before = fake.deploys()
    trouble(fake, CREATE, status=500)
    await (await fake.adapter()).deploy(fake.id, intention=intend())
    assert (fake.deploys(), fake.api.troubled.asked(CREATE)) == (before + 1, 2)


@pytest.mark.parametrize(("how", "asked"), [({"status": 500}, 2), ({"cut": True, "body": b""}, 1), ({"hang": True}, 1)])
async def test_a_deploy_that_cannot_be_made_is_told_and_may_be_asked_for_again(
    fake: Scene, how: dict[str, Any], asked: int
) -> None:
    before, words = fake.deploys(), intend()
    trouble(fake, CREATE, times=2, **how)
    platform = await fake.adapter(manners=quick(answer_s=0.3))
    with pytest.raises(OutOfReach) as away:
        await platform.deploy(fake.id, intention=words)
    assert "same intention" in (away.value.hint or "")
    assert (fake.deploys(), fake.api.troubled.asked(CREATE)) == (before, asked)
    fake.api.troubled.ahead.clear()
    await platform.deploy(fake.id, intention=words)
    assert fake.deploys() == before + 1


async def test_whoever_dies_between_asking_and_hearing_finds_the_deploy(fake: Scene) -> None:
    before, words = fake.deploys(), intend()
    trouble(fake, CREATE, first=True, hang=True)
    dying = asyncio.create_task((await fake.adapter()).deploy(fake.id, intention=words))
    await until(lambda: fake.deploys() > before)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    made = await (await fake.adapter()).deploy(fake.id, intention=words)
    assert (fake.deploys(), made.id) == (before + 1, fake.workspace.deploys(fake.id)[0].id)


async def test_clocks_that_differ_make_no_second_deploy(fake: Scene) -> None:
    class Wrong(HastyClock):
        def __init__(self, off_s: float) -> None:
            super().__init__()
            self.off_s = off_s

        def now(self) -> datetime:
            return super().now() + timedelta(seconds=self.off_s)

    for off_s in (-86_400.0, 3.0, 86_400.0):
        clock, before = Wrong(off_s), fake.deploys()
        words = _intentions.intend("test", clock.now())
        await (await fake.adapter(clock=clock)).deploy(fake.id, intention=words)
        await (await fake.adapter(clock=clock)).deploy(fake.id, intention=words)
        assert fake.deploys() == before + 1, off_s
        await asyncio.sleep(2.1)  # a Date header has whole seconds, and uvicorn's is up to one old


_HOW = st.sampled_from(
    [
        {"status": 429}, {"status": 500}, {"status": 500, "first": True}, {"cut": True, "body": b""},
        {"cut": True, "first": True}, {"hang": True, "first": True}, {"body": b"<html>", "first": True},
        {"status": 202, "body": b"", "first": True},
    ]
)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    creating=st.lists(_HOW, max_size=4),
    looking=st.lists(st.sampled_from([{"status": 500}, {"cut": True}, {"body": b"x"}]), max_size=6),
    dies=st.lists(st.booleans(), max_size=4),
)
async def test_whatever_goes_wrong_an_intention_is_deployed_once(
    fake: Scene, creating: list[dict[str, Any]], looking: list[dict[str, Any]], dies: list[bool]
) -> None:
    fake.workspace.made[fake.id] = [replace(each, trigger=Trigger.MANUAL) for each in fake.workspace.deploys(fake.id)]
    before, words, found = fake.deploys(), intend(), None
    fake.api.troubled.ahead.clear()
    for how in creating:
        trouble(fake, CREATE, **how)
    for how in looking:
        trouble(fake, "GET .*/deploys$", **how)
    manners = quick(answer_s=0.4, settle_s=(0.01, 0.02), tries=3)
    platform = await fake.adapter(manners=manners)
    for died in [*dies, *[False] * 12]:
        if died:
            platform = await fake.adapter(manners=manners)
        with suppress(OutOfReach):
            found = await platform.deploy(fake.id, intention=words)
            break
    assert found is not None
    assert fake.deploys() == before + 1
    assert found.id == fake.workspace.deploys(fake.id)[0].id


@pytest.mark.parametrize("verb", ["suspend", "resume"])
async def test_a_write_whose_effect_can_be_seen_is_looked_at(fake: Scene, verb: str) -> None:
    platform = await fake.adapter()
    if verb == "resume":
        await platform.suspend(fake.id)
    trouble(fake, f"POST .*/{verb}$", first=True, cut=True)
    await getattr(platform, verb)(fake.id)
    assert fake.api.troubled.asked(f"POST .*/{verb}$") == 1
    trouble(fake, f"POST .*/{'resume' if verb == 'suspend' else 'suspend'}$", status=500)
    with pytest.raises(OutOfReach, match="was not done"):
        await getattr(platform, "resume" if verb == "suspend" else "suspend")(fake.id)


async def test_a_restart_is_not_repeated_when_its_answer_is_lost(fake: Scene) -> None:
    trouble(fake, "POST .*/restart$", first=True, cut=True)
    with pytest.raises(OutOfReach, match="not known"):
        await (await fake.adapter()).restart(fake.id)
    assert len([each for each in fake.workspace.events(fake.id) if each.type == "server_restarted"]) == 1


async def test_a_variable_whose_answer_is_lost_is_written_again(fake: Scene) -> None:
    trouble(fake, "PUT", times=2, first=True, cut=True)
    trouble(fake, "DELETE", times=1, first=True, cut=True)
    platform = await fake.adapter()
    await platform.set_variables(fake.id, {"A": "1"})
    await platform.set_variables(fake.id, {"A": None})
    assert "A" not in fake.workspace.env(fake.id)


def test_the_pattern_for_a_created_deploy_fits_only_that() -> None:
    assert re.search(CREATE, "POST /v1/services/srv-1/deploys")
    assert not re.search(CREATE, "POST /v1/services/srv-1/deploys/dep-1/cancel")
