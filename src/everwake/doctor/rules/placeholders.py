"""What a template left where a value belongs, and secrets that everybody knows."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.hosts import is_loopback
from everwake.doctor.kinds import URLS, Kind, words_of
from everwake.doctor.words import is_default_secret, is_placeholder

__all__ = ["RULE"]

_OWN = frozenset({Kind.SECRET, Kind.PASSWORD})
_KEYS = frozenset({Kind.API_KEY, Kind.SERVICE_ACCOUNT, Kind.PEM})
# Servers without keys are given a word by custom.
_KEYLESS = re.compile(r"empty|none|no-?key|not-?needed|dummy|ollama|lm-?studio|local", re.IGNORECASE)
_TEMPLATE_HOSTS = frozenset(
    {
        "host",
        "hostname",
        "your-host",
        "yourhost",
        "your_host",
        "your-domain.com",
        "yourdomain.com",
        "your-app.onrender.com",
        "server",
        "my-host",
        "dbhost",
        "db_host",
    }
)


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """The first of: a reference nobody filled in, brackets left, a template's text, a password everybody knows."""
    value = variable.value
    if not value.strip() or len(value) > 4_096:
        return
    if _is_reference(value):
        if case.context.resolved and _stays_as_it_is(value, case):
            yield Hit(
                problem="placeholder",
                fix="write the value itself: nothing fills in this reference here",
                end=len(value),
                found="a reference",
                stops=True,
            )
        return
    hit = _bracketed(variable) or _template(variable, case) or _known(variable, case)
    if hit is not None:
        yield hit


def _is_reference(value: str) -> bool:
    return (
        re.fullmatch(
            r"\$\{\{.{1,200}\}\}|\$\{[\w.:?-]{1,200}\}|\$\([\w.-]{1,80}\)|\{\{.{1,200}\}\}|%[A-Z_]{2,60}%|@[\w-]+(?=\Z)",
            value.strip(),
        )
        is not None
        and value.strip()[:1] != "@"
    )


def _stays_as_it_is(value: str, case: Case) -> bool:
    """Whether whoever reads this replaces no such reference."""
    text, platform = value.strip(), case.context.runs_on
    if text.startswith("${{"):
        return platform not in ("railway", "") or bool(re.search(r"secrets\.|env\.", text))
    if text.startswith("{{") or text.startswith("%"):
        return True
    dialect = case.document.dialect if case.document is not None else None
    if dialect is not None:
        return not dialect.expands and bool(case.context.reader)
    return platform in ("render", "heroku", "koyeb", "vercel", "huggingface") and text.startswith("${")


def _bracketed(variable: Variable) -> Hit | None:
    """`<` and `>` that were to be replaced together with what stands between them."""
    value = variable.value
    url = variable.url
    if url is not None:
        found = re.search(r"<[^<>/@\s]{1,120}>", value)
        if found is None:
            return None
        is_blank = is_placeholder(found[0]) or re.fullmatch(r"<[a-z_ -]+>", found[0], re.IGNORECASE) is not None
        edits = () if is_blank else ((found.start(), found.start() + 1, ""), (found.end() - 1, found.end(), ""))
        fix = (
            "put the real text there, without < and >"
            if is_blank
            else "remove < and >: only what stands between them is meant"
        )
        return Hit(
            problem="angle_brackets_left",
            fix=fix,
            at=found.start(),
            end=found.end(),
            edits=edits,
            found="< >",
            is_error=True,
            stops=True,
        )
    found = re.fullmatch(r"<([^<>]{1,300})>", value.strip())
    if found is None or is_placeholder(value.strip()) or re.fullmatch(r"[a-z][a-z _-]*", found[1], re.IGNORECASE):
        if found is None or variable.kind is Kind.EMAIL:
            return None
        return Hit(
            problem="placeholder",
            fix="put the real value in its place",
            end=len(value),
            found="text of a template",
            stops=True,
            is_error=_breaks(variable),
        )
    at, end = value.index("<"), value.rindex(">")
    return Hit(
        problem="angle_brackets_left", fix="remove < and >: only what stands between them is meant", at=at, end=end + 1,
        edits=((at, at + 1, ""), (end, end + 1, "")), found="< >", is_error=True, stops=True,
    )  # fmt: skip


def _breaks(variable: Variable) -> bool:
    """Whether the program cannot start: with a useless key of somebody else's service it can, and is refused there."""
    declared = variable.declared
    return variable.kind not in _KEYS | _OWN or (declared is not None and declared.required)


def _template(variable: Variable, case: Case) -> Hit | None:
    value, kind = variable.value, variable.kind
    url = variable.url
    if url is not None:
        host = url.hosts[0]
        says = (
            host in _TEMPLATE_HOSTS
            or re.match(
                r"your[-_.]?(?:app|site|service|domain|project|backend|frontend|api|cluster|host|db|redis|server|username)\b",
                host,
            )
            or "..." in host
        )
        generic = url.password is not None and re.fullmatch(
            r"(?:your[-_]?)?(?:db[-_]?)?(?:password|pass|pw|passwd)", url.password, re.IGNORECASE
        )
        yours = generic and url.password is not None and url.password.lower().startswith("your")
        stock = (
            generic
            and (url.user or "").lower()
            in ("user", "username", "your_user", "youruser", "your-user", "your_username", "your-username")
            and not case.is_development
        )
        if (
            not says
            and not yours
            and not (stock and case.is_production)
            and not re.search(r"x{4}", host + (url.password or ""))
        ):
            return None
        if "localhost" in host:
            return None
        return Hit(
            problem="placeholder",
            fix="put the real address in place of the template's",
            end=len(value),
            found="text of a template",
            is_error=True,
            stops=True,
        )
    if kind in _KEYS:
        word = r"\.{2,}|-+|\?+|none|null|empty|test|dummy|key|token|secret|api[_-]?key"
        hit = is_placeholder(value) or re.fullmatch(word, value.strip(), re.IGNORECASE) is not None
        if hit and _KEYLESS.search(value) and any("BASE" in words_of(name) for name in case.values):
            return None
    elif kind in _OWN:
        hit = is_placeholder(value) and not is_default_secret(value)
    elif kind in (Kind.HOST, Kind.HOSTS, Kind.EMAIL, Kind.USER, Kind.ORIGINS, Kind.JSON_ORIGINS, Kind.PORT, *URLS):
        hit = is_placeholder(value) and bool(
            re.search(r"your|<|x{4}|\.\.\.|change|replace|insert", value, re.IGNORECASE)
        )
    else:
        hit = bool(
            re.search(
                r"^(?:your|insert|replace|change|enter|put)[-_ ]?\w|_here$|-here$|^change-?me|^todo$|^x{4,}$",
                value.strip(),
                re.IGNORECASE,
            )
        ) and is_placeholder(value)
    if not hit:
        return None
    fix = (
        "paste the real key"
        if kind in _KEYS
        else "make a long random secret of your own"
        if kind in _OWN
        else "put the real value in its place"
    )
    return Hit(
        problem="placeholder",
        fix=fix,
        end=len(value),
        found="text of a template",
        is_error=_breaks(variable),
        stops=True,
    )


def _known(variable: Variable, case: Case) -> Hit | None:
    """A password that everybody knows; fine on a developer's machine."""
    if case.is_development:
        return None
    value, kind = variable.value, variable.kind
    if kind in _OWN or (kind is Kind.API_KEY and variable.value.lower().startswith("django-insecure-")):
        beside = tuple(words_of(variable.key)[:1])
        if is_default_secret(value, beside):
            return Hit(
                problem="default_secret",
                fix="set a long random one of your own, in every service that shares it",
                end=len(value),
                found="a secret that everybody knows",
            )
    url = variable.url
    is_elsewhere = url is not None and "." in url.hosts[0] and not is_loopback(url.hosts[0])
    if (
        url is not None
        and is_elsewhere
        and url.password
        and case.is_production
        and is_default_secret(url.password, (url.user or "",))
    ):
        at = url.password_at
        return Hit(
            problem="default_secret",
            fix="give the user a password of your own, here and at the server",
            at=at,
            end=at + len(url.password),
            found="a password that everybody knows",
            is_error=False,
        )
    return None


RULE = Rule(
    name="placeholders",
    about="A template's text where a value belongs, brackets left round it, or a secret that everybody knows.",
    problems=("placeholder", "angle_brackets_left", "default_secret"),
    look=look,
    order=25,
    examples=(
        Example(("MAIL_API_KEY placeholder",), {"MAIL_API_KEY": "your-mail-api-key"}),
        Example(("STRIPE_SECRET_KEY placeholder",), {"STRIPE_SECRET_KEY": "sk_test_..."}),
        Example(("MAIL_API_KEY placeholder",), {"MAIL_API_KEY": "<your key>"}),
        Example(("API_URL placeholder",), {"API_URL": "https://your-app.onrender.com"}),
        Example(("DB_PASS placeholder",), {"DB_PASS": "${{ secrets.DB_PASS }}"}, context={"platform": "render"}),
        Example(
            ("MONGO_URL angle_brackets_left",), {"MONGO_URL": "mongodb+srv://app:<password>@c0.example.mongodb.net/app"}
        ),
        Example(("BOT_TOKEN angle_brackets_left",), {"BOT_TOKEN": "<12345:abcdef99>"}),
        Example(("JWT_SECRET default_secret",), {"JWT_SECRET": "changeme"}),
        Example(
            ("POSTGRES_PASSWORD default_secret",),
            {"POSTGRES_PASSWORD": "postgres"},
            context={"environment": "production"},
        ),
        Example(("SECRET_KEY default_secret",), {"SECRET_KEY": "django-insecure-1a2b3c"}),
        Example((), {"POSTGRES_PASSWORD": "postgres", "ENVIRONMENT": "development"}),
        Example(
            (), {"MAIL_API_KEY": "re_4f9a1c77b2", "JWT_SECRET": "q8Zr1vTn4mXw", "MODE": "test", "REGION": "default"}
        ),
        Example((), {"DATABASE_URL": "${{Postgres.DATABASE_URL}}"}, context={"platform": "railway"}),
        Example((), {"OPENAI_API_KEY": "EMPTY", "OPENAI_BASE_URL": "http://10.0.0.5:8000/v1"}),
        Example((), {"AUTHOR": "Ada Example <user@example.com>"}),
    ),
)
