"""What is needed to take back what a remedy wrote, for as long as the process lives: where nothing durable is given."""

from everwake.ports import Written

__all__ = ["InProcess"]

MOST = 200


class InProcess:
    """`ports.Undo`, forgotten with the process."""

    def __init__(self) -> None:
        self._known: dict[str, Written] = {}

    async def keep(self, run: str, service: str, written: Written) -> None:
        """`Undo.keep`."""
        self._known[run] = self._known.get(run, Written()).then(written)
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    async def recall(self, run: str, service: str) -> Written | None:
        """`Undo.recall`."""
        return self._known.get(run)

    async def forget(self, incident: str) -> None:
        """`Undo.forget`: it goes with the process."""
