"""Looks at a service after a remedy until it is proved, or late: the shell around `proof`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from everwake.model import Diagnosis, Observation, Proof
from everwake.ports import Clock
from everwake.remedy.proof import Proving, judged, saw

__all__ = ["Prover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """look: one look at a service, which ends by itself.   ask: why it is not well, asked anew.   faults: causes that are any.

    said: told after each look how it stands.
    """

    clock: Clock
    look: Callable[[str], Awaitable[Observation]]
    ask: Callable[[str], Awaitable[Diagnosis | None]]
    faults: frozenset[str]
    said: Callable[[Proving], None] = lambda proving: None

    async def prove(
        self, service: str, cause: str, before: Sequence[str], pace_s: float, lacks: Callable[[], str] = lambda: ""
    ) -> Proof:
        """What was shown: as soon as all is, else what was by the deadline. before: causes named when the remedy began.

        lacks: what is still not well about it while its looks are good, "" for nothing.
        """
        proving = Proving(began_at=self.clock.now(), pace_s=pace_s)
        while True:
            proving = saw(proving, await self.look(service))
            self.said(proving)
            if proving.is_up:
                proof = judged(proving, cause, before, await self.ask(service), self.faults, lacks())
                if proof.is_proved or proving.is_late(self.clock.now()):
                    return proof
            elif proving.is_late(self.clock.now()):
                return judged(proving, cause, before, None, self.faults)
            await self.clock.sleep(proving.again_s)
