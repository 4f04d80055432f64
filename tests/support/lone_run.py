"""A run without `everwake up` around it: `python lone_run.py DIR PORT [WORD ...]`.

One stand-in with those words, under a claim and a guardian. Prints `starting`, then `ready`, then waits to be killed.
"""

import asyncio
import os
import sys
from pathlib import Path

from everwake.sim.claim import Claim
from everwake.sim.processes import ready
from everwake.sim.processes.fleet import Fleet
from everwake.sim.processes.group import Group
from everwake.sim.processes.process import Program
from tests.support import standin


class Silent:
    """A witness with nothing to say."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def line(self, name: str, text: str) -> None: ...


async def main() -> None:
    """Start it and stay."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    argv = (sys.executable, standin.__file__, str(port), *sys.argv[3:])
    program = Program(
        name="one", argv=argv, env=dict(os.environ), port=port, ready=ready.http(f"http://127.0.0.1:{port}/health")
    )
    with Claim(folder) as claim, Group(claim.fileno) as group:
        async with Fleet(group, folder / "logs", Silent()) as fleet:
            print("starting", flush=True)
            await fleet.start([program])
            claim.publish({"pid": os.getpid()})
            print("ready", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
