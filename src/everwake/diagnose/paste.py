"""What a person pastes: `curl -i` or `-v` output, a log, a `.env`, facts as JSON, or any mix of them. Pure.

Told line by line, in one pass, by shape: a status line begins an answer, `NAME=value` in capitals is a variable, a command
line tells the URL, and everything else is log. What was recognised is said, so that a wrong guess is seen.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from everwake.diagnose.log._prefix import peel, plain

__all__ = ["Pasted", "parse"]

BODY_CHARS = 4_000
ANSWERS_MOST = 40
LINE_CHARS = 2_000

_STATUS = re.compile(r"(?:< )?HTTP/(?:1\.[01]|2|3)(?:\.0)? ([1-9]\d\d)(?: |$)")
_HEADER = re.compile(r"(?:< )?([A-Za-z][A-Za-z0-9-]{0,80}):(?: (.*)|$)")
_REQUEST = re.compile(r"> ([A-Z]{3,10}) (\S{1,2000}) HTTP/")
_SENT = re.compile(r"> ([A-Za-z][A-Za-z0-9-]{0,80}): ?(.*)")
_ENV = re.compile(r"(?:export\s{1,4})?([A-Z][A-Z0-9_]{1,80})\s{0,2}=(?!=)")
_COMMENT = re.compile(r"\s{0,8}#")
_CURL = re.compile(r"(?:[$#%>❯] {0,3}|PS [^>]{0,80}> ?)?curl(?:\.exe)? ")
_CURL_ERROR = re.compile(r"(?:\* )?curl: \((\d{1,3})\) ?(.*)")
_CHATTER = re.compile(r"\* |\{ \[|\} \[|  ?% Total|  ?Dload|[ 0-9:.k-]{30,}$")
# A line of a log in JSON, below a body that is whole.
_JSON_LINE = re.compile(r"\{.{0,200}?\"(?:level|severity|levelname)\": ?")
_LOGGED = ("==> ", "INFO:", "ERROR", "WARN", "Traceback", "[info]", "[error]", "npm ", "    at ", "DEBUG", "FATAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pasted:
    """document: facts as `documents.facts_of` reads them.   recognised: what was seen, in words, in the text's order."""

    document: dict[str, Any]
    recognised: tuple[str, ...] = ()


@dataclass(slots=True)
class _Answer:
    url: str = ""
    method: str = "GET"
    sent: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    failure: str = ""

    def document(self) -> dict[str, Any]:
        body = "\n".join(self.body).strip()[:BODY_CHARS]
        found: dict[str, Any] = {
            "url": self.url,
            "request": {"method": self.method, "headers": self.sent},
            "status": self.status,
            "headers": self.headers,
            "body": body,
        }
        if self.failure:
            found["failure"] = self.failure
        return found


class _Reading:
    """The text so far. place: where the next line belongs ("", "headers", "body", "dotenv")."""

    def __init__(self) -> None:
        self.asked = _Answer()
        self.answers: list[_Answer] = []
        self.log: list[str] = []
        self.dotenv: list[str] = []
        self.variables = 0
        self.place = ""
        self.quote = ""
        self.order: list[str] = []
        self.is_asked_anew = False
        self.is_verbose = False

    def saw(self, what: str) -> None:
        if what not in self.order:
            self.order.append(what)

    def line(self, raw: str) -> None:
        line = plain(raw[:LINE_CHARS]).rstrip("\r\n")
        if self.quote and self.place == "dotenv":
            self._in_value(raw)
        elif self._of_curl(line) or self._of_answer(line):
            pass
        elif _ENV.match(line) and not self._is_in_page():
            self._variable(raw.rstrip("\r\n"))
        elif self.place == "dotenv" and (_COMMENT.match(line) or not line.strip()):
            self.dotenv.append(line)
        elif self.place == "body" and not self._is_log(line):
            if sum(map(len, self.answers[-1].body)) < BODY_CHARS:
                self.answers[-1].body.append(line)
        else:
            self.place = "log"
            self.log.append(raw.rstrip("\r\n"))
            if line.strip():
                self.saw("log")

    # --- curl -----------------------------------------------------------------------------------------------------------

    def _of_curl(self, line: str) -> bool:
        if _CURL.match(line):
            self.asked, self.is_asked_anew, self.place = _asked(line), True, "curl"
            return True
        if error := _CURL_ERROR.match(line):
            answer = self.asked
            answer.failure = error[2] or f"curl error {error[1]}"
            self.answers.append(answer)
            self.asked, self.place = _Answer(), ""
            self.saw("http")
            return True
        if request := _REQUEST.match(line):
            if not self.is_asked_anew:
                self.asked = _Answer()
            self.asked.method, path = request[1], request[2]
            if "://" in path or not self.asked.url:
                self.asked.url = path
            self.is_asked_anew, self.is_verbose, self.place = True, True, "curl"
            return True
        if self.is_verbose and (sent := _SENT.match(line)):
            self.asked.sent[sent[1].lower()] = sent[2]
            if sent[1].lower() == "host" and "://" not in self.asked.url:
                self.asked.url = f"https://{sent[2].strip()}{self.asked.url or '/'}"
            return True
        return self.place in ("", "curl", "headers", "body") and (
            line.strip() in (">", "<") or bool(_CHATTER.match(line))
        )

    def _of_answer(self, line: str) -> bool:
        if status := _STATUS.match(line):
            code = int(status[1])
            self.is_verbose = self.is_verbose or line.startswith("< ")
            follows = bool(self.answers) and not self.is_asked_anew and self.place in ("headers", "body", "")
            answer = _Answer(url=self.asked.url, method=self.asked.method, sent=self.asked.sent, status=code)
            if (
                follows
                and self.answers[-1].status is not None
                and (self.answers[-1].status < 200 or 300 <= self.answers[-1].status < 400)
            ):
                before = self.answers.pop()  # an answer on the way: 100, or a redirect that was followed
                answer.url = (
                    answer.url
                    if before.status is not None and before.status < 200
                    else before.headers.get("location", answer.url)
                )
                answer.url = answer.url if "://" in answer.url else before.url
            if len(self.answers) < ANSWERS_MOST:
                self.answers.append(answer)
            self.is_asked_anew, self.place = False, "headers"
            self.saw("http")
            return True
        if self.place != "headers":
            return False
        if not line.strip() or line.strip() == "<":
            self.place = "body"
            return True
        if header := _HEADER.match(line):
            self.answers[-1].headers[header[1].lower()] = (header[2] or "").strip()
            return True
        self.place = "body"
        return False

    def _is_in_page(self) -> bool:
        return (
            self.place == "body"
            and bool(self.answers)
            and "<" in "".join(self.answers[-1].body[:3])[:200]
            and not _ended("".join(self.answers[-1].body))
        )

    def _is_log(self, line: str) -> bool:
        if not line.strip():
            return False
        body = "\n".join(self.answers[-1].body).strip()
        if line.startswith(_LOGGED) or (body and _ended(body) and _JSON_LINE.match(line)):
            return True
        peeled = peel(line)
        return (
            peeled.at is not None
            or bool(peeled.who)
            or (bool(body) and _ended(body) and not self.answers[-1].body[-1].strip())
        )

    # --- variables ------------------------------------------------------------------------------------------------------

    def _variable(self, line: str) -> None:
        self.place = "dotenv"
        self.variables += 1
        self.dotenv.append(line)
        self.saw("dotenv")
        value = line.partition("=")[2].strip()
        if value[:1] in ("'", '"') and value.count(value[0]) == 1 and "BEGIN" in value:
            self.quote = value[0]  # a key over several lines

    def _in_value(self, line: str) -> None:
        self.dotenv.append(line.rstrip("\r\n"))
        if self.quote in line:
            self.quote = ""


def _ended(body: str) -> bool:
    """Whether a body looks whole."""
    text = body.rstrip()
    if text.startswith("<"):
        return text.lower().endswith("</html>")
    return not text.startswith(("{", "[")) or text.endswith(("}", "]"))


def _asked(line: str) -> _Answer:
    """What a curl command asks for: URL, method, headers. A quoted word keeps its blanks; nothing is ever run."""
    words = [
        one[0] or one[1] or one[2]
        for one in re.findall(r"'([^']{0,2000})'|\"([^\"]{0,2000})\"|(\S{1,2000})", line[:8_000])
    ]
    found = _Answer()
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in ("-X", "--request"):
            found.method = after.upper()[:16]
        elif word in ("-I", "--head", "-sI", "-Is", "-sSI", "-ILs"):
            found.method = "HEAD"
        elif word in ("-d", "--data", "--data-raw", "--json", "--data-binary") and found.method == "GET":
            found.method = "POST"
        elif word in ("-H", "--header"):
            name, _, value = after.partition(":")
            found.sent[name.strip().lower()[:100]] = value.strip()
        elif word.startswith(("http://", "https://")):
            found.url = word
    return found


def _facts_in(text: str) -> dict[str, Any] | None:
    """One JSON document of facts, the first of several lines."""
    if not text.lstrip().startswith("{"):
        return None
    for candidate in (text, text.lstrip().partition("\n")[0]):
        try:
            found = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            inner = found.get("facts") if isinstance(found.get("facts"), dict) else found
            assert isinstance(inner, dict)
            if {"http", "log", "variables", "dotenv", "platform_state"} & inner.keys() and not {
                "level",
                "msg",
            } & inner.keys():
                return inner
    return None


def parse(text: str) -> Pasted:
    """Facts out of pasted text. Empty text gives empty facts and recognises nothing."""
    facts = _facts_in(text)
    if facts is not None:
        return Pasted(document=facts, recognised=("facts as JSON",))
    reading = _Reading()
    for line in text.split("\n"):
        reading.line(line)
    document: dict[str, Any] = {}
    said: dict[str, str] = {}
    if reading.answers:
        last = reading.answers[-1]
        answers = [one.document() for one in reading.answers]
        document["http"] = answers[0] if len(answers) == 1 else answers
        what = last.failure or str(last.status)
        where = f" of {last.url}" if last.url else ""
        said["http"] = (
            f"an HTTP answer{where}: {what}"
            if len(answers) == 1
            else f"{len(answers)} HTTP answers, the last{where}: {what}"
        )
    if any(line.strip() for line in reading.log):
        document["log"] = reading.log
        count = sum(1 for line in reading.log if line.strip())
        said["log"] = f"a log of {count} line{'' if count == 1 else 's'}"
    if reading.dotenv:
        document["dotenv"] = "\n".join(reading.dotenv).rstrip() + "\n"
        said["dotenv"] = f"a .env of {reading.variables} variable{'' if reading.variables == 1 else 's'}"
    return Pasted(document=document, recognised=tuple(said[what] for what in reading.order if what in said))
