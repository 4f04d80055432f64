"""Variables that are absent, empty, or there under another name."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule
from everwake.doctor.kinds import URLS, Kind, kind_of_name, kind_of_type, words_of
from everwake.doctor.words import distance, nearest

__all__ = ["RULE"]

# Names that many programs share; who writes one of them with a slip is told, where the right one is absent.
_WELL_KNOWN = (
    "ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BACKEND_CORS_ORIGINS", "CELERY_BROKER_URL",
    "CORS_ORIGINS",
    "ALLOWED_ORIGINS", "DATABASE_URL", "DISCORD_TOKEN", "DJANGO_SETTINGS_MODULE", "ENVIRONMENT", "FIREBASE_PRIVATE_KEY",
    "FIREBASE_PROJECT_ID", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET",
    "JWT_SECRET", "LOG_LEVEL", "MONGODB_URI", "NEXTAUTH_SECRET", "NEXTAUTH_URL", "NODE_ENV", "NODE_OPTIONS", "OPENAI_API_KEY",
    "OPENAI_BASE_URL", "OPENAI_MODEL", "POSTGRES_PASSWORD", "PYTHON_VERSION", "REDIS_URL", "SECRET_KEY", "SENDGRID_API_KEY",
    "SESSION_SECRET", "SQLALCHEMY_DATABASE_URI", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "SUPABASE_URL",
    "TELEGRAM_BOT_TOKEN",
)  # fmt: skip
_PLATFORMS_OWN = re.compile(
    r"(?:RENDER|RAILWAY|HEROKU|DYNO|FLY|KOYEB|VERCEL|NETLIFY|SPACE|K_|KUBERNETES|NPM|NODE|PYTHON|PIP|POETRY|UV)_.*|PORT|HOST|NODE_ENV|PATH|HOME|TZ|LANG|ENVIRONMENT|DEBUG|LOG_LEVEL|CI|PWD|SHELL|USER"
)
_SAME = {"URI": "URL", "DSN": "URL", "POSTGRES": "DATABASE", "POSTGRESQL": "DATABASE", "PG": "DATABASE", "DB": "DATABASE",
"MONGODB": "MONGO", "APIKEY": "KEY",
         "TOKEN": "KEY", "API": "", "SECRET": "KEY", "ACCESS": "", "VITE": "", "PUBLIC": "", "NEXT": "", "REACT": "",
         "APP": "", "ORIGIN": "ORIGINS", "CORS": "", "ALLOWED": ""}  # fmt: skip
_NEEDED_WHERE_NAMED = frozenset({Kind.REDIS_URL, Kind.POSTGRES_URL, Kind.DATABASE_URL, Kind.MONGO_URL, Kind.AMQP_URL})


def look_at_all(case: Case) -> Iterator[Hit]:
    """What is expected and not there, then what is there and empty, then slips in well-known names."""
    values, context = case.values, case.context
    expected = [*context.expected_keys]
    expected += [
        key
        for key, one in context.declared.items()
        if one.required or (one.required_in_production and case.is_production)
    ]
    absent = [key for key in dict.fromkeys(expected) if key not in values]
    spare = [
        key
        for key in values
        if key not in expected and key not in context.declared and not _PLATFORMS_OWN.fullmatch(key)
    ]
    told = set()
    for key in absent:
        hit = _under_another_name(key, spare, case, only=len(absent) == 1)
        if hit.key in told:
            continue
        if hit.key != key:
            told.add(hit.key)
        yield hit
    for key, value in values.items():
        if not value.strip() and (key in expected or _hurts(key, case)):
            yield Hit(
                problem="empty_value",
                key=key,
                fix="set it, or remove the variable",
                at=None,
                found="nothing",
                is_error=key in expected or bool(case.context.type) or kind_of_name(key) in _NEEDED_WHERE_NAMED,
            )
    for key in spare:
        meant = _slip(key, case) if key not in told else None
        if meant is not None:
            yield Hit(
                problem="misspelled_key",
                key=key,
                fix=f"rename it to {meant}, if that is what the program reads",
                at=None,
                found=key,
                is_error=False,
            )


def _hurts(key: str, case: Case) -> bool:
    if key in case.context.declared:
        return False
    if case.context.type and len(case.values) == 1:
        return kind_of_type(case.context.type) not in (None, Kind.SECRET) and "none" not in case.context.type.lower()
    kind = kind_of_name(key)
    if kind in _NEEDED_WHERE_NAMED or (kind is Kind.SECRET and case.is_production):
        return not case.is_development
    return kind is Kind.API_KEY and case.is_production


def _under_another_name(key: str, spare: list[str], case: Case, *, only: bool) -> Hit:
    folded = re.sub(r"[\W_]", "", key).casefold()
    insensitive = "pydantic" in case.context.reader.lower()
    slips = []
    for other in spare:
        if re.sub(r"[\W_]", "", other).casefold() == folded:
            if insensitive and other.casefold() == key.casefold():
                return Hit(problem="", fix="", key=other)
            slips.append((0, other))
        elif (apart := distance(other.upper(), key.upper())) <= max(1, min(3, len(key) // 5)) and not (
            words_of(other)[-1:] != words_of(key)[-1:]
            and {*words_of(other)[-1:], *words_of(key)[-1:]} <= {"URL", "URI", "DSN", "ID", "KEY"}
        ):
            slips.append((apart, other))
    if slips:
        other = min(slips)[1]
        return Hit(problem="misspelled_key", key=other, fix=f"rename it to {key}", at=None, found=other, is_error=True)
    ranked = sorted(
        ((score, other) for other in spare if (score := _likeness(other, key, case)) > 0),
        key=lambda each: (-each[0], each[1]),
    )
    if ranked and (ranked[0][0] >= 2 or (only and len(ranked) == 1)):
        other = ranked[0][1]
        return Hit(
            problem="wrong_key_name",
            key=other,
            fix=f"the program reads {key}: rename it",
            at=None,
            found=other,
            is_error=True,
        )
    return Hit(
        problem="missing_key", key=key, fix="set it: the program needs it", at=None, found="nothing", is_error=True
    )


def _meaning(name: str) -> set[str]:
    return {meant for word in words_of(name) if (meant := _SAME.get(word, word))}


_SAY_LITTLE = frozenset({"URL", "KEY", "HOST", "PORT", "USER", "PASSWORD", "NAME", "ID"})


def _likeness(other: str, key: str, case: Case) -> int:
    """0: nothing alike; 1: of one kind; 2: they name the same thing."""
    left, right = _meaning(other) - _SAY_LITTLE, _meaning(key) - _SAY_LITTLE
    shared = left & right or {word for word in left if len(word) >= 5 and nearest(word, frozenset(right), 1)}
    kinds = {kind_of_name(other), kind_of_name(key)}
    if kinds & URLS and not kinds <= URLS and Kind.TEXT not in kinds:
        return 0
    if shared:
        return 2 if kinds <= URLS or len(kinds) == 1 or Kind.TEXT in kinds else 0
    if _meaning(other) == _meaning(key):
        return 2
    return 1 if (kinds <= URLS or len(kinds) == 1) and Kind.TEXT not in kinds else 0


def _slip(key: str, case: Case) -> str | None:
    """The well-known name that this one is a slip of, where that one is absent."""
    plain = key.upper()
    if len(plain) < 8 or plain in _WELL_KNOWN or (case.context.expected_keys and key in case.context.expected_keys):
        return None
    for known in _WELL_KNOWN:
        if known in case.values or abs(len(known) - len(plain)) > 1 or distance(plain, known, 1) != 1:
            continue
        if (
            (plain[-1:] in "S0123456789" and plain[:-1] == known)
            or known[:-1] == plain
            or {plain[-3:], known[-3:]} == {"URL", "URI"}
        ):
            continue
        if plain.replace("_", "") == known.replace("_", ""):
            continue  # written together on purpose, perhaps
        return known
    return None


RULE = Rule(
    name="presence",
    about="A variable that is needed and absent, empty, or spelled otherwise.",
    problems=("missing_key", "empty_value", "misspelled_key", "wrong_key_name"),
    look_at_all=look_at_all,
    order=60,
    examples=(
        Example(("SECRET_KEY missing_key",), {"PORT": "8000"}, context={"expected_keys": ["SECRET_KEY"]}),
        Example(("DATABASE_URL empty_value",), {"DATABASE_URL": ""}),
        Example(("MODEL empty_value",), {"MODEL": " "}, context={"expected_keys": ["MODEL"]}),
        Example(
            ("OPNEAI_API_KEY misspelled_key",),
            {"OPNEAI_API_KEY": "sk-a1b2c3d4"},
            context={"expected_keys": ["OPENAI_API_KEY"]},
        ),
        Example(("DATABSE_URL misspelled_key",), {"DATABSE_URL": "postgresql://app:pw1x@db.example.com/app"}),
        Example(
            ("OPENAI-API-KEY misspelled_key",),
            {"OPENAI-API-KEY": "sk-a1b2c3d4"},
            context={"expected_keys": ["OPENAI_API_KEY"]},
        ),
        Example(
            ("API_URL wrong_key_name",),
            {"API_URL": "https://api.example.com"},
            context={"expected_keys": ["VITE_API_URL"]},
        ),
        Example(
            ("POSTGRES_URL wrong_key_name",),
            {"POSTGRES_URL": "postgresql://app:pw1x@db.example.com/app"},
            context={"expected_keys": ["DATABASE_URL"]},
        ),
        Example(
            (),
            {"SECRET_KEY": "k3yr1ng", "SENTRY_DSN": "", "REDIS_PASSWORD": ""},
            context={"expected_keys": ["SECRET_KEY"]},
        ),
        Example((), {"REDIS_URI": "redis://cache.example.com", "OPENAI_API_KEYS": "sk-a1b2", "SECRET_KEY_2": "b2c3"}),
        Example(
            (),
            {"openai_api_key": "sk-a1b2c3d4"},
            context={"expected_keys": ["OPENAI_API_KEY"], "reader": "pydantic-settings"},
        ),
    ),
)
