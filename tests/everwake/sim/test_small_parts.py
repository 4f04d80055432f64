"""Log files that stay small, free ports, and looks that do not hang."""

import asyncio
import socket
from pathlib import Path

from everwake.sim import ports
from everwake.sim.processes import ready
from everwake.sim.processes.logfile import LogFile


def test_a_log_is_turned_over_at_its_limit_and_keeps_one_predecessor(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "one.log"
    log = LogFile(path, limit_bytes=1000)
    for number in range(100):
        log.write(f"line {number:03} {'x' * 40}")
    log.close()
    sizes = [path.stat().st_size, path.with_name("one.log.1").stat().st_size]
    assert all(0 < size <= 1000 for size in sizes)
    assert len(list(path.parent.iterdir())) == 2
    assert path.read_text().splitlines()[-1].startswith("line 099")


def test_a_log_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    for text in ("first", "second"):
        log = LogFile(tmp_path / "one.log")
        log.write(text)
        log.close()
    assert (tmp_path / "one.log").read_text() == "first\nsecond\n"


def test_a_log_that_cannot_be_written_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "one.log")
    (tmp_path / "one.log").mkdir()
    log.write("lost")
    (tmp_path / "one.log").rmdir()
    log.write("kept")
    log.close()
    assert (tmp_path / "one.log").read_text() == "kept\n"


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((ports.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        assert port not in [next(ports.free_from(port))]
    assert ports.is_free(port)


async def test_a_look_at_a_server_that_never_answers_ends_by_itself() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, ports.HOST, 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await asyncio.wait_for(ready.http(f"http://{ports.HOST}:{port}/health")(), 10) is False


async def test_only_a_200_counts_as_ready() -> None:
    status = ["503 Service Unavailable"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status[0]}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, ports.HOST, 0)
    look = ready.http(f"http://{ports.HOST}:{server.sockets[0].getsockname()[1]}/health")
    async with server:
        assert await look() is False
        status[0] = "200 OK"
        assert await look() is True
