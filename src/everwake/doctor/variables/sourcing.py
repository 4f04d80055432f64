"""What a POSIX shell makes of an assignment when it sources the file. Pure; nothing is run.

Facts: POSIX.1-2024, Shell Command Language 2.2 (quoting), 2.6 (expansions), 2.9.1 (simple commands); tried with dash and bash.
"""

import re
from dataclasses import dataclass

__all__ = ["Sourced", "sourced"]

_PLAIN = re.compile(r"[^\\\"'`$;&|<>() \t\n]++")
_IN_DOUBLE = re.compile(r"[^\\\"`$]++")
_PARAMETER = re.compile(r"\$(?=[A-Za-z_0-9{@*#?$!-])")
_REST = re.compile(r"[^\n]*")


@dataclass(frozen=True, slots=True)
class Sourced:
    """value: what the variable holds, None where words say more: what is done instead.   end: where the word has ended."""

    value: str | None
    end: int
    words: str = ""


def sourced(text: str, at: int) -> Sourced:
    """The assignment whose value begins at `at`, right behind the `=`. Linear in what it reads."""
    return _Word(text, at).read()


class _Word:
    def __init__(self, text: str, at: int) -> None:
        self.text, self.start, self.at = text, at, at
        self.parts: list[str] = []
        self.words = ""  # the first thing that is not taken as it stands

    def read(self) -> Sourced:
        text = self.text
        while self.at < len(text):
            plain = _PLAIN.match(text, self.at)
            if plain is not None:
                self.parts.append(plain[0])
                self.at = plain.end()
                continue
            sign = text[self.at]
            if sign in " \t\n;&|<>()":
                return self.ended(sign)
            if sign == "\\":
                following = text[self.at + 1 : self.at + 2]
                self.parts.append("" if following == "\n" else following)
                self.at += 2
            elif sign == "'":
                close = text.find("'", self.at + 1)
                if close < 0:
                    return self.unclosed(sign)
                self.parts.append(text[self.at + 1 : close])
                self.at = close + 1
            elif sign == '"':
                self.at += 1
                if not self.in_double():
                    return self.unclosed(sign)
            else:
                self.replaced(sign)
        return self.result()

    def in_double(self) -> bool:
        """From behind the opening quote to behind the closing one; whether there is one."""
        text = self.text
        while self.at < len(text):
            plain = _IN_DOUBLE.match(text, self.at)
            if plain is not None:
                self.parts.append(plain[0])
                self.at = plain.end()
                continue
            sign = text[self.at]
            if sign == '"':
                self.at += 1
                return True
            if sign == "\\":
                following = text[self.at + 1 : self.at + 2]
                self.parts.append("" if following == "\n" else following if following in '\\"$`' else sign + following)
                self.at += 2
            else:
                self.replaced(sign)
        return False

    def replaced(self, sign: str) -> None:
        """`$` or a backquote: noted where it begins something, else it stands for itself."""
        if sign == "`" or self.text.startswith("$(", self.at):
            self.words = "runs a command and takes what that prints"
            # Where it ends does not matter: nothing of the value is told from here on.
            self.at = _after(self.text, self.at, "`" if sign == "`" else ")")
            return
        if _PARAMETER.match(self.text, self.at) is not None:
            self.words = self.words or "puts a variable's value in place of the $"
        self.parts.append(sign)
        self.at += 1

    def ended(self, sign: str) -> Sourced:
        rest = _REST.match(self.text, self.at)
        behind = rest[0].strip(" \t") if rest is not None else ""
        if sign in " \t\n" and (not behind or behind[0] == "#" or behind == ";"):
            return self.result()
        if self.words.startswith("runs"):
            return self.result()
        said = {
            ";": "the part before the ;, and runs what follows", "<": "the part before the <", ">": "the part before the >",
            "(": "stops at the (", ")": "stops at the )",
        }.get(sign)  # fmt: skip
        if sign == ";" and behind.strip(" \t") == ";":
            return self.result()
        if self.text.startswith("&&", self.at) or self.text.startswith("||", self.at):
            said = f"the part before the {self.text[self.at : self.at + 2]}"
        elif sign in "&|":
            said = f"does not get it: the {sign} takes it to a shell of its own"
        return Sourced(None, self.at, said or "does not get it: what follows the blank is run as a command")

    def unclosed(self, sign: str) -> Sourced:
        return Sourced(None, len(self.text), f"stops: the {sign} is not closed")

    def result(self) -> Sourced:
        return Sourced(None, self.at, self.words) if self.words else Sourced("".join(self.parts), self.at)


def _after(text: str, at: int, sign: str) -> int:
    found = text.find(sign, at + 1)
    return len(text) if found < 0 else found + 1
