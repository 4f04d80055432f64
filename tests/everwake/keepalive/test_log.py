"""A flood does not make the log dear."""

import logging

import pytest

from everwake.keepalive._log import Thinned


def test_each_message_is_written_ten_times_a_second_and_the_next_one_tells_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    log = Thinned(logging.getLogger("thinned"))
    for beat in range(330):
        log.say(logging.INFO, 100.0 + beat / 1000, "beat")
    log.say(logging.INFO, 100.5, "closed (code %d)", 1000)
    log.say(logging.INFO, 101.5, "beat")
    log.say(logging.INFO, 101.6, "beat")
    assert [record.getMessage() for record in caplog.records] == [
        *["beat"] * 10,
        "closed (code 1000)",
        "beat (and 320 more before it)",
        "beat",
    ]
