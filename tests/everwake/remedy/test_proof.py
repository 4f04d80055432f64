"""What the looks after a remedy have shown."""

import asyncio
from datetime import datetime, timedelta

from everwake.model import Diagnosis, Observation, State
from everwake.remedy.prove import Prover
from tests.support.fake_clock import FakeClock, settle

WELL = Diagnosis(state=State.UP)


def prover(clock: FakeClock) -> Prover:
    async def look(service: str) -> Observation:
        return Observation(service=service, check="http", at=clock.now(), took_s=0.1, status=200)

    async def ask(service: str) -> Diagnosis:
        return WELL

    return Prover(clock=clock, look=look, ask=ask, faults=frozenset({"wrong_service_url"}))


async def test_what_answered_all_the_while_is_proved_only_once_it_is_up() -> None:
    for well_after_s, proved in ((0.0, True), (100.0, True), (1_000.0, False)):
        clock = FakeClock()
        began = clock.now()

        def lacks(clock: FakeClock = clock, began: datetime = began, after_s: float = well_after_s) -> str:
            return "" if clock.now() - began >= timedelta(seconds=after_s) else "it is still degraded"

        proving = asyncio.create_task(
            prover(clock).prove("backend", "wrong_service_url", ("wrong_service_url",), 20.0, lacks)
        )
        for _ in range(240):
            await settle()
            await clock.advance(1.0)
            if proving.done():
                break
        proof = proving.result()
        assert proof.is_proved is proved
        passed_s = (clock.now() - began).total_seconds()
        assert passed_s >= min(well_after_s, 180.0)
        if not proved:
            assert "it is still degraded" in [one.said for one in proof.criteria]
