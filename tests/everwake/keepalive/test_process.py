"""The examples as real processes: they answer, and they stop without waiting for their lines."""

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.everwake.keepalive.servers import WITHIN_S, ended, heard, opened

EXAMPLES = Path(__file__).parents[3] / "examples"


@contextlib.asynccontextmanager
async def started(app: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An example under uvicorn on a free port, and its address."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "--ws", "websockets-sansio", app],
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while found := await process.stderr.readline():
                if match := re.search(rb"running on http://(127\.0\.0\.1:\d+)", found):
                    break
            else:
                pytest.fail(f"{app} did not start")
        yield process, f"ws://{match[1].decode()}/ws/keepalive"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process could answer")
@pytest.mark.parametrize("app", ["keepalive_fastapi:app", "keepalive_starlette:app", "keepalive_plain:app"])
async def test_sigterm_closes_every_line_with_1012_within_a_second_and_the_process_goes(app: str) -> None:
    async with started(app) as (process, url):
        async with contextlib.AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(opened(url)) for _ in range(20)]
            for line in lines:
                assert (await heard(line))["service"] == "my_service"
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert {await ended(line) for line in lines} == {1012}
            assert time.monotonic() - asked < 1.0
        async with asyncio.timeout(WITHIN_S):
            await process.wait()
        assert time.monotonic() - asked < 5.0


async def test_the_example_client_tells_what_happens() -> None:
    async with started("keepalive_plain:app") as (_, url):
        client = await asyncio.create_subprocess_exec(
            *[sys.executable, str(EXAMPLES / "keepalive_client.py"), url], stdout=asyncio.subprocess.PIPE
        )
        try:
            assert client.stdout is not None
            async with asyncio.timeout(30):
                assert (await client.stdout.readline()).startswith(b"Connected(")
                assert (await client.stdout.readline()).startswith(b"Beat(seq=0")
        finally:
            client.kill()
            await client.communicate()
