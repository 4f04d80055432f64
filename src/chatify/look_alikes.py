"""Variables that nobody reads, but whose names are all but those of variables that are absent: a typing error, told.

A false alarm keeps a sound service from starting, so what platforms, shells and other tools set by themselves must never
look like ours: short names are not guessed at, and a name that others use too counts only with a value that is ours.
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence

from chatify.mistakes import Mistake

__all__ = ["look_alikes"]

_ANY = ""
_URLS = r"\s*[\[\"']*(https?://|\*)"
# Names people write when they mean one of ours, and what the value must then look like.
_MEANT = {
    "REDIS_URI": ("REDIS_URL", _ANY), "REDIS_TLS_URL": ("REDIS_URL", _ANY), "REDIS_CONNECTION_STRING": ("REDIS_URL", _ANY),
    "CORS_ORIGINS": ("BACKEND_CORS_ORIGINS", _URLS), "ALLOWED_ORIGINS": ("BACKEND_CORS_ORIGINS", _URLS),
    "CORS_ALLOWED_ORIGINS": ("BACKEND_CORS_ORIGINS", _URLS), "BACKEND_CORS_ORIGIN": ("BACKEND_CORS_ORIGINS", _ANY),
    "OPENAI_KEY": ("OPENAI_API_KEY", _ANY), "OPENAI_TOKEN": ("OPENAI_API_KEY", _ANY), "OPEN_AI_KEY": ("OPENAI_API_KEY", _ANY),
    "OPENAI_API_BASE": ("OPENAI_BASE_URL", r"\s*https?://"), "OPENAI_MODEL_NAME": ("OPENAI_MODEL", _ANY),
    "LOGLEVEL": ("LOG_LEVEL", r"(?i)\s*(debug|info|warning|warn|error|critical)\s*$"),
    "ENV": ("ENVIRONMENT", r"(?i)\s*(dev|development|staging|prod|production)\s*$"),
    "FIREBASE_PROJECT": ("FIREBASE_PROJECT_ID", _ANY), "CHATBOT_URI": ("CHATBOT_URL", _ANY),
}  # fmt: skip
_GUESS_FROM = 8  # characters; HOST and GHOST, PORT and SPORT are no typing errors
_SIMILAR = 0.9


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def look_alikes(ours: Sequence[str], everybody: Collection[str], environ: Mapping[str, str]) -> list[Mistake]:
    """One mistake for each variable that was meant to be one of `ours`. everybody: names that some service of ours reads."""
    absent = [name for name in ours if not environ.get(name, "").strip()]
    folded = {_folded(name): name for name in absent if len(name) >= _GUESS_FROM}
    mistakes = []
    for name in sorted(environ):
        value = environ[name]
        if name in everybody or not value.strip():
            continue
        meant, pattern = _MEANT.get(name.upper(), (None, _ANY))
        if meant is not None and not re.match(pattern, value):
            continue
        if meant is None and len(name) >= _GUESS_FROM - 1:
            near = difflib.get_close_matches(_folded(name), folded, 1, _SIMILAR)
            meant = folded[near[0]] if near else None
        if meant in absent:
            mistakes.append(
                Mistake(
                    variable=name, problem="misspelled_key", message=f"nobody reads it, and {meant} is absent",
                    column=None, found=name, fix=f"rename it to {meant}",
                )
            )  # fmt: skip
    return mistakes
