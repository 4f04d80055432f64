"""A channel takes a message or says why not, and never shows its secret."""

import asyncio
import logging
import threading

import pytest

from everwake.fleet.schema import Secret
from everwake.notify.channel import Channel, NotSent, in_thread
from everwake.notify.compose import Message
from tests.support.receiver import receiver

# A hundred plugins are loaded; some of them use what Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MESSAGE = Message(
    key="inc-1:opened@aa", title="Chatbot is down", body="Cause: refused.\nhttp://127.0.0.1:8600/", is_bad=True
)


def channel(url: str, number: int = 1) -> Channel:
    return Channel(Secret(url, "env ALERT_URL"), number)


def test_a_message_arrives_whole_with_a_key_by_which_a_repetition_is_told() -> None:
    with receiver() as there:
        assert channel(there.url).send(MESSAGE) == "JSON"
        (body,) = there.messages
        assert (body["title"], body["message"]) == (MESSAGE.title, MESSAGE.body)
        assert body["type"] == "failure"
        assert there.keys == [MESSAGE.key]


def test_a_refusal_is_told_with_its_reason_and_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver() as there:
        there.status = 500
        with pytest.raises(NotSent) as refused:
            channel(f"{there.url}?token=open-sesame").send(MESSAGE)
    assert "500" in str(refused.value)
    for secret in ("a-secret-path", "open-sesame"):
        assert secret not in str(refused.value)
        assert secret not in caplog.text


def test_nobody_there_is_a_refusal_too() -> None:
    with receiver() as there:
        url = there.url
    with pytest.raises(NotSent):
        channel(url).send(MESSAGE)


@pytest.mark.parametrize("url", ["nonsense", "no-such-service://x/y", "json://", "mailto://"])
def test_a_url_that_apprise_does_not_know_is_named_before_it_is_needed(url: str) -> None:
    with pytest.raises(NotSent, match="knows no such URL"):
        channel(url).check()


def test_a_channel_has_a_name_for_people_and_an_id_for_ever_and_neither_tells_the_url() -> None:
    one, two = channel("json://a/token"), channel("json://b/token", 2)
    assert (one.name, two.name) == ("channel 1 (env ALERT_URL)", "channel 2 (env ALERT_URL)")
    assert one.id == channel("json://a/token", 7).id != two.id
    assert "token" not in f"{one!r}{one.id}{one.name}"


async def test_a_send_that_hangs_is_given_up_at_its_deadline() -> None:
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        await in_thread(gate.wait, 0.05)
    gate.set()


async def test_what_a_thread_raises_is_raised_here() -> None:
    def fails() -> None:
        raise NotSent("no")

    with pytest.raises(NotSent, match="no"):
        await in_thread(fails, 5)
    assert await in_thread(lambda: asyncio.iscoroutinefunction(None), 5) is False
