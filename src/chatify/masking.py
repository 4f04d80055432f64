"""Hide what must never be shown: one function that every message about somebody's values goes through."""

import re

__all__ = ["conceal", "mask", "mask_url"]

# Each pattern is linear: bounded repetition wherever a match may begin at every character, so hostile text cannot make it slow.
# A password may hold a slash or a hash that nobody encoded, so with a colon in front everything up to the last @ is userinfo.
_USERINFO = re.compile(r"(?<=://)(?:[^\s@\"'/]{0,256}:[^\s\"']{0,512}|[^/?#\s@\"']{0,512})@")
_QUERY = re.compile(r"([?&][\w.-]{1,64}=)[^&#\s\"']+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
# What is a key by its beginning, however short: everything else in a log line may be an id that somebody looks for.
_KEY = re.compile(
    r"\b(?:sk|rk|pk|rnd|ghp|gho|xox[abp])[-_][\w-]{6,}|\bAIza[\w-]{10,}|\beyJ[\w-]{8,2000}\.[\w-]{1,4000}\.[\w-]{0,1000}"
)
_LONG_WORD = re.compile(r"[\w-]{20,}")
_PEM = re.compile(r"-----BEGIN [^-]{1,40}-----.*", re.DOTALL)


def mask_url(url: str) -> str:
    """A URL without user, password and query values; what cannot be parsed is masked as text."""
    return _QUERY.sub(r"\1***", _USERINFO.sub("***@", url))


def mask(text: str, limit: int = 80) -> str:
    """`text` for a person to read, at most `limit` characters, with everything that looks like a secret replaced."""
    shown = _PEM.sub("***", text)
    shown = _BEARER.sub(r"\1 ***", mask_url(shown))
    shown = _LONG_WORD.sub(_token_hidden, _KEY.sub("***", shown))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def conceal(text: str) -> str:
    """A log line: userinfo and query values of URLs, bearer tokens, keys and PEM blocks are replaced; ids stay readable."""
    shown = _BEARER.sub(r"\1 ***", mask_url(_PEM.sub("***", text)))
    return _KEY.sub("***", shown)


def _token_hidden(word: re.Match[str]) -> str:
    """A long word with a digit in it is taken for a token; a long name without one is not."""
    return "***" if any(char.isdigit() for char in word[0]) else word[0]
