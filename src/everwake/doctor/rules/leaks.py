"""Secrets where they do not belong: in a file that others read, or in what is sent to every browser."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.kinds import SECRETS, Kind, words_of
from everwake.doctor.words import is_default_secret, is_placeholder

__all__ = ["RULE"]

_BUNDLED = re.compile(r"(?:VITE|NEXT_PUBLIC|REACT_APP|PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC|GATSBY)_")
# Keys that are made to be public: what they allow is limited elsewhere.
_MEANT_PUBLIC = frozenset(
    {
        "ANON",
        "PUBLISHABLE",
        "PUBLIC",
        "MAPS",
        "MAPBOX",
        "FIREBASE",
        "RECAPTCHA",
        "SITE",
        "SENTRY",
        "POSTHOG",
        "ALGOLIA",
        "SEARCH",
        "ANALYTICS",
        "GTM",
        "TURNSTILE",
        "PUSHER",
        "CLERK",
        "VAPID",
    }
)


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Whether somebody sees the secret who should not."""
    value = variable.value.strip()
    if not value or is_placeholder(value) or re.match(r"[$%{]", value):
        return
    words = set(words_of(variable.key))
    if _is_bundled(variable, value, words):
        yield Hit(
            problem="secret_in_browser",
            fix="give it a name without that prefix and use it on the server only: this one is in what every visitor downloads",
            at=None,
            found="***",
        )
    elif case.context.is_public and _is_secret(variable, value):
        yield Hit(
            problem="secret_in_repository",
            fix="take it out of the file, set it at the platform, and make a new one: this one is in the history",
            at=None,
            found="***",
        )


def _is_bundled(variable: Variable, value: str, words: set[str]) -> bool:
    if _BUNDLED.match(variable.key) is None:
        return False
    made_secret = (
        re.match(r"sk[-_](?!.*test_pub)|rk_live_|gsk_|hf_|SG\.|AKIA|-----BEGIN [A-Z ]*PRIVATE", value) is not None
    )
    named_secret = bool(words & {"SECRET", "PRIVATE"} or {"SERVICE", "ROLE"} <= words) and variable.kind in SECRETS
    url = variable.url
    return (
        made_secret
        or (named_secret and not words & (_MEANT_PUBLIC - {"PUBLIC", "FIREBASE"}))
        or (url is not None and bool(url.password) and url.scheme not in ("http", "https"))
    )


def _is_secret(variable: Variable, value: str) -> bool:
    url = variable.url
    if url is not None:
        return (
            bool(url.password)
            and not is_placeholder(url.password or "")
            and not is_default_secret(url.password or "", (url.user or "",))
            and not re.fullmatch(r"[$<{%].*", url.password or "")
        )
    if variable.kind not in SECRETS or set(words_of(variable.key)) & _MEANT_PUBLIC:
        return False
    if variable.kind in (Kind.PEM, Kind.SERVICE_ACCOUNT):
        return "PRIVATE" in value or "private_key" in value
    return (
        len(value) >= 8
        and not is_default_secret(value, tuple(words_of(variable.key)[:1]))
        and not re.fullmatch(r"(?:true|false|none|null|\d{1,8})", value, re.IGNORECASE)
    )


RULE = Rule(
    name="leaks",
    about="A secret in a file under version control, in a blueprint, or in a variable that is built into the page.",
    problems=("secret_in_repository", "secret_in_browser"),
    look=look,
    order=58,
    examples=(
        Example(("VITE_OPENAI_API_KEY secret_in_browser",), {"VITE_OPENAI_API_KEY": "sk-4f9a1c77b2"}),
        Example(
            ("NEXT_PUBLIC_SUPABASE_SERVICE_ROLE_KEY secret_in_browser",),
            {"NEXT_PUBLIC_SUPABASE_SERVICE_ROLE_KEY": "q8Zr1vTn4mXw"},
        ),
        Example(("JWT_SECRET secret_in_repository",), {"JWT_SECRET": "q8Zr1vTn4mXw"}, context={"is_public": True}),
        Example(
            ("DATABASE_URL secret_in_repository",),
            {"DATABASE_URL": "postgresql://app:q8Zr1vTn@db.example.com/app"},
            context={"is_public": True},
        ),
        Example(
            (),
            {
                "JWT_SECRET": "q8Zr1vTn4mXw",
                "VITE_API_URL": "https://api.example.com",
                "NEXT_PUBLIC_FIREBASE_API_KEY": "AIza-1a2b3c",
            },
        ),
        Example(
            (),
            {"JWT_SECRET": "changeme", "ENVIRONMENT": "development", "MAIL_API_KEY": "", "PORT": "8000"},
            context={"is_public": True},
        ),
    ),
)
