"""Who depends on whom in a circle. Pure."""

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["found"]


def found(needs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """One circle for each knot of names that need each other, such as ("a", "b", "a"); each name at most in one.

    It begins at the name that stands first in `needs`. Without recursion: a chain may be 10,000 names long.
    """
    finished: set[str] = set()
    for start in needs:
        way: list[str] = []
        on_way: dict[str, int] = {}
        rest = [iter((start,))]
        while rest:
            name = next(rest[-1], None)
            if name is None:
                rest.pop()
                if way:
                    finished.add(way[-1])
                    on_way.pop(way.pop())
            elif name in on_way:
                yield _turned((*way[on_way[name] :], name), needs)
                # The whole way is known to lead into this circle: telling it once is enough.
                finished.update(way)
                break
            elif name not in finished:
                on_way[name] = len(way)
                way.append(name)
                rest.append(iter(needs.get(name, ())))


def _turned(circle: tuple[str, ...], needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The same circle from the name that the file names first."""
    order = {name: n for n, name in enumerate(needs)}
    ring = circle[:-1]
    start = min(range(len(ring)), key=lambda n: order.get(ring[n], len(order)))
    return (*ring[start:], *ring[:start], ring[start])
