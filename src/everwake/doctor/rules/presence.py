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
# What people write for a name that a library reads by itself, and no other.
_OTHERWISE = {
    "OPENAI_APIKEY": "OPENAI_API_KEY", "OPENAI_KEY": "OPENAI_API_KEY", "OPEN_AI_KEY": "OPENAI_API_KEY",
    "OPEN_AI_API_KEY": "OPENAI_API_KEY", "OPENAPI_KEY": "OPENAI_API_KEY", "ANTHROPIC_APIKEY": "ANTHROPIC_API_KEY",
    "ANTHROPIC_KEY": "ANTHROPIC_API_KEY", "GOOGLE_APIKEY": "GOOGLE_API_KEY", "SENDGRID_APIKEY": "SENDGRID_API_KEY",
}  # fmt: skip
_PORT_SLIPS = frozenset({"PROT", "POTR", "OPRT", "PRT", "POORT", "PORTT", "PORRT"})
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
    others = {*spare, *expected, *_WELL_KNOWN, *context.declared}
    platforms = [key for key in values if key not in others] if absent else []
    told = set()
    for key in absent:
        also = [each for each in platforms if distance(each, key, 1) == 1]
        hit = _under_another_name(key, spare + also, case, only=len(absent) == 1)
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
    for key in values:
        is_free = key not in told and key not in expected and key not in context.declared
        meant = _slip(key, case) if is_free else None
        if meant is not None:
            yield Hit(
                problem="misspelled_key",
                key=key,
                fix=f"remove it: {meant} is there, and this one nobody reads"
                if meant in values
                else f"rename it to {meant}, if that is what the program reads",
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
            fix=f"rename it to {key}, which is what the program reads",
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


def _joined(name: str) -> str:
    """What the name says, in one word: OPEN_AI_KEY and OPENAI_API_KEY are both OPENAI."""
    return "".join(word for word in words_of(name) if _SAME.get(word, word) not in {"", *_SAY_LITTLE})


def _likeness(other: str, key: str, case: Case) -> int:
    """0: nothing alike; 1: of one kind; 2: they name the same thing."""
    left, right = _meaning(other) - _SAY_LITTLE, _meaning(key) - _SAY_LITTLE
    shared = (
        left & right
        or (_joined(other) and _joined(other) == _joined(key))
        or {word for word in left if len(word) >= 5 and nearest(word, frozenset(right), 1)}
    )
    kinds = {kind_of_name(other), kind_of_name(key)}
    if kinds & URLS and not kinds <= URLS and Kind.TEXT not in kinds:
        return 0
    if shared:
        return 2 if kinds <= URLS or len(kinds) == 1 or Kind.TEXT in kinds else 0
    if _meaning(other) == _meaning(key):
        return 2
    return 1 if (kinds <= URLS or len(kinds) == 1) and Kind.TEXT not in kinds else 0


def _slip(key: str, case: Case) -> str | None:
    """The well-known name that this one is a slip of: absent, or there beside one that differs in its capitals only."""
    plain = key.upper()
    known_keys = (*case.context.expected_keys, *_WELL_KNOWN)
    if key in known_keys:
        return None
    if plain in known_keys:  # openai_api_key is how some write all names; OPENAI_API_KEy nobody means
        return plain if key not in (plain, key.lower()) and not _ignores_capitals(case) else None
    otherwise = _OTHERWISE.get(plain)
    if otherwise is not None:
        return otherwise if otherwise not in case.values else None
    if plain in _PORT_SLIPS and re.fullmatch(r"[0-9]{2,5}", case.values[key].strip()):
        return "PORT"
    if len(plain) < 8:
        return None
    # Beside the right name, only what is one letter away is a slip.
    slips = (one for one in _WELL_KNOWN if _is_slip(plain, one))
    return next((one for one in slips if one not in case.values or distance(plain, one, 1) == 1), None)


def _ignores_capitals(case: Case) -> bool:
    return "pydantic" in case.context.reader.lower()


def _is_slip(plain: str, known: str) -> bool:
    """One letter apart; two within a long word of it. No plural, no number, nothing that is written together."""
    if abs(len(known) - len(plain)) > 2:
        return False
    apart = distance(plain, known, 2)
    if apart == 2:
        changed = [pair for pair in zip(plain.split("_"), known.split("_"), strict=False) if pair[0] != pair[1]]
        same = plain.count("_") == known.count("_")
        return same and len(known) >= 14 and len(changed) == 1 and min(len(one) for one in changed[0]) >= 5
    if apart != 1:
        return False
    return not (
        (plain[-1:] in "S0123456789" and plain[:-1] == known)
        or known[:-1] == plain
        or {plain[-3:], known[-3:]} == {"URL", "URI"}
        or plain.replace("_", "") == known.replace("_", "")  # on purpose, perhaps
    )


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
        Example(("REDIS_URl misspelled_key",), {"REDIS_URl": "redis://cache.example.com"}),
        Example(
            ("Redis_Url misspelled_key",),
            {"Redis_Url": "redis://cache.example.com", "REDIS_URL": "redis://cache.example.com"},
        ),
        Example(("OPEN_AI_KEY misspelled_key",), {"OPEN_AI_KEY": "sk-a1b2c3d4"}),
        Example(
            ("OPEN_AI_KEY wrong_key_name",),
            {"OPEN_AI_KEY": "sk-a1b2c3d4"},
            context={"expected_keys": ["OPENAI_API_KEY"]},
        ),
        Example(("PYTHON_VERSON misspelled_key",), {"PYTHON_VERSON": "3.11.9"}),
        Example(
            ("PYTHON_VERSON misspelled_key",),
            {"PYTHON_VERSON": "3.11.9"},
            context={"expected_keys": ["PYTHON_VERSION"]},
        ),
        Example(("BACKEND_CORS_ORIGN misspelled_key",), {"BACKEND_CORS_ORIGN": '["https://a.example.com"]'}),
        Example(("PROT misspelled_key",), {"PROT": "8000"}),
        Example(("PROT misspelled_key",), {"PROT": "8000", "PORT": "8000"}),
        Example(
            ("DATABSE_URL misspelled_key",),
            {
                "DATABSE_URL": "postgresql://app:pw1x@d.example.com/a",
                "DATABASE_URL": "postgresql://app:pw1x@d.example.com/a",
            },
        ),
        Example(
            (), {"OPENAI_KEY": "sk-a1b2c3d4", "OPENAI_API_KEY": "sk-a1b2c3d4", "PROT": "tcp", "redis_url": "redis://r"}
        ),
        Example(
            (),
            {"openai_api_key": "sk-a1b2c3d4"},
            context={"expected_keys": ["OPENAI_API_KEY"], "reader": "pydantic-settings"},
        ),
    ),
)
