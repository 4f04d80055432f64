"""How libcurl's sockets are watched on an event loop: two ways behind one small shape."""

import asyncio
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import pycurl  # type: ignore[import-untyped,unused-ignore]

__all__ = ["EpollWatch", "LoopWatch", "Watch", "watch_for"]

Act = Callable[[list[tuple[int, int]]], None]
READ: Final = pycurl.CSELECT_IN
WRITE: Final = pycurl.CSELECT_OUT
ERROR: Final = pycurl.CSELECT_ERR


class Watch(Protocol):
    """Watches sockets as libcurl asks, and calls back with (socket, what is possible) for all that are ready at once."""

    def want(self, what: int, fd: int, multi: object, data: object) -> None:
        """libcurl's socket callback."""

    def close(self) -> None:
        """Stop watching everything."""


class LoopWatch:
    """With the loop's own readers and writers: any selector loop, uvloop too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Act) -> None:
        self._loop, self._act = loop, act
        self._wanted: dict[int, int] = {}

    def want(self, what: int, fd: int, multi: object, data: object) -> None:
        """See `Watch.want`."""
        del multi, data
        wanted = 0 if what == pycurl.POLL_REMOVE else what
        had = self._wanted.get(fd, 0)
        if wanted & pycurl.POLL_IN:
            if not had & pycurl.POLL_IN:
                self._loop.add_reader(fd, self._act, [(fd, READ)])
        elif had & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if wanted & pycurl.POLL_OUT:
            if not had & pycurl.POLL_OUT:
                self._loop.add_writer(fd, self._act, [(fd, WRITE)])
        elif had & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)
        if wanted:
            self._wanted[fd] = wanted
        else:
            self._wanted.pop(fd, None)

    def close(self) -> None:
        """See `Watch.close`."""
        for fd in tuple(self._wanted):
            self.want(pycurl.POLL_REMOVE, fd, None, None)


if hasattr(select, "epoll"):

    class EpollWatch:
        """With an epoll of its own inside the loop's: one wake-up for all sockets that are ready, no handle for each.

        A fifth cheaper than `LoopWatch` when there is much to do (bench/looks.py); Linux only.
        """

        def __init__(self, loop: asyncio.AbstractEventLoop, act: Act) -> None:
            self._loop, self._act = loop, act
            self._epoll = select.epoll()
            self._known: set[int] = set()
            loop.add_reader(self._epoll.fileno(), self._ready)

        def want(self, what: int, fd: int, multi: object, data: object) -> None:
            """See `Watch.want`."""
            del multi, data
            if what == pycurl.POLL_REMOVE:
                # It is about to be closed, and leaves the epoll by that: taking it out would be one more call of the kernel.
                self._known.discard(fd)
                return
            # The bits of POLL_IN / POLL_OUT are 1 / 2, those of EPOLLIN / EPOLLOUT 1 / 4.
            mask = (what & 1) | (what & 2) << 1
            if fd in self._known:
                self._epoll.modify(fd, mask)
                return
            self._known.add(fd)
            try:
                self._epoll.register(fd, mask)
            except FileExistsError:  # it was not closed after all
                self._epoll.modify(fd, mask)

        def _ready(self) -> None:
            ready = []
            for fd, event in self._epoll.poll(0, 256):
                if fd in self._known:
                    # Hang-up and error count as both: libcurl finds out what it is when it reads.
                    ready.append((fd, (event & 1) | (event & 4) >> 1 | (READ | ERROR if event & ~5 else 0)))
                else:
                    with suppress(OSError):
                        self._epoll.unregister(fd)
            self._act(ready)

        def close(self) -> None:
            """See `Watch.close`."""
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

else:
    EpollWatch = LoopWatch  # type: ignore[misc,assignment,unused-ignore]


def watch_for(loop: asyncio.AbstractEventLoop, act: Act) -> Watch:
    """The cheapest way that this system has."""
    return EpollWatch(loop, act)
