"""The promises of an outbox, kept by every store."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatify.backend.outbox import (
    Accepted,
    ChatSession,
    Claim,
    ClaimLost,
    IdReused,
    Made,
    NoSession,
    Outbox,
    OutboxUnavailable,
    TooManyWaiting,
)
from chatify.backend.stores.redis import RedisOutbox
from chatify.backend.stores.sqlite import SqliteOutbox
from tests.support.redis_server import RedisServer

NOW = 1_800_000_000.25
LEASE_S = 6.0
MADE = Made(session_id="bot-1", response_limit=20, opening="Hello! \u2603", expires_at="2027-01-01T00:00:00Z")
REPLY = {"response": "hi \u2603 \x00 \U0001f600", "responses_used": 1, "responses_left": 19, "provider": "offline"}

pytestmark = pytest.mark.asyncio


def new(session_id: str = "s") -> ChatSession:
    return ChatSession(id=session_id, user_id="u", personality_id="p", created_at=NOW)


async def put(
    box: Outbox,
    message_id: str,
    *,
    session_id: str = "s",
    text: str | None = None,
    claim: bool = False,
    now: float = NOW,
) -> Any:
    lease_s = LEASE_S if claim else None
    return await box.accept(
        session_id, message_id, text or f"text {message_id}", now=now, lease_s=lease_s, waiting_limit=5
    )


async def due(box: Outbox, now: float, limit: int = 10) -> list[Claim]:
    return await box.claim(now=now, lease_s=LEASE_S, limit=limit)


async def settle(box: Outbox, claim: Claim, now: float = NOW) -> Any:
    return await box.settle(claim, "answered", REPLY, now=now, lease_s=LEASE_S)


async def test_a_session_is_kept_with_what_the_chatbot_made(outboxes):
    one, two = outboxes
    await one.add(new())
    assert await two.session("s") == new()
    assert await two.session("other") is None
    await put(one, "a")
    [claim] = await due(one, NOW)
    assert await one.bind(claim, MADE) is None
    found = await two.session("s")
    assert found is not None
    assert (found.made, found.accepted, found.settled) == (MADE, 1, 0)
    other = replace(MADE, session_id="bot-2", opening=None)
    assert await one.bind(claim, other) is None
    found = await two.session("s")
    assert found is not None
    assert found.made == other


async def test_a_message_goes_from_accepted_to_answered(outboxes):
    one, two = outboxes
    await one.add(new())
    accepted = await put(one, "a")
    assert isinstance(accepted, Accepted)
    assert accepted.is_new
    assert accepted.claim is None
    assert await two.next_due() == pytest.approx(NOW)
    [claim] = await due(two, NOW)
    assert claim.message == accepted.message
    assert claim.session.user_id == "u"
    assert await settle(two, claim) is None
    kept = await one.message("s", "a")
    assert kept is not None
    assert (kept.status, kept.outcome, kept.settled_at) == ("answered", REPLY, NOW)
    assert await one.next_due() is None
    assert await due(one, NOW + 1e6) == []


async def test_the_same_id_is_one_message_and_another_text_is_refused(outboxes):
    one, two = outboxes
    await one.add(new())
    first = await put(one, "a", claim=True)
    again = await put(two, "a", claim=True)
    assert first.is_new
    assert not again.is_new
    assert again.claim is None
    assert again.message == first.message
    assert isinstance(await put(two, "a", text="something else"), IdReused)
    await settle(one, first.claim)
    late = await put(two, "a")
    assert late.message.outcome == REPLY
    assert len(await one.messages("s", limit=10)) == 1


async def test_who_sends_to_a_session_that_is_not_there_is_told_so(outboxes):
    one, _ = outboxes
    assert isinstance(await put(one, "a", session_id="none"), NoSession)


async def test_a_queue_has_an_end(outboxes):
    one, two = outboxes
    await one.add(new())
    got = [await put(one, str(n)) for n in range(6)]
    assert [isinstance(g, Accepted) for g in got] == [True] * 5 + [False]
    assert isinstance(got[5], TooManyWaiting)
    assert isinstance(await put(two, "0"), Accepted)
    [claim] = await due(one, NOW)
    await settle(one, claim)
    assert isinstance(await put(two, "5"), Accepted)


async def test_messages_come_in_order_and_in_pages(outboxes):
    one, two = outboxes
    await one.add(new())
    for n in range(5):
        await put(one, f"m{n}", text=f"Grüße {n} \x00 \U0001f600")
    first = await two.messages("s", limit=3)
    rest = await two.messages("s", after=first[-1].number, limit=3)
    assert [m.id for m in (*first, *rest)] == ["m0", "m1", "m2", "m3", "m4"]
    assert rest[-1].text == "Grüße 4 \x00 \U0001f600"
    assert [m.number for m in rest] == [4, 5]


async def test_a_held_session_is_nobody_elses_until_its_lease_runs_out(outboxes):
    one, two = outboxes
    await one.add(new())
    accepted = await put(one, "a", claim=True)
    assert accepted.claim is not None
    assert await due(two, NOW + LEASE_S - 0.01) == []
    assert await one.renew([accepted.claim], now=NOW + 3, lease_s=LEASE_S) == []
    assert await due(two, NOW + LEASE_S + 0.01) == []
    [taken] = await due(two, NOW + 3 + LEASE_S)
    assert taken.message.id == "a"
    assert taken.attempt > accepted.claim.attempt


async def test_who_lost_the_claim_writes_nothing(outboxes):
    one, two = outboxes
    await one.add(new())
    old = (await put(one, "a", claim=True)).claim
    [taken] = await due(two, NOW + LEASE_S)
    assert await one.renew([old], now=NOW, lease_s=LEASE_S) == [old]
    assert await settle(one, old) == ClaimLost()
    assert await one.bind(old, MADE) == ClaimLost()
    assert await one.release(old, due_at=NOW, tries=3) == ClaimLost()
    kept = await two.message("s", "a")
    assert kept is not None
    assert (kept.status, kept.tries) == ("queued", 0)
    assert await settle(two, taken) is None
    assert await settle(two, taken) == ClaimLost()


async def test_the_next_message_follows_under_the_same_claim(outboxes):
    one, two = outboxes
    await one.add(new())
    claim = (await put(one, "a", claim=True)).claim
    assert (await put(two, "b", claim=True)).claim is None
    assert (await put(two, "c", claim=True)).claim is None
    order = []
    while True:
        order.append(claim.message.id)
        following = await settle(one, claim, NOW + len(order))
        if following is None:
            break
        claim = claim.on(following)
        assert await due(two, NOW + len(order) + LEASE_S - 0.1) == []
    assert order == ["a", "b", "c"]
    assert [m.status for m in await two.messages("s", limit=9)] == ["answered"] * 3
    assert (await put(two, "d", claim=True)).claim is not None


async def test_a_released_message_is_due_again_later_and_keeps_its_place(outboxes):
    one, two = outboxes
    await one.add(new())
    claim = (await put(one, "a", claim=True)).claim
    await put(one, "b")
    assert await one.release(claim, due_at=NOW + 30, tries=2) is None
    assert (await put(two, "c", claim=True)).claim is None
    assert await due(two, NOW + 29) == []
    assert await two.next_due() == pytest.approx(NOW + 30)
    [again] = await due(two, NOW + 30)
    assert (again.message.id, again.message.tries) == ("a", 2)
    following = await settle(two, again)
    assert (following.id, following.tries) == ("b", 0)


async def test_a_failed_message_lets_the_next_one_go(outboxes):
    one, _ = outboxes
    await one.add(new())
    claim = (await put(one, "a", claim=True)).claim
    await put(one, "b")
    outcome = {"problem": {"status": 409, "code": "response_limit_reached"}}
    following = await one.settle(claim, "failed", outcome, now=NOW, lease_s=LEASE_S)
    assert following.id == "b"
    kept = await one.message("s", "a")
    assert kept is not None
    assert (kept.status, kept.outcome) == ("failed", outcome)
    await settle(one, claim.on(following))
    session = await one.session("s")
    assert session is not None
    assert (session.accepted, session.settled, session.answered) == (2, 2, 1)


async def test_sessions_are_claimed_in_the_order_they_became_due(outboxes):
    one, two = outboxes
    for n in range(4):
        await one.add(new(f"s{n}"))
        await put(one, "a", session_id=f"s{n}", now=NOW + n)
    first = await due(one, NOW + 9, limit=3)
    rest = await due(two, NOW + 9, limit=3)
    assert [c.session.id for c in first] == ["s0", "s1", "s2"]
    assert [c.session.id for c in rest] == ["s3"]


async def test_what_waited_too_long_is_found_whether_due_or_not(outboxes):
    one, two = outboxes
    await one.add(new("old"))
    await one.add(new("young"))
    claim = (await put(one, "a", session_id="old", claim=True)).claim
    await one.release(claim, due_at=NOW + 1e6, tries=1)
    await put(one, "a", session_id="young", now=NOW + 100)
    [found] = await two.claim(now=NOW + 200, lease_s=LEASE_S, limit=9, accepted_before=NOW + 50)
    assert found.session.id == "old"
    assert await settle(two, found) is None
    assert await two.claim(now=NOW + 200, lease_s=LEASE_S, limit=9, accepted_before=NOW + 50) == []


async def test_only_one_of_many_gets_a_claim(outboxes):
    one, two = outboxes
    for n in range(20):
        await one.add(new(f"s{n}"))
        await put(one, "a", session_id=f"s{n}")
    got = await asyncio.gather(*(due(box, NOW, limit=3) for box in (one, two) * 10))
    ids = [claim.session.id for claims in got for claim in claims]
    assert sorted(ids) == sorted(f"s{n}" for n in range(20))


async def test_one_message_sent_many_times_at_once_is_accepted_once(outboxes):
    one, two = outboxes
    await one.add(new())
    got = await asyncio.gather(*(put(box, "a", claim=True) for box in (one, two) * 20))
    assert sum(g.is_new for g in got) == 1
    assert sum(g.claim is not None for g in got) == 1
    assert len(await one.messages("s", limit=9)) == 1


async def test_a_lease_has_one_holder_until_it_is_dropped(outboxes):
    one, two = outboxes
    assert await one.take_lease("wake", "A", now=NOW, lease_s=60)
    assert await one.take_lease("wake", "A", now=NOW, lease_s=60)
    assert not await two.take_lease("wake", "B", now=NOW, lease_s=60)
    await two.drop_lease("wake", "B")
    assert not await two.take_lease("wake", "B", now=NOW, lease_s=60)
    await one.drop_lease("wake", "A")
    assert await two.take_lease("wake", "B", now=NOW, lease_s=60)


async def test_a_note_is_remembered_across_processes(outboxes):
    one, two = outboxes
    assert await one.recall("personalities") is None
    await one.remember("personalities", "[1]")
    await one.remember("personalities", "[2]")
    assert await two.recall("personalities") == "[2]"


async def test_everything_is_there_after_a_restart(tmp_path: Path):
    first = SqliteOutbox(tmp_path / "b.db")
    await first.open()
    await first.add(new())
    await put(first, "a")
    await first.close()
    second = SqliteOutbox(tmp_path / "b.db")
    await second.open()
    [claim] = await due(second, NOW)
    assert claim.message.text == "text a"
    await second.close()


async def test_quiet_sessions_are_dropped_and_waiting_ones_never(tmp_path: Path):
    box = SqliteOutbox(tmp_path / "b.db")
    await box.open()
    for name in ("quiet", "waiting", "busy"):
        await box.add(new(name))
    late = (await put(box, "a", session_id="busy", claim=True, now=NOW + 3600)).claim
    await settle(box, late)
    await put(box, "a", session_id="waiting")
    claim = (await put(box, "a", session_id="quiet", claim=True)).claim
    await settle(box, claim)
    assert await box.purge(quiet_since=NOW, limit=10) == 0
    assert await box.purge(quiet_since=NOW + 3600, limit=10) == 1
    assert await box.session("quiet") is None
    assert await box.messages("quiet", limit=9) == ()
    assert await box.session("waiting") is not None
    assert await box.session("busy") is not None
    await box.close()


async def test_quiet_sessions_expire_in_redis(redis_server: RedisServer):
    box = RedisOutbox(redis_server.url, retention_s=600, prefix="expire:")
    await box.add(new())
    await put(box, "a")
    for key in ("expire:s:s", "expire:m:s"):
        assert 0 < await box.link.call(lambda client, key=key: client.ttl(key)) <= 600
    # What expired all the same leaves no claim behind that cannot be worked on.
    await box.link.call(lambda client: client.delete("expire:s:s", "expire:m:s"))
    assert await due(box, NOW) == []
    assert await box.next_due() is None
    await box.close()


async def test_a_redis_that_is_gone_is_told_as_such_and_found_again(tmp_path: Path):
    with RedisServer(tmp_path) as server:
        box = RedisOutbox(server.url, retention_s=600)
        await box.open()
        await box.add(new())
        server.stop()
        with pytest.raises(OutboxUnavailable, match="redis"):
            await put(box, "a")
        with pytest.raises(OutboxUnavailable, match="redis"):
            await box.ping()
        server.start()
        assert isinstance(await put(box, "a"), Accepted)
        await box.close()


async def test_a_file_that_cannot_be_opened_is_told_as_such(tmp_path: Path):
    (tmp_path / "b.db").mkdir()
    box = SqliteOutbox(tmp_path / "b.db")
    with pytest.raises(OutboxUnavailable, match="sqlite"):
        await box.open()
    with pytest.raises(OutboxUnavailable, match="closed"):
        await put(box, "a")


steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "claim", "settle", "release", "renew", "die"]), st.integers(0, 3)),
    max_size=40,
)


@given(steps=steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_messages_are_settled_once_and_in_order(outboxes, steps):
    box = outboxes[0]
    name = f"h{abs(hash(tuple(steps)))}-{NOW}"
    for late in await box.claim(now=NOW + 1e9, lease_s=1, limit=1000):  # what an earlier example left
        while (rest := await settle(box, late)) is not None:
            late = late.on(rest)
    if await box.session(name) is not None:
        return
    await box.add(new(name))
    now, sent, order = NOW, 0, []
    claims: list[Claim] = []
    for what, which in steps:
        now += 1.0
        claim = claims[which % len(claims)] if claims else None
        if what == "put":
            got = await put(box, f"m{sent}", session_id=name, claim=which > 1, now=now)
            if isinstance(got, Accepted):
                sent += 1
                claims += [got.claim] if got.claim else []
        elif what == "claim":
            claims += await due(box, now)
        elif what == "die":
            now += 2 * LEASE_S
        elif claim and what == "settle":
            following = await settle(box, claim, now)
            if following != ClaimLost():
                order.append(claim.message.id)
                claims.remove(claim)
                claims += [claim.on(following)] if following else []
        elif claim and what == "release":
            await box.release(claim, due_at=now + which, tries=which)
        elif claim and what == "renew":
            await box.renew([claim], now=now, lease_s=LEASE_S)
    for last in await due(box, now + 1e6):
        while True:
            order.append(last.message.id)
            following = await settle(box, last, now)
            if following is None:
                break
            last = last.on(following)
    assert order == [f"m{n}" for n in range(sent)]
    assert [m.status for m in await box.messages(name, limit=100)] == ["answered"] * sent


async def test_who_is_cancelled_ends_whatever_the_store_is_doing(outboxes):
    one, _ = outboxes

    async def for_ever() -> None:
        while True:
            await one.next_due()

    for n in range(200):
        task = asyncio.create_task(for_ever())
        for _ in range(n % 13):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done
