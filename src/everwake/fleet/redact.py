"""Hide what must never be shown: the keeper's one masker. Pure.

Everything that somebody else wrote (an answer's excerpt and headers, a library's message, a platform's log) and everything
that holds a value of the user's passes through here before it is stored, logged, shown or sent. A secret is known by where it
stands (a URL's user part, a query's value, `Authorization:`, `password=`) or by its shape (`sk-..`, a JWT, a private key).
Hashes, UUIDs, times, addresses and counts stay readable, for they are what a log is read for.

Linear in the text: an unbounded repetition is either possessive and followed by nothing that can fail, or begins only where
the one before it ended; all others are bounded.
"""

import base64
import itertools
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["MASK", "is_random", "is_secret_name", "redact", "redact_header", "redact_with"]

MASK = "***"
ROUNDS = 4
SHORTEST_KNOWN = 3
SHORTEST_RANDOM, LONGEST_RANDOM = 20, 4_096
_RANDOM = re.compile(r"[\w+/-]++={0,2}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]++|[0-9A-F]++")

# --- by place ---------------------------------------------------------------------------------------------------------

# After the name of such a header the rest of the line is its value, or of the quoted text where it stands in quotes.
_HEADER = re.compile(
    r"((?:authorization|cookie2?)\\?[\"']?\s{0,4}[:=]\s{0,4}(?:b(?=[\"']))?)"
    r"(\\?\"[^\"\r\n]*+|\\?'[^'\r\n]*+|(?:bearer|basic|token|apikey)\s{1,4}[^\s\"']++"
    # Quotes within it (Digest) belong to it, but not the one that ends a text of JSON.
    r"|(?:[^\r\n\"']|[\"'](?!\s{0,2}(?:,\s{0,2}[\"']|[}\]])))++)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\\?[\"']?(?:bearer |basic |digest |token |apikey |negotiate )?", re.IGNORECASE)
_NAMED_STEMS = ("secret", "token", "passw", "passphrase", "pwd", "key", "credential")
_NAME = (
    r"(?:secret|token(?!i[sz])|passwo?r?d|passphrase|pwd|credential"
    r"|(?:api|secret|private|access|auth|signing|encryption|service|master|account|role|webhook|deploy)[_-]?key)"
    # `InvalidTokenError: ..` is the name of what went wrong, not of a secret.
    r"(?!\w{0,32}(?:error|exception)\b)"
)
# `name = value`, `"name": "value"`, and `{"key": "name", "value": "value"}` as platforms answer it.
_BETWEEN = r"(?:\s{0,4}(?:=>|[:=])|,\s{0,4}\\?[\"']value\\?[\"']\s{0,4}:)\s{0,4}(?:b(?=[\"']))?"
_IN_DOUBLE, _IN_SINGLE = r"\"(?:[^\"\\\r\n]|\\.)*+", r"'(?:[^'\\\r\n]|\\.)*+"
_LIST = rf"\[(?:{_IN_DOUBLE}\"?|{_IN_SINGLE}'?|[^\"'\[\]{{}}\r\n])*+"
_NAMED = re.compile(
    rf"({_NAME}[\w-]{{0,32}}\\?[\"']?{_BETWEEN})({_IN_DOUBLE}|{_IN_SINGLE}|\\\"[^\"\r\n]*+|{_LIST}|[^\s\"'&]++)",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf"{_NAME}|authorization|cookie", re.IGNORECASE)
_OPENING = re.compile(r"\\?[\"']|\[|")
_CLOSING = re.compile(r"\\$|(?<![,;)\]}])[,;)\]}]{1,4}$|$")
_NO_SECRET = frozenset(
    {
        "", "#", "true", "false", "null", "none", "nil", "undefined", "yes", "no", "set", "unset", "missing", "required",
        "present", "empty", "invalid", "expired", "hidden", "redacted",
    }
)  # fmt: skip
_COUNTED = re.compile(r"(?:tokens|token[_-]?(?:count|limit|usage|budget))[\w-]{0,32}\W{1,16}$", re.IGNORECASE)
_COUNT = re.compile(r"[\"']?\d{1,9}(?:\.\d{1,3})?[\"',;})\].]{0,8}")
_SCHEMED = re.compile(r"\b(bearer|basic)(\s{1,4})([\w.~+/=-]++)", re.IGNORECASE)
_PROSE = frozenset(
    {
        "token", "tokens", "auth", "authentication", "authorization", "authorisation", "realm", "scheme", "credentials",
        "header", "is", "was", "in", "or", "and", "required",
    }
)  # fmt: skip
_AFTER_SCHEME = re.compile(r"(?<=://)[^\s\"']++")
_AUTHORITY_END = re.compile(r"[/?#\\]")
_PORT = re.compile(r"\d{0,5}[.,;:!?)\]}>]{0,4}")
_PORT_AND_NEXT = re.compile(r"\d{0,5}[,;|]\[?[a-z][a-z0-9+.-]{0,20}", re.IGNORECASE)
_QUERY = re.compile(r"((?:[?&]|&amp;)[\w.%\[\]-]{1,64}=)[^&#\s\"'<>]++")

# --- by shape ---------------------------------------------------------------------------------------------------------

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----END ).)*+(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    re.DOTALL,
)
# A log hands a key's lines on one by one, so the block's beginning may be in another text.
_PEM_LINE = re.compile(
    r"^(?=[0-9+/]{0,64}[A-Z])(?=[A-Z0-9+/]{0,64}[a-z])(?=[A-Za-z+/]{0,64}[0-9])[A-Za-z0-9+/]{64}(?:={0,2})$", re.M
)
# Makers' own beginnings: OpenAI, Stripe, Render, Groq, GitHub, GitLab, Slack, AWS, Google, npm, SendGrid, Twilio, Telegram
# (their documentation and the public rules of secret scanners, read 2026-11). A name may follow a letterless sign only.
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|rk|pk|rnd|gsk|gh[pousr]|github_pat|glpat|xox[a-z]|xapp|whsec|GOCSPX|shpat|dop_v1)[-_][\w-]{6,}+"
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}+|AIza[\w-]{10,}+|ya29\.[\w-]{6,}+"
    r"|npm_[A-Za-z0-9]{30,}+|hf_[A-Za-z0-9]{30,}+|SG\.[\w-]{16,64}\.[\w-]{16,}+|SK[0-9a-f]{32}(?![0-9a-f])"
    r"|[0-9]{8,10}:AA[\w-]{30,}+"
    # A JWT's or JWE's first part is JSON in base64: it always begins so. Cut short, it is hidden too.
    r"|eyJ[\w-]{6,}+(?:\.[\w-]*+){0,4}"
    r")"
)
_SHAPE_SIGNS = (
    "sk-", "sk_", "rk-", "rk_", "pk-", "pk_", "rnd-", "rnd_", "ghp", "gho", "ghu", "ghs", "ghr", "github_pat", "glpat",
    "xox", "xapp", "whsec", "GOCSPX", "shpat", "dop_v1", "AKIA", "ASIA", "ABIA", "ACCA", "AIza", "ya29.", "npm_", "hf_",
    "SG.", "SK", ":AA", "eyJ",
)  # fmt: skip
# Whoever knows such a path may post there: the path is the password.
_WEBHOOK = re.compile(
    r"((?:hooks\.slack(?:-gov)?\.com/[a-z]{1,20}|discord(?:app)?\.com/api(?:/v\d{1,3})?/webhooks|webhook\.office\.com/[\w]{1,20}"
    r"|hooks\.zapier\.com/hooks/[a-z]{1,20}|chat\.googleapis\.com/v1/spaces)/|api\.telegram\.org/bot)[^\s\"'<>]++",
    re.IGNORECASE,
)
# Apprise's URLs carry tokens where others have a host (its own list of schemes, read 2026-11).
_TOKEN_URL = re.compile(
    r"\b(slack|discord|tgram|pover|pbul|msteams|gotifys?|rockets?|mmosts?|matrixs?|opsgenie|pagerduty|twilio|sns|ses|sendgrid"
    r"|signals?|zulip|webex|wxteams|ifttt|join|prowl|spush|workflows?|pushed|pushy|lametric|ryver|guilded)(://)[^\s\"'<>]++"
)


def redact(text: str, limit: int | None = None) -> str:
    """`text` with every secret in it replaced by `***`, at most `limit` characters of it; doing it twice changes nothing.

    Not longer than twice the text. Cut only afterwards, here or by the caller: half a secret is not known as one.
    """
    for _ in range(ROUNDS):
        before, text = text, _once(text)
        if text == before:
            break
    return text if limit is None or len(text) <= limit else text[: max(0, limit - 1)] + "…"


def redact_with(text: str, secrets: Iterable[str], limit: int | None = None) -> str:
    """As `redact`, and the `secrets` themselves wherever they stand, as they are or as JSON and URLs write them.

    Known ones of less than three characters are left: hiding them would hide everything.
    """
    forms = {
        form
        for secret in secrets
        for form in (secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1])
        if len(secret) >= SHORTEST_KNOWN and secret.strip("*")
    }
    if forms:
        found = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
        text = found.sub(MASK, text)
    return redact(text, limit)


def is_secret_name(name: str) -> bool:
    """Whether what stands under `name` (of a header, a variable, a JSON value) is a secret by its name."""
    return _SECRET_NAME.search(name) is not None


def is_random(value: str) -> bool:
    """Whether a whole value looks as a machine draws one: long, of small and large letters and digits in no order, or of hex.

    So a secret is known whose name says nothing. UUIDs, 40 signs of hex (a commit), ids, paths, names and prose are none.
    """
    text = value.strip()
    if not SHORTEST_RANDOM <= len(text) <= LONGEST_RANDOM or _RANDOM.fullmatch(text) is None:
        return False
    if _HEX.fullmatch(text) is not None:
        return len(text) >= 32 and len(text) != 40 and len(set(text.lower())) >= 8
    kinds = ["a" if sign.islower() else "A" if sign.isupper() else "0" if sign.isdigit() else "" for sign in text]
    turns = sum(one != other for one, other in itertools.pairwise(kinds) if one and other)
    return {"a", "A", "0"} <= set(kinds) and turns >= 0.3 * len(text)


def redact_header(name: str, value: str, limit: int | None = None) -> str:
    """The value of a header as it may be shown: `***` where its name says that it is a secret."""
    return MASK if value and is_secret_name(name) else redact(value, limit)


# --- one pass ---------------------------------------------------------------------------------------------------------


def _once(text: str) -> str:
    # Looking for a fixed word costs next to nothing, a pattern some 50 ns a character: most texts hold none of the words.
    low = text.lower()
    if "-----begin" in low:
        text = _PEM.sub(MASK, text)
    if "\n" in text or 64 <= len(text) <= 66:
        text = _PEM_LINE.sub(MASK, text)
    if "authorization" in low or "cookie" in low:
        text = _HEADER.sub(_header_hidden, text)
    if any(stem in low for stem in _NAMED_STEMS):
        text = _NAMED.sub(_named_hidden, text)
    if "bearer" in low or "basic" in low:
        text = _SCHEMED.sub(_scheme_hidden, text)
    if any(sign in text for sign in _SHAPE_SIGNS):
        text = _SHAPES.sub(MASK, text)
    if "hook" in low or "telegram" in low or "chat.googleapis" in low:
        text = _WEBHOOK.sub(rf"\1{MASK}", text)
    if "://" in text:
        text = _AFTER_SCHEME.sub(_user_hidden, _TOKEN_URL.sub(rf"\1\2{MASK}", text))
    if "=" in text:
        text = _QUERY.sub(rf"\1{MASK}", text)
    return text


def _header_hidden(found: re.Match[str]) -> str:
    """`Authorization: Bearer ***`: which scheme was used is worth knowing."""
    scheme = _SCHEME.match(found[2])
    return f"{found[1]}{scheme[0] if scheme else ''}{MASK}"


def _named_hidden(found: re.Match[str]) -> str:
    value = found[2]
    bare = value.strip("\\\"'")
    if bare.strip("([{,;})].").lower() in _NO_SECRET:
        return found[0]
    if _COUNT.fullmatch(value) and _COUNTED.search(found[1]):
        return found[0]  # what a model used: "total_tokens": 512
    opening = _OPENING.match(value)
    closing = _CLOSING.search(value)
    return f"{found[1]}{opening[0] if opening else ''}{MASK}{closing[0] if closing and opening else ''}"


def _scheme_hidden(found: re.Match[str]) -> str:
    """`Bearer` is followed by its token, in prose by a word; of `basic` a plain word is no secret unless it decodes to one."""
    word = found[3]
    if word.lower().strip(".") in _PROSE:
        return found[0]
    if found[1].lower() == "basic" and word.strip(".").isalpha() and (word.islower() or word.istitle()):
        try:
            if b":" not in base64.b64decode(word, validate=True):
                return found[0]
        except ValueError:
            return found[0]
    return f"{found[1]}{found[2]}{MASK}"


def _user_hidden(found: re.Match[str]) -> str:
    """One word from the first `://` on, which may hold further URLs: the user part of each is hidden."""
    *pieces, last = found[0].split("://")
    return "://".join([*(_piece_hidden(piece, _PORT_AND_NEXT) for piece in pieces), _piece_hidden(last)])


def _piece_hidden(piece: str, also: re.Pattern[str] = _PORT) -> str:
    """What stands between two `://`. also: what may follow the colon of a host, besides a port."""
    if "@" not in piece and ":" not in piece:
        return piece
    end = _AUTHORITY_END.search(piece)
    authority = piece[: end.start()] if end else piece
    user, sign, host = piece.rpartition("@")
    # A password may hold a slash, hash or @ that nobody encoded: with a colon in front everything up to the last @ is hidden.
    if sign and (len(user) < len(authority) or ":" in authority):
        return f"{MASK if user else ''}@{host}"
    name, colon, port = authority.partition(":")
    if not colon or authority.startswith("[") or _PORT.fullmatch(port) or also.fullmatch(port):
        return piece
    # No port: a user and a password whose @ was cut off.
    return f"{name}:{MASK}{piece[len(authority) :]}"
