"""What every session store promises, run on each of them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatify.chatbot.sessions import (
    HISTORY_TURNS,
    Begun,
    Expired,
    Failed,
    InTheMaking,
    KeyReused,
    LimitReached,
    Message,
    Missing,
    Replay,
    Reply,
    SessionStore,
)
from tests.chatify.chatbot.stores.told import NOW, a_session, at, begin, new_id, reply, ticket, turn


async def test_a_session_comes_back_as_it_was_stored(store: SessionStore) -> None:
    session = replace(a_session(), user_id="Zoë \x00 😀", personality_id="x" * 200)
    await store.create(session)
    assert await store.get(session.id) == session


async def test_a_session_that_exists_is_left_as_it_is(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    await turn(store, session, "q", "a")
    await store.create(replace(session, user_id="eve"))
    assert await store.get(session.id) == replace(session, responses_used=1)


async def test_what_was_never_created_is_missing(store: SessionStore) -> None:
    session = a_session()
    assert await store.get(session.id) is None
    assert await store.messages(session.id) == ()
    assert await begin(store, session) == Missing()
    assert await store.delete(session.id) is False


async def test_a_finished_turn_is_shown_counted_and_in_the_history_of_the_next(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await ticket(store, session, text="how are you?")
    finished = await store.finish(held, reply("fine"), now=at(2))
    assert finished is not None
    assert finished.responses_used == 1
    assert finished.session == replace(session, responses_used=1)
    shown = (
        Message(id=held.message_id + "-q", role="user", text="how are you?", at=NOW),
        Message(id=held.message_id, role="assistant", text="fine", at=at(2), provider="offline"),
    )
    assert await store.messages(session.id) == shown
    following = await begin(store, session)
    assert isinstance(following, Begun)
    assert following.history == shown
    assert following.session.responses_used == 1


async def test_a_turn_in_the_making_is_neither_shown_nor_history(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    await ticket(store, session)
    assert await store.messages(session.id) == ()
    other = await begin(store, session)
    assert isinstance(other, Begun)
    assert other.history == ()


async def test_the_history_given_to_a_provider_is_bounded_and_holds_the_newest(store: SessionStore) -> None:
    session = a_session(limit=100)
    await store.create(session)
    for n in range(HISTORY_TURNS + 3):
        await turn(store, session, f"q{n}", f"a{n}")
    begun = await begin(store, session)
    assert isinstance(begun, Begun)
    assert [m.text for m in begun.history] == [text for n in range(3, HISTORY_TURNS + 3) for text in (f"q{n}", f"a{n}")]


async def test_exactly_the_limit_of_many_at_once_is_begun(store: SessionStore) -> None:
    session = a_session(limit=20)
    await store.create(session)
    answers = await asyncio.gather(*(begin(store, session) for _ in range(200)))
    assert sum(isinstance(answer, Begun) for answer in answers) == 20
    assert sum(answer == LimitReached(session=session) for answer in answers) == 180


async def test_a_place_given_back_is_free_again(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    held = await ticket(store, session)
    assert isinstance(await begin(store, session), LimitReached)
    await store.give_back(held, status=503, code="provider_unavailable", detail="no", retry_after_s=3)
    assert isinstance(await begin(store, session), Begun)


async def test_a_lease_that_ran_out_frees_its_place_at_that_moment(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    await ticket(store, session, lease_s=10)
    assert isinstance(await begin(store, session, now=at(9.999999)), LimitReached)
    assert isinstance(await begin(store, session, now=at(10)), Begun)


async def test_a_lease_that_is_renewed_keeps_its_place(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    held = await ticket(store, session, lease_s=10)
    assert await store.renew(held, now=at(9), lease_s=10)
    assert isinstance(await begin(store, session, now=at(18)), LimitReached)
    assert isinstance(await begin(store, session, now=at(19)), Begun)


async def test_a_lease_that_ran_out_cannot_be_renewed_or_finished_once_its_place_is_taken(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    late = await ticket(store, session, lease_s=10)
    await ticket(store, session, now=at(11))
    assert not await store.renew(late, now=at(12), lease_s=10)
    assert await store.finish(late, reply(), now=at(12)) is None


async def test_a_late_reply_is_stored_while_its_place_is_still_free(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    late = await ticket(store, session, lease_s=10)
    assert await store.finish(late, reply("late"), now=at(500)) is not None
    assert isinstance(await begin(store, session, now=at(501)), LimitReached)


async def test_the_same_key_gives_the_same_reply_as_it_was_told(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await turn(store, session, "q", "a", key="k")
    await turn(store, session, "q2", "a2")
    again = await begin(store, session, "k", text="q")
    assert again == Replay(
        message_id=held.message_id, reply=reply("a"), responses_used=1, session=replace(session, responses_used=2)
    )


async def test_a_key_is_replayed_when_the_limit_is_reached(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    await turn(store, session, "q", "a", key="k")
    assert isinstance(await begin(store, session, "k", text="q"), Replay)


async def test_a_key_whose_reply_is_in_the_making_is_begun_once(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    answers = await asyncio.gather(*(begin(store, session, "k") for _ in range(50)))
    assert sum(isinstance(answer, Begun) for answer in answers) == 1
    assert sum(answer == InTheMaking(attempt=1) for answer in answers) == 49


async def test_a_key_stands_for_one_message_of_one_session(store: SessionStore) -> None:
    session, other = a_session(), a_session()
    await store.create(session)
    await store.create(other)
    await ticket(store, session, "k", text="one")
    assert await begin(store, session, "k", text="two") == KeyReused()
    assert isinstance(await begin(store, other, "k", text="two"), Begun)


async def test_a_key_that_failed_still_stands_for_its_message(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await ticket(store, session, "k", text="one")
    await store.give_back(held, status=503, code="c", detail="d")
    assert await begin(store, session, "k", text="two") == KeyReused()


async def test_a_failure_is_told_only_to_who_waited_for_that_attempt(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await ticket(store, session, "k")
    await store.give_back(held, status=502, code="provider_rejected_key", detail="no \x00 😀", retry_after_s=None)
    told = Failed(status=502, code="provider_rejected_key", detail="no \x00 😀", retry_after_s=None)
    assert await begin(store, session, "k", waited_for=1) == told
    assert await begin(store, session, "k", waited_for=1) == told
    again = await begin(store, session, "k")
    assert isinstance(again, Begun)
    assert again.ticket == replace(held, attempt=2)
    assert await begin(store, session, "k", waited_for=1) == InTheMaking(attempt=2)


async def test_who_waited_for_a_reply_whose_process_died_begins_it_again(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await ticket(store, session, "k", lease_s=10)
    again = await begin(store, session, "k", now=at(10), waited_for=1)
    assert isinstance(again, Begun)
    assert again.ticket == replace(held, attempt=2)


async def test_beginning_a_key_again_needs_a_free_place(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    held = await ticket(store, session, "k")
    await store.give_back(held, status=503, code="c", detail="d")
    await turn(store, session, "q", "a")
    assert isinstance(await begin(store, session, "k"), LimitReached)


async def test_only_the_newest_attempt_may_finish_renew_or_give_back(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    late = await ticket(store, session, "k", lease_s=10)
    newest = await ticket(store, session, "k", now=at(11))
    assert not await store.renew(late, now=at(12), lease_s=10)
    assert await store.finish(late, reply("late"), now=at(12)) is None
    await store.give_back(late, status=503, code="c", detail="d")
    assert await begin(store, session, "k", now=at(12)) == InTheMaking(attempt=2)
    assert await store.finish(newest, reply("newest"), now=at(13)) is not None
    assert [m.text for m in await store.messages(session.id)] == ["hello", "newest"]


async def test_finishing_twice_with_one_ticket_stores_the_first_reply_once(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await ticket(store, session)
    first = await store.finish(held, reply("first"), now=at(1))
    assert await store.finish(held, reply("second"), now=at(2)) == first
    assert [m.text for m in await store.messages(session.id)] == ["hello", "first"]


async def test_what_was_given_back_cannot_be_finished_and_what_was_finished_not_given_back(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    back, done = await ticket(store, session), await ticket(store, session, "done")
    await store.give_back(back, status=503, code="c", detail="d")
    assert await store.finish(back, reply(), now=at(1)) is None
    await store.finish(done, reply(), now=at(1))
    await store.give_back(done, status=503, code="c", detail="d")
    assert isinstance(await begin(store, session, "done"), Replay)


async def test_an_expired_session_begins_nothing_and_can_still_be_read(store: SessionStore) -> None:
    session = a_session(expires=at(100))
    await store.create(session)
    await turn(store, session, "q", "a", key="k")
    session = replace(session, responses_used=1)
    assert isinstance(await begin(store, session, now=at(99.999999)), Begun)
    assert await begin(store, session, now=at(100)) == Expired(session=session)
    assert await begin(store, session, "k", text="q", now=at(100)) == Expired(session=session)
    assert await store.get(session.id) == session
    assert len(await store.messages(session.id)) == 2


async def test_a_reply_that_is_ready_after_the_expiry_is_stored(store: SessionStore) -> None:
    session = a_session(expires=at(100))
    await store.create(session)
    held = await ticket(store, session, lease_s=200)
    assert await store.finish(held, reply(), now=at(101)) is not None


async def test_a_session_is_purged_a_day_after_its_expiry_and_not_before(store: SessionStore) -> None:
    # Redis lets keys go by its own clock, so this one begins now and not when the tests were collected.
    now = datetime.now(UTC)
    gone = a_session(expires=now - timedelta(days=1, seconds=5))
    stays = a_session(expires=now - timedelta(days=1, seconds=-60))
    await store.create(gone)
    await store.create(stays)
    await store.purge(now)
    assert await store.get(gone.id) is None
    assert await store.get(stays.id) == stays


async def test_deleting_a_session_removes_it_with_its_messages(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    await turn(store, session, "q", "a")
    assert await store.delete(session.id) is True
    assert await store.get(session.id) is None
    assert await store.messages(session.id) == ()
    assert await store.delete(session.id) is False


async def test_a_reply_whose_session_was_deleted_finishes_into_nothing(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    held = await ticket(store, session)
    await store.delete(session.id)
    assert not await store.renew(held, now=at(1), lease_s=10)
    assert await store.finish(held, reply(), now=at(1)) is None
    await store.give_back(held, status=503, code="c", detail="d")
    assert await store.get(session.id) is None


async def test_messages_come_in_pages_in_the_order_they_were_finished(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    slow = await ticket(store, session, text="asked first")
    for n in range(4):
        await turn(store, session, f"q{n}", f"a{n}")
    await store.finish(slow, reply("answered last"), now=at(9))
    everything = await store.messages(session.id)
    assert [m.text for m in everything] == [
        "q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3", "asked first", "answered last",
    ]  # fmt: skip
    for size in (1, 2, 3, 7, 100):
        pages: list[Message] = []
        while page := await store.messages(session.id, after=pages[-1].id if pages else None, limit=size):
            assert len(page) <= size
            pages += page
        assert tuple(pages) == everything


async def test_a_cursor_that_nobody_knows_begins_at_the_first_message(store: SessionStore) -> None:
    session = a_session()
    await store.create(session)
    await turn(store, session, "q", "a")
    assert len(await store.messages(session.id, after="lost-q")) == 2
    assert len(await store.messages(session.id, after="")) == 2


async def test_a_conversation_is_restored_with_its_messages_and_its_count(store: SessionStore) -> None:
    session = a_session(limit=3)
    history = (
        Message(id="x-q", role="user", text="q", at=at(-9)),
        Message(id="x", role="assistant", text="a", at=at(-8), provider="openai"),
        Message(id="y-q", role="user", text="q2", at=at(-7)),
        Message(id="y", role="assistant", text="a2", at=at(-6), provider="offline"),
    )
    await store.create(session, history)
    assert await store.get(session.id) == replace(session, responses_used=2)
    assert await store.messages(session.id) == history
    assert await store.messages(session.id, after="x") == history[2:]
    begun = await begin(store, session)
    assert isinstance(begun, Begun)
    assert begun.history == history
    assert isinstance(await begin(store, session), LimitReached)


@pytest.mark.parametrize("roles", [("user",), ("assistant", "user"), ("user", "user")])
async def test_half_a_conversation_is_not_restored(store: SessionStore, roles: tuple[str, ...]) -> None:
    session = a_session()
    history = [Message(id=new_id(), role=role, text="t", at=NOW) for role in roles]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="whole turns"):
        await store.create(session, history)
    assert await store.get(session.id) is None


HOSTILE = (
    "\x00",
    "a\x00b",
    "😀" * 3,
    "\ufeff\u202e\u0000",
    "x" * 65_536,
    "é\r\n\t\"'\\{}[]/",
    "$1 ${x} %s",
    "\x7f\x1b[0m",
    " ",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_comes_back_as_it_went_in(store: SessionStore, text: str) -> None:
    session = a_session()
    await store.create(session)
    held = await turn(store, session, text, text, key=text[:300])
    assert [m.text for m in await store.messages(session.id)] == [text, text]
    again = await begin(store, session, text[:300], text=text)
    assert isinstance(again, Replay)
    assert (again.message_id, again.reply) == (held.message_id, reply(text))


async def test_a_lone_surrogate_stores_nothing(store: SessionStore) -> None:
    session = a_session(limit=1)
    await store.create(session)
    with pytest.raises(UnicodeEncodeError):
        await begin(store, session, text="\ud800")
    with pytest.raises(UnicodeEncodeError):
        await begin(store, session, "\udfff")
    assert isinstance(await begin(store, session), Begun)


def test_a_lone_surrogate_in_a_reply_becomes_a_question_mark() -> None:
    assert Reply(text="a\ud800é", provider="openai").text == "a?é"


async def test_it_forgets_the_oldest_of_many_turns_that_were_never_finished(store: SessionStore) -> None:
    session = a_session(limit=5)
    await store.create(session)
    first = await ticket(store, session, "k-first", lease_s=1)
    for n in range(250):
        held = await ticket(store, session, f"k{n}", now=at(2), lease_s=60 + n)
        await store.give_back(held, status=503, code="c", detail="d")
    again = await begin(store, session, "k-first", now=at(3))
    assert isinstance(again, Begun)
    assert again.ticket.attempt == 1
    assert again.ticket.message_id != first.message_id
    assert await store.finish(first, reply("from before"), now=at(4)) is None
    assert isinstance(await begin(store, session, "k249", now=at(4), waited_for=1), Failed)


async def test_a_round_trip_takes_time(store: SessionStore) -> None:
    assert 0 < await store.ping() < 5


async def test_a_store_can_be_opened_and_closed_twice(store: SessionStore) -> None:
    session = a_session()
    await store.open()
    await store.create(session)
    await store.close()
    await store.close()
    await store.open()
    assert await store.get(session.id) == session
