"""A platform that is busy until somebody kills it: `python -m tests.everwake.sim.killed_platform FOLDER`."""

import asyncio
import os
import sys
from pathlib import Path
from random import Random

from everwake.sim.verbs import Refused
from tests.everwake.sim.rehearsal import Rehearsal, rehearsal


async def something(town: Rehearsal, ids: list[str], random: Random) -> None:
    """One thing that an owner or a visitor might do."""
    one = random.choice(ids)
    platform = town.platform
    what = random.randrange(6)
    try:
        if what == 0:
            await platform.create_deploy(one)
        elif what == 1:
            await platform.suspend(one)
        elif what == 2:
            await platform.resume(one)
        elif what == 3:
            await platform.restart(one)
        elif what == 4:
            platform.hosted(one).sleep()
        else:
            await platform.set_env(one, "N", str(random.random()))
    except Refused:
        pass
    await asyncio.sleep(random.uniform(0.0, 0.3))


async def main() -> None:
    """Be busy."""
    folder = Path(sys.argv[1])
    random = Random(os.environ["KILLED_SEED"])
    async with rehearsal(folder) as town:
        mark = {"KILLED_FOLDER": str(folder)}
        for name in ("one", "two"):
            if not platform_service(town, name):
                await town.service(name, live=False, env=mark)
        print("running", flush=True)
        ids = [each.id for each in town.platform.services(town.owner.id)]
        while True:
            await something(town, ids, random)


def platform_service(town: Rehearsal, name: str) -> bool:
    return any(each.name == name for each in town.platform.services(town.owner.id))


if __name__ == "__main__":
    asyncio.run(main())
