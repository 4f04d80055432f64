"""What stands before the words of a log line: colour, time, level, instance, process."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["Peeled", "peel", "plain"]

# Every pattern here is anchored or made of character classes that cannot overlap: one pass, no backtracking to speak of.
_COLOUR = re.compile(r"\x1b\[[0-9;?]{0,12}[A-Za-z]")
_TIME = re.compile(
    r"\[?(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?\s?(Z|[+-]\d{2}:?\d{2})?\]?[:,]?\s{0,8}"
)
_WORDY_TIME = re.compile(
    r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{1,2}):(\d{2}):(\d{2})(?: ([AP]M))?\s{1,8}"
)
_MONTHS = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}
_WHO = re.compile(r"([a-z]{2,12})\[([\w.:-]{1,40})\](?::? {0,4})(?:[a-z]{3} )?")
_COMPOSE = re.compile(r"([\w.-]{1,60}?)(?:[-_]\d{1,3})?\s{1,30}\| ")
_TAGS = re.compile(
    r"(?:\[(?:\d{1,7}|inf|info|err|error|warn|warning|debug|notice|critical)\]\s{0,4}){1,4}", re.IGNORECASE
)
_BRACKETS = re.compile(r"\[([0-9a-z]{4,16})\]\s{1,4}")
_LEVELS = frozenset({"info", "error", "warn", "debug", "notice", "critical", "warning", "fatal"})
_PID = re.compile(r"(?:process|pid:?|worker)\s?[\[(=: ]\s?(\d{1,7})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Peeled:
    """A line without what stood before its words. who: "heroku", "app", "proxy", ...   group: instance and process."""

    text: str
    at: datetime | None
    who: str
    group: str


def plain(line: str) -> str:
    """Without colour codes and the like."""
    return _COLOUR.sub("", line) if "\x1b" in line else line


def _time(text: str) -> tuple[datetime | None, int]:
    if text[:1].isalpha():
        worded = _WORDY_TIME.match(text)
        if worded is None or worded[1] not in _MONTHS:
            return None, 0
        hour = int(worded[3]) % 12 + (12 if worded[6] == "PM" else 0) if worded[6] else int(worded[3])
        parts = (2000, _MONTHS[worded[1]], int(worded[2]), hour, int(worded[4]), int(worded[5]), 0, "", worded.end())
    else:
        found = _TIME.match(text)
        if found is None:
            return None, 0
        year, month, day, hour, minute, second = (int(found[n]) for n in range(1, 7))
        micro = int((found[7] or "0")[:6].ljust(6, "0"))
        parts = (year, month, day, hour, minute, second, micro, found[8] or "", found.end())
    *when, zone, end = parts
    offset: timezone = UTC
    if zone not in ("", "Z"):
        digits = str(zone).replace(":", "")
        offset = timezone((1 if digits[0] == "+" else -1) * timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5])))
    try:
        year, month, day, hour, minute, second, micro = (int(one) for one in when)
        return datetime(year, month, day, hour, minute, second, micro, tzinfo=offset).astimezone(UTC), int(end)
    except (ValueError, OverflowError):
        return None, int(end)


def peel(line: str) -> Peeled:
    """Take a bounded line apart. What is not recognised stays in the text."""
    text, who, instance = line.strip(), "", ""
    if " | " in text[:100] and (compose := _COMPOSE.match(text)):
        instance, text = compose[1], text[compose.end() :].lstrip()
    try:
        at, end = _time(text)
    except ValueError:
        at, end = None, 0
    text = text[end:].lstrip()
    if found := _WHO.match(text):
        who, instance = found[1], found[2]
        text = text[found.end() :]
    elif (found := _BRACKETS.match(text)) and not found[1].isdigit() and found[1] not in _LEVELS:
        instance, text = found[1], text[found.end() :]
    if found := _TAGS.match(text):
        text = text[found.end() :]
    process = _PID.search(text)
    return Peeled(text.strip(), at, who, f"{instance}/{process[1]}" if process else instance)
