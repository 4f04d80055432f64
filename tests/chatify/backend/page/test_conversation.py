"""The page's pure core: whatever news comes, in whatever order and how often, every reply is there exactly once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy, integers, just, lists, none, one_of, sampled_from, text, tuples
from playwright.async_api import Browser, Page

from tests.support.fake_backend import fake_backend

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

IDS = ("a", "b", "c")
LIMIT = 3

# What comes of each message is the server's to decide, once; how often and in which order it is heard of is chance.
REPLIES = {"a": "first", "b": "second", "c": ""}
PROBLEM = {"code": "provider_rejected_key", "detail": "refused", "message_id": "x"}
USED = {name: number + 1 for number, name in enumerate(IDS)}

RUN = """async (news) => {
    const { EMPTY, after } = await import("/static/conversation.js");
    const steps = [EMPTY];
    for (const one of news) steps.push(after(steps.at(-1), one));
    return JSON.parse(JSON.stringify(steps, (key, value) => (value === Infinity ? null : value)));
}"""


def reply(name: str) -> dict[str, Any]:
    return {"type": "reply", "id": name, "text": REPLIES[name], "provider": "openai", "at": 2,
            "used": USED[name], "left": LIMIT - USED[name]}  # fmt: skip


def entry(name: str, status: str) -> dict[str, Any]:
    return {"id": name, "text": f"question {name}", "at": 1, "status": status, "problem": None, "answer": reply(name)}


def listing(length_and_answered: tuple[int, int]) -> dict[str, Any]:
    length, answered = length_and_answered
    return {"type": "listed", "from": 0,
            "items": [entry(name, "answered" if n < answered else "queued") for n, name in enumerate(IDS[:length])]}  # fmt: skip


def news() -> SearchStrategy[list[dict[str, Any]]]:
    name = sampled_from(IDS)
    return lists(
        one_of(
            name.map(lambda n: {"type": "written", "id": n, "text": f"question {n}", "at": 1}),
            name.map(lambda n: {"type": "accepted", "id": n}),
            name.map(lambda n: {"type": "queued", "id": n}),
            one_of(name, none()).map(lambda n: {"type": "waking", "id": n}),
            just({"type": "awake"}),
            tuples(name, text(max_size=5)).map(lambda p: {"type": "delta", "id": p[0], "text": p[1]}),
            name.map(reply),
            name.map(lambda n: {"type": "failed", "id": n, "problem": PROBLEM}),
            name.map(lambda n: {"type": "retried", "id": n}),
            name.map(lambda n: {"type": "withdrawn", "id": n}),
            tuples(integers(0, 3), integers(0, 3)).map(listing),
            just({"type": "from a later version", "id": "a"}),
        ),
        min_size=4,
        max_size=30,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def core(browser: Browser) -> AsyncIterator[Page]:
    async with fake_backend() as backend:
        page = await browser.new_page()
        await page.goto(backend.url)
        yield page
        await page.close()


@given(happened=news())
@settings(max_examples=400, deadline=None)
async def test_an_answered_turn_stays_as_it_was_answered_and_is_there_once(
    core: Page, happened: list[dict[str, Any]]
) -> None:
    final: dict[str, dict[str, Any]] = {}
    for step in await core.evaluate(RUN, happened):
        names = [turn["id"] for turn in step["turns"]]
        assert len(names) == len(set(names))
        turns = {turn["id"]: turn for turn in step["turns"]}
        for name, was in final.items():
            now = turns[name]
            assert {**now, "place": 0} == {**was, "place": 0}
        for name, turn in turns.items():
            if turn["state"] == "answered":
                assert turn["reply"] == REPLIES[name]
                assert turn["problem"] is None
                final[name] = turn
            elif turn["state"] in {"sending", "kept", "waking", "failed"}:
                assert turn["reply"] == ""


@given(happened=news())
@settings(max_examples=100, deadline=None)
async def test_reading_the_list_mends_whatever_was_missed_or_mixed_up(
    core: Page, happened: list[dict[str, Any]]
) -> None:
    last = (await core.evaluate(RUN, [*happened, listing((3, 3))]))[-1]
    assert [(turn["id"], turn["state"], turn["reply"]) for turn in last["turns"]] == [
        (name, "answered", REPLIES[name]) for name in IDS
    ]
    assert (last["used"], last["left"], last["over"]) == (3, 0, "limit")


@given(happened=news())
@settings(max_examples=100, deadline=None)
async def test_replies_left_never_grow_and_never_fall_below_none(core: Page, happened: list[dict[str, Any]]) -> None:
    left = LIMIT
    for step in await core.evaluate(RUN, happened):
        if step["left"] is not None:
            assert 0 <= step["left"] <= left
            left = step["left"]
            assert (step["over"] == "limit") == (left == 0)


async def test_what_was_still_to_be_sent_is_refused_with_the_message_that_ended_the_conversation(core: Page) -> None:
    written = [{"type": "written", "id": name, "text": name, "at": 1} for name in ("a", "b")]
    ending = {"type": "failed", "id": "a", "problem": {"code": "response_limit_reached", "detail": "all used"}}
    last = (await core.evaluate(RUN, [*written, ending]))[-1]
    assert [(turn["state"], turn["problem"]["code"]) for turn in last["turns"]] == [
        ("failed", "response_limit_reached")
    ] * 2
    assert last["over"] == "limit"


async def test_sentences_count_messages_and_minutes_as_people_do(core: Page) -> None:
    said = await core.evaluate(
        """async () => {
            const { minutes, keptMessages, repliesLeft, wakingFor } = await import("/static/words.js");
            return [minutes(0), minutes(59_999), minutes(61_000), minutes(3_661_000), minutes(-5),
                keptMessages(1), keptMessages(3), repliesLeft({left: 1, limit: 20}), repliesLeft({left: 0, limit: 20}),
                repliesLeft({left: null, limit: null}), repliesLeft({left: 1, limit: null}), wakingFor(5000), wakingFor(60_000)];
        }"""
    )
    assert said == [
        "0:00", "0:59", "1:01", "61:01", "0:00", "your message is kept", "your 3 messages are kept", "1 of 20 replies left",
        "no replies left", "", "1 reply left", "0:05 so far, usually under a minute",
        "1:00 so far, longer than usual, still trying",
    ]  # fmt: skip
