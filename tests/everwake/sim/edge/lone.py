"""An edge in a process of its own, so that its memory can be looked at: `lone.py uvloop` or `lone.py asyncio`.

Prints its port first; `stdin` takes one line for each thing it is to do: the port of the app to stand before, then `quit`.
"""

import asyncio
import sys

from everwake.clock import SystemClock
from everwake.sim.edge.routes import Upstream
from everwake.sim.edge.server import Edge
from tests.everwake.sim.edge.standing import SERVICE, Platform


async def main() -> None:
    platform = Platform(Upstream(0))
    async with Edge(platform, SystemClock()) as edge:
        print(await edge.open(SERVICE), flush=True)
        while (line := (await asyncio.to_thread(sys.stdin.readline)).strip()) and line != "quit":
            platform.where = Upstream(int(line))
            print("before", line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["uvloop"]:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
