"""Hide what looks like a secret in text that a server sent, before it is stored. Pure."""

import re

__all__ = ["conceal"]

# Each is linear: wherever a match may begin at every character, the repetition is bounded.
_HIDDEN = (
    (re.compile(r"-----BEGIN [^-\n]{1,40}-----.*", re.DOTALL), "***"),
    (re.compile(r"(?<=://)[^/\s@\"']{1,256}@"), "***@"),
    (re.compile(r"([?&][\w.-]{1,64}=)[^&#\s\"'<>]+"), r"\1***"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\b(?:sk|rk|pk|rnd|ghp|gho|xox[abp])[-_][\w-]{6,}"), "***"),
    (re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{1,4000}(?:\.[\w-]{0,1000})?"), "***"),
    (
        re.compile(r"(?i)((?:secret|token|password|passwd|api_?key)[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\s\"',;}&]{3,}"),
        r"\1***",
    ),
)


def conceal(text: str) -> str:
    """`text` with users and query values of URLs, keys, tokens, passwords and PEM blocks replaced."""
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text
