"""Another process on the same store: `python -m tests.chatify.chatbot.stores.a_process STORE WHERE SESSION JOB`.

It prints `ready`, waits for a line on stdin, does JOB and prints what came of it as JSON; `work` goes on until it is killed.
"""

import asyncio
import json
import sys
from pathlib import Path

from chatify.chatbot.sessions import Begun, SessionStore
from chatify.chatbot.stores.redis import RedisStore
from chatify.chatbot.stores.sqlite import SqliteStore
from tests.chatify.chatbot.stores.told import begin, new_id, reply


async def rush(store: SessionStore, session_id: str) -> dict[str, int]:
    """100 messages at once; every third provider fails and its message is tried again."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from tests.chatify.chatbot.stores.told import a_session

    session = replace(a_session(), id=session_id)
    failures = 0

    async def one(n: int) -> str:
        nonlocal failures
        while True:
            told = await begin(store, session, now=datetime.now(UTC))
            if not isinstance(told, Begun):
                return type(told).__name__
            if n % 3 == 0 and failures < 30:
                failures += 1
                await store.give_back(told.ticket, status=503, code="c", detail="d")
                continue
            assert await store.finish(told.ticket, reply(), now=datetime.now(UTC)) is not None
            return "Finished"

    told = await asyncio.gather(*(one(n) for n in range(100)))
    return {word: told.count(word) for word in set(told)}


async def same_key(store: SessionStore, session_id: str) -> dict[str, int]:
    """100 times the same key, until every caller has its reply."""
    from datetime import UTC, datetime

    from chatify.chatbot.sessions import Replay

    made = 0
    replies: set[str] = set()

    async def one() -> None:
        nonlocal made
        while True:
            told = await store.begin(
                session_id, message_id=new_id(), key="k", text="hello", now=datetime.now(UTC), lease_s=30
            )
            if isinstance(told, Begun):
                made += 1
                await store.finish(told.ticket, reply(f"by {told.ticket.message_id}"), now=datetime.now(UTC))
            elif isinstance(told, Replay):
                replies.add(told.reply.text)
                return
            await asyncio.sleep(0.005)

    await asyncio.gather(*(one() for _ in range(100)))
    return {"made": made, **dict.fromkeys(replies, 1)}


async def work(store: SessionStore, session_id: str) -> dict[str, int]:
    """Turn after turn, eight at a time, each printed before it is begun and once it is finished; for ever."""
    from datetime import UTC, datetime

    async def one() -> None:
        while True:
            key = new_id()
            told = await store.begin(
                session_id, message_id=key, key=key, text="q" * 2000, now=datetime.now(UTC), lease_s=30
            )
            if not isinstance(told, Begun):
                return
            if await store.finish(told.ticket, reply("a" * 2000), now=datetime.now(UTC)) is not None:
                sys.stdout.write(key + "\n")
                sys.stdout.flush()

    await asyncio.gather(*(one() for _ in range(8)))
    return {}


async def main(kind: str, where: str, session_id: str, job: str) -> None:
    store: SessionStore = SqliteStore(Path(where)) if kind == "sqlite" else RedisStore(where)
    await store.open()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    done = await {"rush": rush, "same_key": same_key, "work": work}[job](store, session_id)
    print(json.dumps(done), flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
