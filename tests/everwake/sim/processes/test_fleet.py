"""Processes kept running together: started, restarted, stopped, with nothing left."""

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from everwake.errors import DidNotStart
from everwake.sim.processes import ready
from everwake.sim.processes._restarts import Restarts
from everwake.sim.processes.fleet import Fleet, Patience
from everwake.sim.processes.group import Group
from everwake.sim.processes.process import Program
from tests.support import standin
from tests.support.processes import free_port

FAST = Patience(start_s=20, grace_s=5, restarts=Restarts(first_s=0.05, longest_s=0.2))


@dataclass
class Heard:
    """A witness that remembers."""

    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def line(self, name: str, text: str) -> None:
        self.lines.append((name, text))


def program(name: str, *words: str) -> Program:
    port = free_port()
    argv = (sys.executable, standin.__file__, str(port), *words)
    env = {"PATH": os.environ["PATH"]}
    return Program(name=name, argv=argv, env=env, port=port, ready=ready.http(f"http://127.0.0.1:{port}/health"))


def get(one: Program, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{one.port}{path}", timeout=5) as answer:
        return bytes(answer.read())


def descendants() -> set[int]:
    return {each.pid for each in psutil.Process().children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE}


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def until(holds: Callable[[], object], within_s: float = 15.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test here leaves a process behind."""
    before = descendants()
    yield
    assert descendants() == before


async def test_all_are_ready_after_the_start_and_gone_after_the_stop(tmp_path: Path) -> None:
    heard, two = Heard(), [program("one"), program("two")]
    with Group() as group:
        async with Fleet(group, tmp_path, heard, FAST) as fleet:
            await fleet.start(two)
            assert [get(each, "/health") for each in two] == [b'{"status":"healthy"}'] * 2
        assert not [each for each in two if await each.ready()]
    assert [text.split(" after ")[0] for text in sorted(heard.said)] == ["one answers", "two answers"]
    assert not heard.warned


async def test_lines_reach_the_witness_and_the_log_file(tmp_path: Path) -> None:
    heard = Heard()
    with Group() as group:
        async with Fleet(group, tmp_path, heard, FAST) as fleet:
            await fleet.start([program("one", "says=good morning")])
    assert ("one", "good morning") in heard.lines
    assert (tmp_path / "one.log").read_text().startswith("good morning\n")


async def test_escape_sequences_of_a_service_do_not_reach_the_terminal(tmp_path: Path) -> None:
    heard = Heard()
    with Group() as group:
        async with Fleet(group, tmp_path, heard, FAST) as fleet:
            await fleet.start([program("one", "says=\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\x9b2J")])
    assert heard.lines[0] == ("one", "red ]0;title bell2J")


async def test_a_service_that_dies_at_start_shows_what_it_said(tmp_path: Path) -> None:
    with Group() as group:
        async with Fleet(group, tmp_path, Heard(), FAST) as fleet:
            with pytest.raises(DidNotStart) as died:
                await fleet.start([program("one"), program("two", "says=no such database", "dies=7")])
    assert (died.value.name, died.value.status, died.value.said) == ("two", 7, ("no such database",))


async def test_a_service_that_never_answers_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    with Group() as group:
        async with Fleet(group, tmp_path, Heard(), Patience(start_s=0.5, grace_s=5)) as fleet:
            with pytest.raises(DidNotStart, match=r"did not answer within 0\.5 s"):
                await fleet.start([program("one", "sick")])


async def test_a_program_that_does_not_exist_is_a_failure_and_no_traceback(tmp_path: Path) -> None:
    absent = Program(
        name="one", argv=(str(tmp_path / "absent"),), env={}, port=1, ready=ready.http("http://127.0.0.1:1/")
    )
    with Group() as group:
        async with Fleet(group, tmp_path, Heard(), FAST) as fleet:
            with pytest.raises(DidNotStart, match="one cannot be run: No such file"):
                await fleet.start([absent])


async def test_a_crashed_service_is_started_again_with_a_growing_wait(tmp_path: Path) -> None:
    heard, one = Heard(), program("one")
    with Group() as group:
        async with Fleet(group, tmp_path, heard, FAST) as fleet:
            await fleet.start([one])
            for crash in (1, 2, 3):
                with pytest.raises(OSError):
                    await asyncio.to_thread(get, one, "/crash")
                await until(lambda crash=crash: sum("answers again" in said for said in heard.said) == crash)
            assert await one.ready()
    waits = [text.rpartition(" in ")[2] for text in heard.warned]
    assert waits == ["0.05 s", "0.1 s", "0.2 s"]
    assert all("ended with status 3" in text for text in heard.warned)


async def test_what_a_crashed_service_left_behind_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    heard, one = Heard(), program("one", "child")
    with Group() as group:
        async with Fleet(group, tmp_path, heard, FAST) as fleet:
            await fleet.start([one])
            grandchild = int(get(one, "/child"))
            assert is_alive(grandchild)
            with pytest.raises(OSError):
                await asyncio.to_thread(get, one, "/crash")
            await until(lambda: any("answers again" in said for said in heard.said))
            assert not is_alive(grandchild)
            second = int(get(one, "/child"))
        assert not is_alive(second)


async def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    heard = Heard()
    with Group() as group:
        async with Fleet(group, tmp_path, heard, Patience(start_s=20, grace_s=0.3)) as fleet:
            await fleet.start([program("one", "stubborn"), program("two")])
    assert heard.warned == ["one did not stop when asked; ending it"]


async def test_whoever_is_in_a_hurry_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    hurry, loop = asyncio.Event(), asyncio.get_running_loop()
    with Group() as group:
        async with Fleet(group, tmp_path, Heard(), Patience(start_s=20, grace_s=60), hurry) as fleet:
            await fleet.start([program("one", "stubborn")])
            began_s = loop.time()
            hurry.set()
    assert loop.time() - began_s < 10


async def test_the_last_started_is_stopped_first(tmp_path: Path) -> None:
    heard = Heard()
    with Group() as group:
        async with Fleet(group, tmp_path, heard, FAST) as fleet:
            await fleet.start([program("first")])
            await fleet.start([program("second")])
    assert [name for name, text in heard.lines if text == "told to stop"] == ["second", "first"]


async def test_stopping_while_starting_leaves_nothing(tmp_path: Path) -> None:
    with Group() as group:
        async with Fleet(group, tmp_path, Heard(), FAST) as fleet:
            starting = asyncio.create_task(fleet.start([program("one", "sick"), program("two", "child")]))
            await until(lambda: len(descendants()) >= 3)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting


async def test_the_end_of_the_guardian_is_noticed(tmp_path: Path) -> None:
    with Group() as group:
        async with Fleet(group, tmp_path, Heard(), FAST) as fleet:
            await fleet.start([program("one")])
            guardian = next(each for each in psutil.Process().children() if "guardian" in " ".join(each.cmdline()))
            os.kill(guardian.pid, signal.SIGKILL)
            await asyncio.wait_for(fleet.unguarded(), 10)


async def test_starting_and_stopping_leaks_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    async def once() -> None:
        with Group() as group:
            async with Fleet(group, tmp_path, Heard(), FAST) as fleet:
                await fleet.start([program("one")])

    await once()
    before = psutil.Process().num_fds(), psutil.Process().num_threads()
    for _ in range(5):
        await once()
    assert (psutil.Process().num_fds(), psutil.Process().num_threads()) == before
