"""The ring: whoever has event n gets everything behind it exactly once, or is told that it cannot."""

from hypothesis import given
from hypothesis.strategies import binary, integers, lists, text

from everwake.web.ring import Ring


@given(bodies=lists(binary(max_size=50)), most=integers(1, 8), most_bytes=integers(1, 400), has=integers(0, 20))
def test_who_comes_back_gets_what_it_missed_once_and_in_order_or_learns_that_it_is_gone(
    bodies: list[bytes], most: int, most_bytes: int, has: int
) -> None:
    ring = Ring("run", most, most_bytes)
    for n, body in enumerate(bodies):
        ring.add("event", b"%d:%s" % (n, body.hex().encode()))
    behind = ring.after(has)
    if has > len(bodies):
        assert behind is None
    elif behind is not None:
        assert [piece.split(b"\n")[0] for piece in behind] == [
            b"id: run-%d" % n for n in range(has + 1, len(bodies) + 1)
        ]
    else:
        assert len(bodies) - has > 1, "the newest event is always there"


@given(bodies=lists(binary(max_size=50), max_size=40), most=integers(1, 8), most_bytes=integers(100, 400))
def test_it_never_holds_more_than_it_may(bodies: list[bytes], most: int, most_bytes: int) -> None:
    ring = Ring("run", most, most_bytes)
    for body in bodies:
        ring.add("event", body.hex().encode())
    held = next(events for n in range(len(bodies) + 1) if (events := ring.after(n)) is not None)
    assert len(held) <= most
    assert sum(map(len, held)) <= most_bytes or len(held) == 1


@given(said=text(max_size=30))
def test_only_ids_of_this_run_and_of_the_past_are_taken(said: str) -> None:
    ring = Ring("run")
    ring.add("event", b"{}")
    assert ring.number(said) is None or said in ("run-0", "run-1", "run-00", "run-01") or said.startswith("run-0")


def test_its_own_ids_are_taken_and_those_of_another_run_or_of_the_future_are_not() -> None:
    ring = Ring("run")
    ring.add("event", b"{}")
    assert ring.number(ring.id) == 1
    assert ring.number("other-1") is None
    assert ring.number("run-2") is None
    assert ring.number("run-") is None
    assert ring.number("run-²") is None
