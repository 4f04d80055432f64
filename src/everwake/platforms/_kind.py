"""What one file of this folder declares: who the platform is, which verbs it has, and how to reach it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, Self

from everwake.fleet.schema import Secret
from everwake.ports import Clock, Platform

__all__ = ["Access", "Connection", "PlatformKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a platform: its API's address ("" for the usual one) and the key, which has no readable form."""

    key: Secret = field(repr=False)
    url: str = ""


class Connection(Platform, Protocol):
    """A platform with an open door: close it, or use it as `async with`."""

    async def aclose(self) -> None:
        """Let its connections go."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformKind:
    """One platform. verbs: names of `ports.Platform` methods that it has; what is not named is not tried.

    key_variable: the variable in which its users keep their key.   connect: opens nothing yet. Raises: Misused.
    """

    name: str
    about: str
    verbs: frozenset[str]
    key_variable: str
    connect: Callable[[Access, Clock], Connection]
