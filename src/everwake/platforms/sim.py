"""The stand-in that `everwake up` and `everwake sim` run: the same API as Render's, at an address of this machine."""

from everwake.errors import Misused
from everwake.platforms._kind import Access, PlatformKind
from everwake.platforms.render import KEY_VARIABLE, VERBS, Render
from everwake.ports import Clock

__all__ = ["PLATFORM"]


def _connect(access: Access, clock: Clock) -> Render:
    if not access.url:
        hint = "start `everwake up` or `everwake sim`; its up.json holds the address"
        raise Misused("the simulated platform has no address", hint=hint)
    return Render(access, clock, name="sim")


PLATFORM = PlatformKind(
    name="sim",
    about="the simulated Render of `everwake up` and `everwake sim`",
    verbs=VERBS,
    key_variable=KEY_VARIABLE,
    connect=_connect,
)
