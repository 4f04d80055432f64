"""Bodies and rates: bounded, exactly."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from chatify.limits import BodyLimit, RateLimiter

# --- rate --------------------------------------------------------------------------------------------------------------


def test_a_user_may_send_the_whole_burst_at_once_and_then_one_at_a_time() -> None:
    limiter = RateLimiter(burst=300, refill_s=60)
    assert [limiter.take("ada", 0.0) for _ in range(300)] == [None] * 300
    wait_s = limiter.take("ada", 0.0)
    assert wait_s == pytest.approx(0.1, abs=0.11)
    assert limiter.take("ada", 0.21) is None
    assert limiter.take("ada", 0.21) is not None
    assert limiter.take("bob", 0.21) is None


def test_after_a_minute_of_quiet_the_whole_burst_is_back() -> None:
    limiter = RateLimiter(burst=5, refill_s=60)
    for start_s in (0.0, 60.0, 1000.0):
        assert [limiter.take("ada", start_s) for _ in range(5)] == [None] * 5
        assert limiter.take("ada", start_s) is not None


@given(
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(0, 30, allow_nan=False), max_size=120),
)
def test_in_no_minute_are_more_let_through_than_burst_and_refill(burst: int, steps: list[float]) -> None:
    limiter, now_s, let = RateLimiter(burst, 60.0), 0.0, []
    for step_s in steps:
        now_s += step_s
        if limiter.take("ada", now_s) is None:
            let.append(now_s)
    for begin_s in let:
        within = [at for at in let if begin_s <= at < begin_s + 60]
        assert len(within) <= 2 * burst + 1, "a full bucket and what flows in meanwhile"


@given(burst=st.integers(1, 20), steps=st.lists(st.floats(0, 20, allow_nan=False), max_size=60))
def test_who_waits_as_told_is_let_through(burst: int, steps: list[float]) -> None:
    limiter, now_s = RateLimiter(burst, 60.0), 0.0
    for step_s in steps:
        now_s += step_s
        wait_s = limiter.take("ada", now_s)
        if wait_s is not None:
            assert 0 < wait_s <= 60 / burst + 1e-6
            now_s += wait_s + 1e-9
            assert limiter.take("ada", now_s) is None


def test_memory_stays_bounded_and_who_was_quiet_longest_is_forgotten() -> None:
    limiter = RateLimiter(burst=1, refill_s=60, max_users=3)
    for name in "abcd":
        assert limiter.take(name, 0.0) is None
    assert limiter.take("b", 0.0) is not None
    assert limiter.take("a", 0.0) is None, "forgotten"


# --- body --------------------------------------------------------------------------------------------------------------


async def read_all(pieces: list[Message], limit_bytes: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    """What an application behind `BodyLimit` reads."""
    whole = bytearray()
    left = list(pieces)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            whole.extend(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent here")

    await BodyLimit(app, limit_bytes, arrival_s=0.05)({"type": "http", "headers": headers}, receive, send)
    return bytes(whole)


def piece(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@given(pieces=st.lists(st.binary(max_size=40), min_size=1, max_size=8), limit_bytes=st.integers(0, 200))
async def test_a_body_is_read_whole_or_refused_by_its_size_alone(pieces: list[bytes], limit_bytes: int) -> None:
    sent = [piece(body, n < len(pieces) - 1) for n, body in enumerate(pieces)]
    whole = b"".join(pieces)
    if len(whole) <= limit_bytes:
        assert await read_all(sent, limit_bytes, []) == whole
    else:
        with pytest.raises(HTTPException) as refused:
            await read_all(sent, limit_bytes, [])
        assert refused.value.status_code == 413


async def test_a_body_that_is_announced_too_large_is_not_read_at_all() -> None:
    for announced in (b"11", b"9" * 400):
        with pytest.raises(HTTPException) as refused:
            await read_all([], 10, [(b"content-length", announced)])
        assert refused.value.status_code == 413
        assert refused.value.headers == {"Connection": "close"}


async def test_a_body_that_does_not_arrive_is_408() -> None:
    with pytest.raises(HTTPException) as refused:
        await read_all([piece(b"a", True)], 10, [])
    assert refused.value.status_code == 408


async def test_a_body_that_drips_is_408_however_often_a_drop_comes() -> None:
    drops = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass

    async def receive() -> Message:
        nonlocal drops
        drops += 1
        await asyncio.sleep(0.01)  # every drop well before the deadline
        return piece(b"", drops < 100)

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent here")

    with pytest.raises(HTTPException) as refused:
        await BodyLimit(app, 10, arrival_s=0.1)({"type": "http", "headers": []}, receive, send)
    assert refused.value.status_code == 408
    assert drops < 100


async def test_after_the_body_one_may_wait_for_the_client_to_leave_as_long_as_one_likes() -> None:
    gone = asyncio.Event()
    left = [piece(b"a", False)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"a"
        asyncio.get_running_loop().call_later(0.1, gone.set)  # longer than a body may take
        assert (await receive())["type"] == "http.disconnect"

    async def receive() -> Message:
        if left:
            return left.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent here")

    await BodyLimit(app, 10, arrival_s=0.02)({"type": "http", "headers": []}, receive, send)


async def test_a_websocket_passes_untouched() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([receive, send])

    async def receive() -> Message:
        raise AssertionError("nobody asks")

    async def send(message: Message) -> None:
        raise AssertionError("nobody sends")

    await BodyLimit(app, 10)({"type": "websocket"}, receive, send)
    assert seen == [receive, send]
