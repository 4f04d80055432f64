"""What the keeper's HTTP costs: the whole fleet in one answer, a scrape, a snapshot, and ten tabs looking on for a while.

The keeper is the real one, with eyes that answer at once, in a process of its own; the floor is a bare answer of the same bytes
from the same server. `python bench/web.py [--quick]`
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any

EVERY_S = 60.0
TABS = 10


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    for services in (1_000,) if options.quick else (1_000, 10_000):
        measure(services, rounds=5 if options.quick else 15, watch_s=5.0 if options.quick else 20.0)


# --- the keeper -------------------------------------------------------------------------------------------------------


async def serve(services: int) -> None:
    """A keeper of so many services; prints its port, then answers every line on stdin with what it has used."""
    from starlette.responses import Response
    from starlette.routing import Route

    from everwake.app.door import Door, Listeners
    from everwake.app.recording import Recording
    from everwake.clock import SystemClock
    from everwake.fleet.schema import Fleet, Service
    from everwake.fleet.schema import Keeper as Settings
    from everwake.model import Beat, Observation
    from everwake.watch.keeper import Keeper
    from everwake.watch.vantage import Probe
    from everwake.web.app import create
    from everwake.web.serving import listen, serving

    clock, listeners = SystemClock(), Listeners()

    class Eyes:
        async def look(self, service: Service, check: str, patience_s: float | None) -> Observation:
            return Observation(service=service.name, check=check, at=clock.now(), took_s=0.2, status=200)

        async def follow(self, service: Service) -> AsyncIterator[Beat]:
            await asyncio.Event().wait()
            yield  # type: ignore[misc]

        async def probe(self) -> Probe:
            return Probe(resolves=True, has_route=True)

    described = tuple(Service(name=f"s{n}", url=f"https://s{n}.example", every_s=EVERY_S) for n in range(services))
    recording = Recording(Nothing(), (), lambda: None)
    keeper = Keeper(
        Fleet(name="bench", services=described), Eyes(), recording, clock,
        said=listeners.said, changed=listeners.changed, told=listeners.told,
    )  # fmt: skip
    door = Door(keeper, Nothing(), recording, listeners)
    app = create(door, Settings())
    bare: dict[str, bytes] = {}

    async def floor(request: object) -> Response:
        return Response(bare["fleet"], media_type="application/json")

    async def keep(request: Any) -> Response:
        bare["fleet"] = b"x" * int(request.query_params["bytes"])
        return Response()

    app.router.routes += [Route("/bare", floor), Route("/bare/is", keep)]
    fill(keeper)
    listener = listen("127.0.0.1", 0)
    late = Lateness()
    async with serving(app, listener):
        running = asyncio.create_task(keeper.run())
        watching = asyncio.create_task(late.watch())
        print(listener.getsockname()[1], flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(json.dumps({"cpu_s": time.process_time(), "late_ms": late.take(), "mb": memory_mb()}), flush=True)
        keeper.stop()
        watching.cancel()
        await asyncio.gather(running, watching, return_exceptions=True)


def fill(keeper: Any) -> None:
    """Full strips, as after an hour."""
    from everwake.clock import SystemClock
    from everwake.model import State
    from everwake.watch import view

    now = SystemClock().now()
    for kept in keeper._kept.values():
        kept.strip.extend(view.Seen(now - timedelta(seconds=60 * n), State.UP, 200.0) for n in range(60, 0, -1))


class Lateness:
    """How late the loop comes to what is due: what a look would feel of it."""

    def __init__(self) -> None:
        self._late_ms: list[float] = []

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + 0.002
            await asyncio.sleep(0.002)
            self._late_ms.append((loop.time() - due_s) * 1000)

    def take(self) -> dict[str, float]:
        taken, self._late_ms = sorted(self._late_ms) or [0.0], []
        return {"p99": taken[int(len(taken) * 0.99)], "max": taken[-1]}


class Nothing:
    """A history that keeps nothing."""

    trouble, buffered, lost = None, 0, 0

    def looked(self, seen: Sequence[object]) -> None:
        pass

    def moved(self, move: object, standing: object, notices: Iterable[object] = ()) -> None:
        pass

    def beat(self, beat: object) -> None:
        pass

    def said(self, line: object) -> None:
        pass

    async def uptimes(self) -> dict[str, object]:
        return {}

    async def log(self, **_: object) -> object:
        from everwake.web.door import Page

        return Page(())


def memory_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- whoever looks at it ----------------------------------------------------------------------------------------------


def measure(services: int, *, rounds: int, watch_s: float) -> None:
    import httpx

    keeper = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(services)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert keeper.stdin
    assert keeper.stdout
    try:
        url = f"http://127.0.0.1:{int(keeper.stdout.readline())}"
        with httpx.Client(base_url=url, timeout=60) as client:
            time.sleep(5)  # every service has been looked at once
            size = len(client.get("/api/v1/fleet").content)
            client.get(f"/bare/is?bytes={size}")
            took: dict[str, list[float]] = {"/bare": [], "/api/v1/fleet": [], "/metrics": [], "snapshot": []}
            late: dict[str, list[float]] = {path: [] for path in took}
            for _ in range(rounds):
                for path, all_ms in took.items():
                    asked(keeper)
                    begun_s = time.perf_counter()
                    if path == "snapshot":
                        first_event(client)
                    else:
                        client.get(path)
                    all_ms.append((time.perf_counter() - begun_s) * 1000)
                    late[path].append(asked(keeper)["late_ms"]["max"])
            print(
                f"\n{services:,} services, {size / 1e6:.2f} MB of JSON; {rounds} interleaved rounds, median (least - most)"
            )
            floor = statistics.median(took["/bare"])
            for path, all_ms in took.items():
                middle = statistics.median(all_ms)
                print(
                    f"  {path:<14} {middle:7.1f} ms ({min(all_ms):6.1f} - {max(all_ms):6.1f})  {middle / floor:5.1f} x bare; "
                    f"meanwhile the loop was late by {statistics.median(late[path]):.1f} ms (at most {max(late[path]):.1f})"
                )
        for tabs in (0, 1, TABS):
            before, begun_s = asked(keeper), time.perf_counter()
            told = asyncio.run(look_on(url, tabs, watch_s))
            after, lasted_s = asked(keeper), time.perf_counter() - begun_s
            share = (after["cpu_s"] - before["cpu_s"]) / lasted_s
            print(
                f"  {tabs:2} tabs: {share * 100:5.1f} % of a core, {told / max(1, tabs) / lasted_s:6.1f} events/s each, "
                f"loop late p99 {after['late_ms']['p99']:.1f} ms, memory {after['mb']:.0f} MB"
            )
    finally:
        keeper.stdin.close()
        keeper.wait(20)


def first_event(client: Any) -> None:
    with client.stream("GET", "/api/v1/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                return


def asked(keeper: subprocess.Popen[str]) -> dict[str, Any]:
    assert keeper.stdin
    assert keeper.stdout
    keeper.stdin.write("cpu\n")
    keeper.stdin.flush()
    answer: dict[str, Any] = json.loads(keeper.stdout.readline())
    return answer


async def look_on(url: str, tabs: int, lasts_s: float) -> int:
    """How many events so many tabs were told in that time."""
    host, _, port = url.removeprefix("http://").partition(":")
    told = 0

    async def tab() -> None:
        nonlocal told
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 26)
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            while piece := await reader.read(1 << 20):
                told += piece.count(b"\nevent: ")
        finally:
            writer.close()

    tasks = [asyncio.create_task(tab()) for _ in range(tabs)]
    await asyncio.sleep(lasts_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return told


if __name__ == "__main__":
    main()
