"""Our own line: names, route, a clock that jumped, a machine that slept."""

import socket
from datetime import timedelta

import pytest

from everwake.app.own_line import OwnLineProbe
from everwake.clock import SystemClock
from everwake.fleet.schema import Fleet, Service
from everwake.watch.vantage import Probe, judge


class Clock(SystemClock):
    """The machine's, moved by hand: the wall alone, or what counts while it sleeps."""

    def __init__(self) -> None:
        self.wall_s, self.mono_s, self.slept_s = 0.0, 100.0, 0.0

    def now(self):  # type: ignore[no-untyped-def]
        return SystemClock().now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(seconds=self.wall_s)

    def monotonic(self) -> float:
        return self.mono_s

    def awake_and_asleep_s(self) -> float:
        return self.mono_s + self.slept_s

    def passes(self, seconds: float) -> None:
        self.mono_s += seconds
        self.wall_s += seconds

    def sleeps(self, seconds: float) -> None:
        self.slept_s += seconds
        self.wall_s += seconds


class Names:
    """A resolver that answers what it is told: addresses, or an error."""

    def __init__(self, **answers: tuple[str, ...] | OSError) -> None:
        self.answers, self.asked = {name.replace("_", "."): answer for name, answer in answers.items()}, list[str]()

    async def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        answer = self.answers[host]
        if isinstance(answer, OSError):
            raise answer
        return answer


def probe_of(names: Names, *urls: str, clock: Clock | None = None) -> OwnLineProbe:
    services = tuple(Service(name=f"s{n}", url=url) for n, url in enumerate(urls))
    return OwnLineProbe(Fleet(name="f", services=services), clock or Clock(), names)


TROUBLE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_one_name_that_is_known_proves_that_names_can_be_looked_up() -> None:
    names = Names(a_example=TROUBLE, b_example=("127.0.0.1",))
    found = await probe_of(names, "https://a.example", "https://b.example").probe()
    assert found.resolves is True
    assert judge(found) is None


async def test_when_no_name_can_be_looked_up_it_is_us() -> None:
    found = await probe_of(
        Names(a_example=TROUBLE, b_example=TROUBLE), "https://a.example", "https://b.example"
    ).probe()
    assert found.resolves is False
    assert judge(found)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="only Linux tells the two apart")
async def test_a_name_that_does_not_exist_was_looked_up_all_the_same() -> None:
    assert (await probe_of(Names(a_example=NO_NAME), "https://a.example").probe()).resolves is True


async def test_a_resolver_that_hangs_is_given_up_in_time() -> None:
    found = await probe_of(Names(a_example=TimeoutError()), "https://a.example").probe()
    assert found.resolves is False


async def test_a_fleet_that_is_all_here_never_speaks_against_our_line() -> None:
    names = Names()
    clock = Clock()
    probe = probe_of(
        names, "http://127.0.0.1:1", "http://localhost:2", "http://[::1]:3", "http://x.localhost", clock=clock
    )
    clock.sleeps(3600)
    assert await probe.probe() == Probe()
    assert names.asked == []


async def test_a_route_is_asked_for_where_the_services_are() -> None:
    """Loopback is always routed to; 0.0.0.0/8 and the like nowhere is (man 7 ip)."""
    names = Names(a_example=("127.0.0.1",))
    assert (await probe_of(names, "https://a.example").probe()).has_route is True


async def test_at_most_four_names_are_looked_up() -> None:
    names = Names(**{f"n{n}_example": ("127.0.0.1",) for n in range(9)})
    await probe_of(names, *(f"https://n{n}.example" for n in range(9))).probe()
    assert len(names.asked) == 4


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_clock_that_jumped_an_hour_either_way_is_told_for_half_a_minute(seconds: float) -> None:
    clock = Clock()
    probe = probe_of(Names(a_example=("127.0.0.1",)), "https://a.example", clock=clock)
    clock.passes(60)
    clock.wall_s += seconds
    probe.tick()
    clock.passes(10)
    found = await probe.probe()
    assert found.clock_jump_s == pytest.approx(seconds)
    assert found.slept_s == 0
    assert judge(found)
    clock.passes(60)
    assert judge(await probe.probe()) is None


async def test_a_laptop_that_was_asleep_is_told_and_is_no_jump_of_the_clock() -> None:
    clock = Clock()
    probe = probe_of(Names(a_example=("127.0.0.1",)), "https://a.example", clock=clock)
    clock.passes(60)
    clock.sleeps(7200)
    found = await probe.probe()
    assert (found.slept_s, found.clock_jump_s) == (pytest.approx(7200), pytest.approx(0))


async def test_time_that_only_passed_is_no_news() -> None:
    clock = Clock()
    probe = probe_of(Names(a_example=("127.0.0.1",)), "https://a.example", clock=clock)
    clock.passes(86_400)
    found = await probe.probe()
    assert (found.slept_s, found.clock_jump_s) == (0, 0)
