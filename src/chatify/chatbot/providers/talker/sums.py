"""Small sums in words or signs: `12 times (7 - 2)`, `15% of 80`, `20 C in F`. Pure; exact until it is shown."""

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["NotASum", "evaluate", "find_conversion", "find_sum", "show"]

_MAX_CHARS = 120
_MAX_DEPTH = 20
_MAX_SIZE = Fraction(10) ** 30
_IN_WORDS = (
    (re.compile(r"\b(?:multiplied by|times)\b|×|·"), "*"),
    (re.compile(r"\b(?:divided by|over)\b|÷"), "/"),
    (re.compile(r"\bplus\b"), "+"),
    (re.compile(r"\bminus\b|−|–"), "-"),
    (re.compile(r"\bto the power of\b|\*\*"), "^"),
    (re.compile(r"\bsquared\b"), "^2"),
    (re.compile(r"\bcubed\b"), "^3"),
    (re.compile(r"%\s*of\b|\bper ?cent of\b"), "/100*"),
    (re.compile(r"(?<=\d)\s*x\s*(?=\d)"), "*"),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
)
_ASKED = re.compile(
    r"(?:(?:so|and|ok|okay|please|then|now|hey)[, ]+)*"
    r"(?:what(?:'s| is| are| does)|how much (?:is|are)|calculate|compute|work out|solve|"
    r"(?:can|could|would) you (?:please )?(?:calculate|compute|work out|solve|tell me))?\s*(?:what is |what's )?"
)
_EXPRESSION = re.compile(r"[-+(]*\s*\d[\d\s.+*/()^-]*")
_MORE = re.compile(r"(?:and |then )?([-+*/^]\s*[\d(][\d\s.+*/()^-]*)")
_DATE_OR_PHONE = re.compile(r"\d{4}-\d\d?-\d\d?|\+?\d{2,}(?:-\d{2,})+|\d\d?/\d\d?/\d{2,4}")


_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,15})?")


class NotASum(Exception):  # noqa: N818
    """The text is no sum, or one beyond what is worked out here. The message is a sentence for people."""


@dataclass(slots=True)
class _Reader:
    """Recursive descent over an expression. last: what the letter L stands for."""

    text: str
    last: Fraction | None = None
    at: int = 0
    depth: int = 0

    def peek(self) -> str:
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1
        return self.text[self.at : self.at + 1]

    def total(self) -> Fraction:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise NotASum("That has too many brackets for me.")
        value = self.product()
        while (sign := self.peek()) and sign in "+-":
            self.at += 1
            value = _bounded(value + self.product() if sign == "+" else value - self.product())
        self.depth -= 1
        return value

    def product(self) -> Fraction:
        value = self.power()
        while (sign := self.peek()) and sign in "*/":
            self.at += 1
            by = self.power()
            if sign == "/" and by == 0:
                raise NotASum("Dividing by zero has no answer.")
            value = _bounded(value * by if sign == "*" else value / by)
        return value

    def power(self) -> Fraction:
        value = self.atom()
        if self.peek() == "^":
            self.at += 1
            by = self.atom()
            if by.denominator != 1 or abs(by) > 100 or (value == 0 and by < 0):
                raise NotASum("That power is beyond me.")
            if abs(value.numerator) > 10**6 or value.denominator > 10**6:
                raise NotASum("That power is beyond me.")
            value = _bounded(value ** int(by))
        return value

    def atom(self) -> Fraction:
        sign = self.peek()
        if sign and sign in "+-":
            self.at += 1
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise NotASum("That has too many signs for me.")
            value = self.atom()
            self.depth -= 1
            return value if sign == "+" else -value
        if sign == "L" and self.last is not None:
            self.at += 1
            return self.last
        if sign == "(":
            self.at += 1
            value = self.total()
            if self.peek() != ")":
                raise NotASum("A bracket is open in that sum.")
            self.at += 1
            return value
        number = _NUMBER.match(self.text, self.at)
        if number is None:
            raise NotASum("That is not a sum I can read.")
        self.at = number.end()
        return Fraction(number[0])


def _bounded(value: Fraction) -> Fraction:
    if abs(value) > _MAX_SIZE or value.denominator > 10**60:
        raise NotASum("That number is too big for me.")
    return value


def find_sum(text: str) -> str | None:
    """The expression, if `text` (lower case) is a question for one and nothing else. One that begins with an operator goes on
    from the last result."""
    if len(text) > _MAX_CHARS or not any(c.isdigit() for c in text):
        return None
    in_words = "plus" in text or "minus" in text
    for pattern, sign in _IN_WORDS:
        text = pattern.sub(sign, text)
    text = text.strip().rstrip("?!. ").rstrip("= ")
    asked = _ASKED.match(text)
    rest = text[asked.end() if asked else 0 :].strip()
    more = _MORE.fullmatch(rest)
    if more is not None and (in_words or not re.fullmatch(r"[-+]\s*\d+(?:\.\d+)?", rest)):  # -4 is a number of its own
        return more[1]
    if (
        _EXPRESSION.fullmatch(rest)
        and re.search(r"[\d)]\s*[-+*/^]\s*[-+(\d]", rest)
        and not _DATE_OR_PHONE.fullmatch(rest)
    ):
        return rest
    return None


def evaluate(expression: str, last: Fraction | None = None) -> Fraction:
    """The value. last: the result that an expression beginning with an operator goes on from.

    Raises:
        NotASum: with a sentence for people.
    """
    if expression[0] in "*/^" and last is None:
        raise NotASum("There is no result yet to go on from.")
    goes_on = last is not None and expression[0] in "*/^+-"
    reader = _Reader(f"L{expression}" if goes_on else expression, last=last)
    value = reader.total()
    if reader.peek():
        raise NotASum("That is not a sum I can read.")
    return value


def show(value: Fraction) -> str:
    """As people write it: digits in groups, at most ten decimals."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    shown = f"{float(value):,.10f}".rstrip("0").rstrip(".")
    exact = Fraction(shown.replace(",", "")) == value
    return shown if exact else f"about {float(value):,.4f}".rstrip("0").rstrip(".")


_UNITS: dict[tuple[str, str], tuple[Fraction, Fraction]] = {
    ("km", "miles"): (Fraction("0.621371"), Fraction(0)),
    ("miles", "km"): (Fraction("1.609344"), Fraction(0)),
    ("kg", "pounds"): (Fraction("2.204623"), Fraction(0)),
    ("pounds", "kg"): (Fraction("0.45359237"), Fraction(0)),
    ("cm", "inches"): (Fraction("0.393701"), Fraction(0)),
    ("inches", "cm"): (Fraction("2.54"), Fraction(0)),
    ("m", "feet"): (Fraction("3.28084"), Fraction(0)),
    ("feet", "m"): (Fraction("0.3048"), Fraction(0)),
    ("celsius", "fahrenheit"): (Fraction("1.8"), Fraction(32)),
    ("fahrenheit", "celsius"): (Fraction(5, 9), Fraction(-160, 9)),
}
_SPELLINGS = {
    "km": "km", "kms": "km", "kilometer": "km", "kilometers": "km", "kilometre": "km", "kilometres": "km",
    "mile": "miles", "miles": "miles", "mi": "miles", "kg": "kg", "kgs": "kg", "kilo": "kg", "kilos": "kg",
    "kilogram": "kg", "kilograms": "kg", "lb": "pounds", "lbs": "pounds", "pound": "pounds", "pounds": "pounds",
    "cm": "cm", "centimeter": "cm", "centimeters": "cm", "centimetre": "cm", "centimetres": "cm", "inch": "inches",
    "inches": "inches", "m": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "foot": "feet",
    "feet": "feet", "ft": "feet", "c": "celsius", "celsius": "celsius", "f": "fahrenheit", "fahrenheit": "fahrenheit",
}  # fmt: skip
_CONVERSION = re.compile(
    r"\b(-?\d{1,12}(?:\.\d{1,6})?)\s?(?:°|degrees )?\s?([a-z]{1,11}) (?:in|to|into|as|is how many) (?:°|degrees )?([a-z]{1,11})\b"
)


def find_conversion(text: str) -> str | None:
    """`20 km in miles` worked out as a sentence; None when `text` (lower case) asks for none."""
    found = _CONVERSION.search(text)
    if found is None:
        return None
    pair = (_SPELLINGS.get(found[2], ""), _SPELLINGS.get(found[3], ""))
    if pair not in _UNITS:
        return None
    by, plus = _UNITS[pair]
    value = round(Fraction(found[1]) * by + plus, 2)
    names = {"celsius": "degrees Celsius", "fahrenheit": "degrees Fahrenheit"}
    source, target = (names.get(unit, unit) for unit in pair)
    return f"{show(Fraction(found[1]))} {source} is {show(value).removeprefix('about ')} {target}."
