"""What happens to a fleet in quiet hours: a hundred small things, none of which needs anybody to do anything.

Each kind comes at random moments of its own, several of them at once where that falls so. What takes a service away (a rollover,
a restart, a stall) is kept from following another one of the same service at once: who falls again and again is not quiet.
`faults` are for the counter-test: what breaks and stays broken.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from tests.support.quiet_world import Hosted, World

__all__ = ["FAULTS", "KINDS", "Noise"]

# Between two of a kind in the whole fleet, hours.
EVERY_H: Mapping[str, float] = {
    "slow": 4.0, "one lost look": 2.0, "two lost looks": 4.0, "three lost looks": 12.0, "stall": 8.0, "throttled": 8.0,
    "deploy by a person": 4.0, "long deploy": 12.0, "deploy with a gap": 8.0, "deploy that fails": 12.0,
    "deploy dropped for a newer": 16.0, "rollback by a person": 24.0, "restart by a person": 12.0, "restart by the platform": 8.0,
    "moved by the platform": 16.0, "crash and back": 24.0, "suspended by a person": 48.0, "variable changed by a person": 24.0,
    "lost beats": 4.0, "line closed": 4.0, "other check lost": 6.0, "own network down": 8.0, "own network lossy": 12.0,
    "own network down for long": 48.0, "laptop asleep": 16.0, "clock put right": 16.0, "clock wrong for a while": 24.0,
    "platform silent": 8.0, "platform throttles": 8.0, "platform has trouble": 12.0,
}  # fmt: skip
KINDS = tuple(EVERY_H)
APART_S = 900.0
ERROR = (
    "Traceback (most recent call last):", '  File "/app/serve.py", line 40, in <module>', "RuntimeError: lost the event loop",
    "==> Exited with status 1",
)  # fmt: skip


class Noise:
    """Makes it. made: how often each kind was.   dice: its own, so that a keeper that looks otherwise meets the same."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.world, self.dice = world, dice
        self.made: Counter[str] = Counter()
        self._free_at_s: dict[str, float] = {}
        self._deeds: dict[str, Callable[[Hosted], Awaitable[None]]] = {
            "slow": self._slow, "stall": self._stall, "throttled": self._throttled, "deploy by a person": self._deploy,
            "long deploy": self._long_deploy, "deploy with a gap": self._deploy_with_gap,
            "deploy that fails": self._failing_deploy, "deploy dropped for a newer": self._dropped_deploy,
            "rollback by a person": self._rollback, "restart by a person": self._restart,
            "restart by the platform": self._restart_by_platform, "moved by the platform": self._moved,
            "crash and back": self._crash, "suspended by a person": self._suspended,
            "variable changed by a person": self._variable,
        }  # fmt: skip
        self._at_once: dict[str, Callable[[Hosted], None]] = {
            "one lost look": lambda one: self._lose(one, 1), "two lost looks": lambda one: self._lose(one, 2),
            "three lost looks": lambda one: self._lose(one, 3), "lost beats": self._lose_beats,
            "line closed": lambda one: one.hang_up("1006"), "other check lost": self._lose_check,
            "own network down": lambda one: self._cut(self.dice.uniform(20.0, 600.0)),
            "own network down for long": lambda one: self._cut(self.dice.uniform(1_200.0, 7_200.0)),
            "own network lossy": self._lossy, "laptop asleep": self._sleep, "clock put right": self._put_right,
            "clock wrong for a while": self._put_wrong,
            "platform silent": lambda one: self._api("silent"), "platform throttles": lambda one: self._api("throttles"),
            "platform has trouble": lambda one: self._api("has trouble"),
        }  # fmt: skip

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for kind, hours in EVERY_H.items():
                tasks.create_task(self._again_and_again(kind, hours, tasks))

    async def _again_and_again(self, kind: str, hours: float, tasks: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(self.dice.expovariate(1.0 / (hours * 3_600.0)))
            one = self.dice.choice(list(self.world.hosted.values()))
            if kind in self._at_once:
                self.made[kind] += 1
                self._at_once[kind](one)
            elif self._claims(one):
                self.made[kind] += 1
                tasks.create_task(self._done(one, self._deeds[kind]))

    def _claims(self, one: Hosted) -> bool:
        """What takes a while has the service for itself, and a while of peace behind it."""
        is_free = self.world.loop.time() >= self._free_at_s.get(one.service.name, 0.0) and not one.broken
        if is_free:
            self._free_at_s[one.service.name] = float("inf")
        return is_free

    async def _done(self, one: Hosted, deed: Callable[[Hosted], Awaitable[None]]) -> None:
        await deed(one)
        self._free_at_s[one.service.name] = self.world.loop.time() + APART_S

    # --- the way there ------------------------------------------------------------------------------------------------

    def _lose(self, one: Hosted, looks: int) -> None:
        one.lost = looks

    def _lose_check(self, one: Hosted) -> None:
        self.world.hosted["chatbot"].checks_lost = self.dice.randint(1, 3)

    def _lose_beats(self, one: Hosted) -> None:
        self.world.hosted["chatbot"].beats_lost = self.dice.randint(1, 3)

    def _lossy(self, one: Hosted) -> None:
        self.world.lossy_until_s = self.world.loop.time() + self.dice.uniform(60.0, 600.0)

    def _cut(self, seconds: float) -> None:
        world = self.world
        world.out, world.out_until_s = (
            self.dice.choice(("names", "route", "hole", "beyond")),
            world.loop.time() + seconds,
        )

    def _sleep(self, one: Hosted) -> None:
        """The lid is closed: wall time goes on, the lines die, and for a moment after it there is no network."""
        slept_s = self.dice.uniform(30.0, 36_000.0)
        self.world.clock.slept_s += slept_s
        for each in self.world.hosted.values():
            each.hang_up("1006")
            each.asked_s -= slept_s
        self._cut(self.dice.uniform(0.0, 40.0))

    def _put_right(self, one: Hosted) -> None:
        self.world.clock.wrong_s += self.dice.choice((-1, 1)) * self.dice.uniform(1.0, 30.0)
        if abs(self.world.clock.wrong_s) > 30.0:
            self.world.clock.wrong_s = 0.0

    def _put_wrong(self, one: Hosted) -> None:
        clock, by_s = self.world.clock, self.dice.choice((-1, 1)) * self.dice.uniform(60.0, 7_200.0)
        clock.wrong_s += by_s

        def right() -> None:
            clock.wrong_s -= by_s

        self.world.loop.call_later(self.dice.uniform(60.0, 7_200.0), right)

    def _api(self, how: str) -> None:
        self.world.api, self.world.api_until_s = how, self.world.loop.time() + self.dice.uniform(60.0, 3_600.0)

    # --- the service itself -------------------------------------------------------------------------------------------

    async def _slow(self, one: Hosted) -> None:
        seconds = self.dice.uniform(60.0, 1_800.0)
        one.slow_until_s = self.world.loop.time() + seconds
        await asyncio.sleep(seconds)

    async def _stall(self, one: Hosted) -> None:
        """Alive, and answers nobody for a while: a large request, a processor that is shared."""
        seconds = self.dice.uniform(5.0, 120.0)
        one.stalled_until_s = self.world.loop.time() + seconds
        await asyncio.sleep(seconds)

    async def _throttled(self, one: Hosted) -> None:
        seconds = self.dice.uniform(5.0, 900.0)
        one.throttled_until_s = self.world.loop.time() + seconds
        await asyncio.sleep(seconds)

    async def _gone(self, one: Hosted, seconds: float) -> None:
        one.gone_until_s = self.world.loop.time() + seconds
        one.hang_up("1006")
        await asyncio.sleep(seconds)

    # --- people -------------------------------------------------------------------------------------------------------

    async def _deploy(self, one: Hosted) -> None:
        await self._rolls_over(one, "new_commit", build_s=self.dice.uniform(20.0, 180.0))

    async def _long_deploy(self, one: Hosted) -> None:
        await self._rolls_over(one, "new_commit", build_s=self.dice.uniform(300.0, 1_800.0))

    async def _deploy_with_gap(self, one: Hosted) -> None:
        """A service with a disk: the old instance is stopped before the new one starts."""
        build_s, gap_s = self.dice.uniform(20.0, 120.0), self.dice.uniform(10.0, 90.0)
        await self._rolls_over(one, "new_commit", build_s=build_s, gap_s=gap_s)

    async def _rollback(self, one: Hosted) -> None:
        old = next((each for each in one.deploys if each.status == "deactivated"), one.deploys[0])
        await self._rolls_over(one, "rollback", commit=old.commit_id)

    async def _variable(self, one: Hosted) -> None:
        one.variables["GREETING"] = f"hello {self.dice.random()}"
        commit = next((each.commit_id for each in one.deploys if each.status == "live"), "")
        await self._rolls_over(one, "service_updated", commit=commit)

    async def _rolls_over(
        self, one: Hosted, trigger: str, *, commit: str = "", build_s: float = 0.0, gap_s: float | None = None
    ) -> None:
        world, dice = self.world, self.dice
        made = world.put(
            one, world.deploy_of(one, "build_in_progress" if build_s else "update_in_progress", trigger, commit)
        )
        world.happened(one, "deploy_started", deployId=made.id, trigger={"manual": True})
        await asyncio.sleep(build_s)
        made = world.put(one, made, status="update_in_progress")
        world.says(one, "==> Deploying...")
        if gap_s is not None:
            world.ended(one)
            await self._gone(one, gap_s)
        else:
            await asyncio.sleep(dice.uniform(5.0, 60.0))
        world.started(one)
        world.put(one, made, status="live", finished_at=world.clock.true_now)
        world.happened(one, "deploy_ended", deployId=made.id, deployStatus="succeeded", reason={})
        one.is_asleep = False
        # In the moment of the change some are told 502: none, one look or some seconds of them.
        moment_s = dice.choice((0.0, 0.0, dice.uniform(0.2, 8.0)))
        if moment_s:
            await self._gone(one, moment_s)
        if gap_s is None:
            await asyncio.sleep(60.0)
            world.ended(one)
            one.hang_up("1012")

    async def _failing_deploy(self, one: Hosted) -> None:
        """A person's commit that cannot be built, or does not start: the old instance serves on."""
        world, dice = self.world, self.dice
        made = world.put(one, world.deploy_of(one, "build_in_progress", "new_commit"))
        world.happened(one, "deploy_started", deployId=made.id, trigger={"newCommit": made.commit_id})
        await asyncio.sleep(dice.uniform(20.0, 180.0))
        is_built, reason = dice.random() < 0.5, {"buildFailed": {"id": "bld-1"}}
        if is_built:
            made = world.put(one, made, status="update_in_progress")
            await asyncio.sleep(dice.uniform(5.0, 30.0))
            world.says(one, *ERROR)
            world.happened(one, "server_failed", instanceID="two", reason={"evicted": False, "nonZeroExit": 1})
            reason = {"failure": {"evicted": False, "nonZeroExit": 1}}  # type: ignore[dict-item]
        else:
            world.says(one, "ERROR: No matching distribution found for torch==9.9", "==> Build failed")
        status = "update_failed" if is_built else "build_failed"
        world.put(one, made, status=status, finished_at=world.clock.true_now)
        world.happened(one, "deploy_ended", deployId=made.id, deployStatus="failed", reason=reason)
        if dice.random() < 0.7:  # the person sees it, and mends it
            await asyncio.sleep(dice.uniform(120.0, 3_600.0))
            await self._rolls_over(one, "new_commit", build_s=dice.uniform(20.0, 120.0))

    async def _dropped_deploy(self, one: Hosted) -> None:
        world = self.world
        made = world.put(one, world.deploy_of(one, "build_in_progress", "new_commit"))
        world.happened(one, "deploy_started", deployId=made.id, trigger={"newCommit": made.commit_id})
        await asyncio.sleep(self.dice.uniform(5.0, 60.0))
        world.put(one, made, status="canceled", finished_at=world.clock.true_now)
        world.happened(
            one, "deploy_ended", deployId=made.id, deployStatus="canceled", reason={"newDeploy": {"id": "dep"}}
        )
        await self._rolls_over(one, "new_commit", build_s=self.dice.uniform(20.0, 120.0))

    async def _restart(self, one: Hosted) -> None:
        self.world.happened(one, "server_restarted", triggeredByUser="ada")
        self.world.ended(one)
        await self._gone(one, self.dice.uniform(2.0, 45.0))
        self.world.started(one)

    async def _suspended(self, one: Hosted) -> None:
        world = self.world
        one.record = replace(one.record, suspenders=("user",), instances=())
        one.hang_up("1001")
        world.happened(one, "service_suspended", actor="user")
        await asyncio.sleep(self.dice.uniform(60.0, 7_200.0))
        one.record = replace(one.record, suspenders=(), instances=("one",))
        world.happened(one, "service_resumed", actor="user")
        await self._gone(one, self.dice.uniform(5.0, 60.0))
        world.started(one)

    # --- the platform -------------------------------------------------------------------------------------------------

    async def _restart_by_platform(self, one: Hosted) -> None:
        """Once in a while it renews instances, and says no more than that it did."""
        self.world.ended(one)
        await self._gone(one, self.dice.uniform(5.0, 60.0))
        self.world.started(one)
        self.world.happened(one, "server_available")

    async def _moved(self, one: Hosted) -> None:
        self.world.happened(one, "server_failed", instanceID="one", reason={"evicted": True})
        await self._gone(one, self.dice.uniform(5.0, 90.0))
        self.world.started(one)
        self.world.happened(one, "server_available")

    async def _crash(self, one: Hosted) -> None:
        """It ends by itself, once, and its platform starts it again."""
        world = self.world
        world.says(one, *ERROR)
        world.happened(one, "server_failed", instanceID="one", reason={"evicted": False, "nonZeroExit": 1})
        await self._gone(one, self.dice.uniform(3.0, 45.0))
        world.started(one)
        world.happened(one, "server_available")


# --- what is no noise -----------------------------------------------------------------------------------------------------


def _bad_variable(world: World, one: Hosted) -> None:
    """The mission's own: four letters behind the origins."""
    one.variables["BACKEND_CORS_ORIGINS"] += " -rsss"
    made = world.put(one, world.deploy_of(one, "update_failed", "service_updated", one.deploys[0].commit_id))
    world.put(one, made, finished_at=world.clock.true_now)
    for each in list(one.deploys):
        if each.status == "live":
            world.put(one, each, status="deactivated")
    world.says(
        one, "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
        "BACKEND_CORS_ORIGINS", "  Extra data at position 31", "==> Exited with status 1",
    )  # fmt: skip


def _bad_commit(world: World, one: Hosted) -> None:
    """It went live, and dies again and again."""
    made = world.put(one, world.deploy_of(one, "update_in_progress", "new_commit"))
    world.put(one, made, status="live", finished_at=world.clock.true_now)
    for _ in range(3):
        world.happened(one, "server_failed", instanceID="one", reason={"evicted": False, "nonZeroExit": 1})
        world.says(one, "==> Running 'python -m chatify.serve'", *ERROR)


def _hung(world: World, one: Hosted) -> None:
    """Alive, and answers nobody any more, its platform neither."""
    world.happened(
        one, "server_failed", instanceID="one", reason={"evicted": False, "unhealthy": "no answer for too long"}
    )


FAULTS: Mapping[str, Callable[[World, Hosted], None]] = {
    "bad variable": _bad_variable, "bad commit": _bad_commit, "hung": _hung,
}  # fmt: skip
