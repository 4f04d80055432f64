"""Keep a service awake and tell what happens: python examples/keepalive_client.py ws://127.0.0.1:8000/ws/keepalive"""

import asyncio
import contextlib
import sys

from everwake.keepalive.client import KeepAliveClient


async def main(url: str) -> None:
    async with KeepAliveClient(url) as line:
        async for event in line:
            print(event, flush=True)  # noqa: T201


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
