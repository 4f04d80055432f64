"""Log lines: text for the chatbot and the Redis service, JSON for the backend; both masked, one line an event."""

import json as jsonlib
import logging
import sys
import time
from collections.abc import Collection

from chatify.masking import conceal

__all__ = ["configure"]

_LIMIT_CHARACTERS = 16_384  # a traceback fits; somebody's megabyte does not
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {10: "\\n", 13: "\\r", 9: "\\t"}


def _at(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))


class _Lines(logging.Formatter):
    """What both shapes share: no value that is known or looks to be a secret, no line forged by somebody's text."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__()
        # The longest first: a secret may be part of another.
        self._secrets = sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True)

    def masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return conceal(text[:_LIMIT_CHARACTERS])

    def said(self, record: logging.LogRecord) -> str:
        return self.masked(record.getMessage().translate(_CONTROLS))

    def traceback(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        return self.masked(self.formatException(record.exc_info))


class _Text(_Lines):
    """`2026-01-01T00:00:00Z INFO message`, a traceback on the lines after it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_at(record)} {record.levelname} {self.said(record)}"
        traceback = self.traceback(record)
        return f"{line}\n{traceback}" if traceback else line


class _Json(_Lines):
    """`{"time","level","message",...}`: what was given as `extra` stands beside, a traceback as "traceback"."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"time": _at(record), "level": record.levelname.lower(), "message": self.said(record)}
        for key, value in record.__dict__.items():
            if key not in _OWN and key not in line:
                line[key] = value if isinstance(value, int | float | bool | None) else self.masked(str(value))
        traceback = self.traceback(record)
        if traceback:
            line["traceback"] = traceback
        return jsonlib.dumps(line, ensure_ascii=False)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Of uvicorn's lines: what any client can bring about, such as text that is not UTF-8, is no error of ours.

    It keeps one short line at WARNING; its traceback, which somebody could fill a disk with, goes.
    """
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError) and "from client" in str(record.msg):
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return logging.getLogger(record.name).isEnabledFor(logging.WARNING)
    return True


def configure(level: str, *, json: bool, secrets: Collection[str] = ()) -> None:
    """Send every log line of the process to stdout. secrets: values that are replaced wherever they appear."""
    if hasattr(sys.stdout, "reconfigure"):  # a Windows console in another code page must not end a service
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Json(secrets) if json else _Text(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)  # the same function twice is kept once
    # What libraries say at DEBUG holds request bodies and connection details; nobody asked for those.
    for chatty in ("asyncio", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "urllib3", "google", "websockets"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, root.level))
