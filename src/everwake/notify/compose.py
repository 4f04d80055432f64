"""What a message says and when it is tried again. Pure."""

from dataclasses import dataclass
from datetime import datetime

from everwake.ports import Notice

__all__ = ["GIVE_UP_AFTER_S", "Message", "message", "shortened", "trial", "wait_s"]

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 900.0
GIVE_UP_AFTER_S = 86_400.0
TITLE_CHARS = 200
BODY_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What goes out. key: the same for every try, so that a receiver can tell a repetition.   is_bad: bad news."""

    key: str
    title: str
    body: str
    is_bad: bool


def message(notice: Notice) -> Message:
    """The message of one notice: what, since when, why, and where to read more, as the notice says."""
    return Message(
        key=notice.key,
        title=shortened(_one_line(notice.title), TITLE_CHARS),
        body=shortened(_printable(notice.body), BODY_CHARS),
        is_bad=notice.opened,
    )


def trial(fleet: str, at: datetime) -> Message:
    """What `everwake notify test` sends."""
    return Message(
        key=f"test:{at:%Y%m%dT%H%M%S.%f}",
        title=shortened(_one_line(f"{fleet}: a test of Everwake"), TITLE_CHARS),
        body=f"Messages about incidents reach you here. Sent {at:%Y-%m-%d %H:%M:%S} UTC; nothing is wrong.",
        is_bad=False,
    )


def wait_s(failures: int, dice: float) -> float:
    """How long to leave a channel alone after that many failures in a row (1 or more). dice: 0.0-1.0, spreads the tries."""
    # Past 2**20 the power only grows; the cap has long been reached.
    longest = min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 20), LONGEST_WAIT_S)
    return longest * (0.75 + 0.25 * dice)


def shortened(text: str, chars: int) -> str:
    """At most that many characters, with a sign that something is missing."""
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def _one_line(text: str) -> str:
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    """Without control characters: some of a message comes from whoever answered a look."""
    return "".join(char for char in text if char == "\n" or char.isprintable())
