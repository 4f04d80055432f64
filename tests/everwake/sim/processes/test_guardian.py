"""Nothing outlives a run, also when it is killed; the next run waits for that, and one folder has one owner."""

import contextlib
import json
import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from everwake.errors import AlreadyRunning, Misused
from everwake.sim.claim import Claim
from everwake.sim.processes import guardian
from tests.support import lone_run
from tests.support.processes import free_port

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the guardian is POSIX; Windows has a job object")
ROOT = Path(__file__).parents[4]
KILLS = int(os.environ.get("SOAK", "10"))


@contextlib.contextmanager
def run_in(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, lone_run.__file__, str(folder), str(free_port()), *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def until_line(process: subprocess.Popen[str], wanted: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == wanted:
            return
    raise AssertionError(f"ended without saying {wanted}")


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def left_of(processes: list[psutil.Process], within_s: float = 10.0) -> list[psutil.Process]:
    deadline = time.monotonic() + within_s
    while (left := [one for one in processes if is_alive(one)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@posix_only
def test_a_killed_run_leaves_neither_its_services_nor_their_stubborn_children(tmp_path: Path) -> None:
    with run_in(tmp_path, "child", "stubborn") as process:
        until_line(process, "ready")
        all_of_it = family(process)
        assert len(all_of_it) == 3, "guardian, service and the service's child in a session of its own"
        process.kill()
        process.wait(10)
        assert left_of(all_of_it) == []


@posix_only
@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_run_killed_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL between 0 and 150 ms after the first word: before, while and after its processes start."""
    dice, mark = random.Random(20), f"mark-{os.getpid()}"
    for _ in range(KILLS):
        with run_in(tmp_path, "child", mark) as process:
            until_line(process, "starting")
            time.sleep(dice.uniform(0, 0.15))  # the moment is the subject
            process.kill()
            process.wait(10)
        with Claim(tmp_path):  # waits for the guardian
            assert [one for one in psutil.process_iter() if is_marked(one, mark)] == []


def is_marked(process: psutil.Process, mark: str) -> bool:
    """Does it, or did its parent, carry the word on its command line? Whoever was on the way when the kill came does."""
    with contextlib.suppress(psutil.Error):
        return mark in process.cmdline() or mark in process.environ().get("STANDIN_WORDS", "").split()
    return False


@posix_only
def test_the_next_run_waits_until_a_killed_one_is_gone(tmp_path: Path) -> None:
    with run_in(tmp_path, "child", "stubborn") as process:
        until_line(process, "ready")
        all_of_it = family(process)
        process.kill()
        process.wait(10)
        with Claim(tmp_path):
            assert left_of(all_of_it, within_s=0.5) == []


def test_up_json_is_its_owners_only_and_goes_with_the_run(tmp_path: Path) -> None:
    with Claim(tmp_path / "data") as claim:
        claim.publish({"pid": 1})
        claim.publish({"pid": 2})
        path = tmp_path / "data" / "up.json"
        assert json.loads(path.read_text()) == {"pid": 2}
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()
    assert [each.name for each in path.parent.iterdir()] == ["up.lock"]


def test_a_stale_up_json_of_a_dead_run_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"pid": 999999999}')
    (tmp_path / "up.lock").write_text("999999999\n")
    with Claim(tmp_path):
        assert not (tmp_path / "up.json").exists()


def test_a_second_run_in_one_folder_is_refused_at_once_and_names_the_first(tmp_path: Path) -> None:
    with run_in(tmp_path) as process:
        until_line(process, "ready")
        with pytest.raises(AlreadyRunning, match=rf"process {process.pid}\)"):
            Claim(tmp_path).__enter__()
        assert json.loads((tmp_path / "up.json").read_text()) == {"pid": process.pid}


def test_a_folder_that_cannot_be_made_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misused, match="cannot use"):
        Claim(tmp_path / "file" / "data").__enter__()


@posix_only
def test_a_process_is_found_by_its_mark() -> None:
    marked = guardian.mark("0123456789abcdef", "one")
    env = {**os.environ, guardian.VARIABLE: marked}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=env) as process:
        assert guardian.belonging(marked) == {process.pid}
        assert guardian.belonging(guardian.mark("0123456789abcdef")) == {process.pid}
        assert guardian.belonging(guardian.mark("0123456789abcdef", "on")) == set()
        assert process.stdin is not None
        process.stdin.close()
    assert guardian.belonging(marked) == set()


@posix_only
def test_where_there_is_no_proc_ps_tells_the_same() -> None:
    needle = f"{guardian.VARIABLE}={guardian.mark('fedcba9876543210', 'one')}".encode()
    env = {**os.environ, guardian.VARIABLE: guardian.mark("fedcba9876543210", "one")}
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=env, process_group=0
    ) as process:
        found = [(pid, group) for pid, group, surroundings in guardian._from_ps() if b"\0" + needle in surroundings]
        assert found == [(process.pid, process.pid)]
