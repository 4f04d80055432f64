"""Fifty histories opened and closed leave nothing behind."""

import threading
from pathlib import Path

import psutil

from everwake.history import History
from everwake.model import State
from tests.everwake.history.conftest import Story
from tests.support.fake_clock import FakeClock


def open_files() -> int:
    process = psutil.Process()
    return process.num_handles() if hasattr(process, "num_handles") else process.num_fds()


def test_fifty_openings_and_closings_leave_no_thread_and_no_file_open(path: Path) -> None:
    def once() -> None:
        history = History(path, FakeClock())
        history.open()
        Story(history).move(State.UP, FakeClock().now())
        history.standings()
        history.close()

    once()
    threads, files = threading.active_count(), open_files()
    for _ in range(50):
        once()
    assert threading.active_count() == threads
    assert open_files() <= files
