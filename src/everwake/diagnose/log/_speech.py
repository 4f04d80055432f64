"""What stands in a line and is not its own trouble: harmless turns of phrase, and what users and assistants said. Pure.

Every pattern is bounded and has no nested repetition, so that a line costs time by its length.
"""

import json
import re
from typing import Any

__all__ = ["is_grave", "level_of", "own_words", "without_noise"]

_NAMES = {
    **dict.fromkeys(("trace", "debug", "info", "notice", "verbose"), "ordinary"),
    **dict.fromkeys(("warn", "warning"), "warning"),
    **dict.fromkeys(("error", "err", "fatal", "critical", "crit", "panic", "emerg", "alert", "severe"), "grave"),
}
_LEVEL = re.compile(
    r"(?<![a-z0-9_])(?:level\"?\s?[:=]\s?\"?([1-6]0)(?!\d)|(trace|debug|info|notice|verbose|warn|warning|error|err|fatal|"
    r"critical|crit|panic|emerg|alert|severe)(?![a-z0-9_])|(\[(?:chat|conversation|bot|message|user|assistant|prompt|reply)\]))"
)
_LEVEL_WITHIN = 120

# Turns of phrase with the name of an error in them that tell of none. Whole words: `connection_error` holds no `on_error`.
_NOISE = re.compile(
    r"(?<![a-z0-9_])(?:not running as pid 1|error_log|pci: fatal|error waiting for process to terminate|"
    r"zombie processes will not|no errors|0 errors|error-free|without errors?|errors: 0|on_error|errorhandler|error handler|"
    r"error_handler|error reporting|error tracking|error level|loglevel)(?![a-z0-9_])"
)
_GRAVE = re.compile(
    r"(?<![a-z0-9_])(?<!0 )(?:error|err|fatal|critical|panic|emerg|failed|crashed|died|aborted)(?![a-z0-9_])"
)
_WARNS = re.compile(r"deprecat|warn")

# Of lines whose own level is ordinary, behind such a word stands what somebody said; of lines without a level, only behind the
# first kind. Where the line has told of a failure before it, the words are the failure's.
_SPEAKER = re.compile(
    r"(?<![a-z0-9_.])(?:user|customer|visitor|guest|human|assistant)(?:[ #:=]{1,2}[\w.@-]{1,40})??\s{0,2}"
    r"(?:said|says|asked|asks|wrote|writes|typed|:)(?=[\s\"'`:])"
)
_SAID = re.compile(
    r"(?<![a-z0-9_.])(?:(?:asked|asks|said|wrote|typed)(?![a-z0-9_])|(?:message|reply|prompt|question|answer|chat)"
    r"(?: [\w-]{1,20}){1,3}:|(?:message|text|content|title|subject|prompt|question|"
    r"utterance|reply|transcript|comment|user_input|user_message|bot)\s?[:=])"
)
_TAGGED = re.compile(
    r"\[(?:(?:message|user|assistant|prompt|reply)\]|(?:chat|conversation|bot)\]\s{0,4}"
    r"(?!redis|postgres|mysql|mongo|database|db)[\w.@-]{1,40}(?: [\w.@-]{1,40})?\s?(?::|->|>))"
)
_QUOTED = re.compile(r"\"[^\"]{1,1800}\"|(?<![a-z0-9])'[^']{1,1800}'(?![a-z0-9])|`[^`]{1,1800}`")
_OWN_FIELD = re.compile(r"(?:msg|err|error|reason|cause|exception|event|desc|detail|stack)\s?[:=]\s?\Z")
_FAILS = re.compile(
    r"error|exception|fatal|fail|panic|critical|could not|cannot|can't|unable|refused|no such|missing|invalid|not found|not set|"
    r"required|killed|crash|timed out|denied"
)
# Fields of a JSON line that hold what somebody wrote.
_THEIRS = frozenset({
    "content", "text", "title", "subject", "prompt", "question", "utterance", "reply", "transcript", "comment", "user_input",
    "user_message", "usermessage", "messages", "completion", "user", "assistant",
})  # fmt: skip
_OWN_MESSAGES = ("msg", "message")
_LEVEL_FIELDS = ("level", "severity", "levelname", "lvl", "log.level")
DEPTH = 3


def level_of(low: str) -> str:
    """The level that a lower-case line gives itself: "ordinary", "warning", "grave", or "" for none."""
    found = _LEVEL.search(low[:_LEVEL_WITHIN])
    if found is None:
        return ""
    if found[1]:
        return "grave" if found[1] >= "50" else "warning" if found[1] == "40" else "ordinary"
    return _NAMES.get(found[2], "ordinary")


def without_noise(low: str) -> str:
    """A lower-case line without the harmless phrases."""
    return _NOISE.sub(" ", low)


def is_grave(low: str) -> bool:
    """Whether a lower-case line calls itself an error, its harmless phrases aside."""
    text = without_noise(low)
    found = _GRAVE.search(text)
    return found is not None and _WARNS.search(text, 0, found.start()) is None


def own_words(low: str) -> str:
    """A lower-case line without what it only passes on; the very line when there is nothing of that kind."""
    line = _document(low)
    told = next((line[name] for name in _LEVEL_FIELDS if name in line), None) if line else None
    level = level_of(low if told is None else f"level={told} ")
    if level == "grave":
        return low
    return _of_text(low, level) if line is None else _of_document(low, line, level)


def _document(low: str) -> dict[str, Any] | None:
    start = low.find("{")
    if not 0 <= start <= _LEVEL_WITHIN or not low.rstrip().endswith("}"):
        return None
    try:
        line = json.loads(low[start:])
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _of_text(low: str, level: str) -> str:
    fails = _FAILS.search(low)
    failed = fails.start() if fails is not None else len(low)
    place = len(low)
    for pattern in (_SPEAKER, _TAGGED, _SAID) if level == "ordinary" else (_SPEAKER,):
        found = pattern.search(low)
        if found is not None and found.end() < place and found.end() <= failed:
            place = found.end()
    text = low[:place]
    if level == "ordinary" and _QUOTED.search(text):
        text = _QUOTED.sub(lambda found: _emptied(found, failed), text)
    return low if text == low else text


def _emptied(found: re.Match[str], failed: int) -> str:
    """A quoted sentence as an empty one; single words are names of things, and stay, as does what a failure is told with."""
    said, start = found[0], found.start()
    is_own = start >= failed or _OWN_FIELD.search(found.string, max(0, start - 24), start)
    return said if is_own or " " not in said.strip("\"'` ") else said[0] * 2


def _without_theirs(line: dict[str, Any], depth: int) -> dict[str, Any]:
    return {
        name: _without_theirs(value, depth - 1) if isinstance(value, dict) and depth else value
        for name, value in line.items()
        if name not in _THEIRS
    }


def _of_document(low: str, line: dict[str, Any], level: str) -> str:
    own = _without_theirs(line, DEPTH)
    for name in _OWN_MESSAGES:
        if isinstance(said := own.get(name), str):
            own[name] = _of_text(said, level)
    return low if own == line else json.dumps(own, ensure_ascii=False, separators=(",", ":"))
