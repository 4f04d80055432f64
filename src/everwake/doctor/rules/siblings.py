"""Addresses of the fleet's other services, held against the hosts that exist."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Edit, Example, Hit, Rule, Variable
from everwake.doctor.hosts import platform_domain, shared_stem
from everwake.doctor.kinds import URLS, words_of
from everwake.doctor.rules._entries import LISTS, addresses
from everwake.doctor.urls import Url, dissect

__all__ = ["RULE"]

_ALIKE = 0.6
_NETLOC = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?")
# A service's own address, which it may well know.
_OWN = frozenset(
    {
        "PUBLIC",
        "BASE",
        "SELF",
        "OWN",
        "EXTERNAL",
        "CALLBACK",
        "REDIRECT",
        "SITE",
        "APP",
        "NEXTAUTH",
        "AUTH",
        "HOST",
        "ROOT",
        "CANONICAL",
        "SERVER",
    }
)
_ROLES = {
    "API": "BACKEND",
    "CLIENT": "FRONTEND",
    "WEB": "FRONTEND",
    "UI": "FRONTEND",
    "BOT": "CHATBOT",
    "CACHE": "REDIS",
}
# What a service calls another by, and hardly ever itself; a backend may be the whole of an application, so that is advice.
_ANOTHER = frozenset({
    "UPSTREAM", "DOWNSTREAM", "CHATBOT", "BOT", "WORKER", "INFERENCE", "LLM", "RAG", "EMBEDDING", "EMBEDDINGS", "AGENT", "REMOTE",
    "PEER", "PAYMENT", "PAYMENTS", "SEARCH", "SCRAPER", "CRAWLER", "TRANSCRIBER", "NOTIFIER", "SCHEDULER", "BACKEND",
})  # fmt: skip


def _known(case: Case) -> dict[str, Url]:
    named = {name: dissect(url if "://" in url else f"https://{url}") for name, url in case.context.siblings.items()}
    return {name: url for name, url in named.items() if url is not None and url.host}


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Every URL, and every origin of a list."""
    if variable.kind not in URLS | LISTS and "://" not in variable.value[:40]:
        return
    siblings = _known(case)
    own = (
        dissect(case.context.url if "://" in case.context.url else f"https://{case.context.url}")
        if case.context.url
        else None
    )
    hosts = {url.hosts[0]: name for name, url in siblings.items()}
    if own is not None:
        hosts.setdefault(own.hosts[0], case.context.service)
    if not hosts:
        return
    for text, at in addresses(variable):
        url = dissect(text)
        if url is None and re.match(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", text, re.IGNORECASE):
            url, at = dissect(f"https://{text}"), at - len("https://")
        if url is not None and url.host:
            yield from _address(variable, url, at, siblings, own, hosts, case)
    if variable.kind in LISTS:
        yield from _forgotten(variable, siblings, own)


def _address(
    variable: Variable, url: Url, at: int, siblings: dict[str, Url], own: Url | None, hosts: dict[str, str], case: Case
) -> Iterator[Hit]:
    host = url.hosts[0]
    start, end = at + url.host_at, at + url.host_at + len(url.host)
    meant = _named_by(variable.key, siblings)
    if host in hosts:
        if variable.kind in LISTS:
            return
        if (
            own is not None
            and host == own.hosts[0]
            and meant is not None
            and siblings[meant].hosts[0] != host
            and not _OWN & set(words_of(variable.key))
        ):
            yield Hit(
                problem="service_loop",
                fix=f"use the address of {meant}: this one is the service itself",
                at=start,
                end=end,
                edits=_edit(start, end, siblings, meant),
            )
        elif own is not None and host == own.hosts[0] and meant is None and (role := _role(variable.key, host, case)):
            yield Hit(
                problem="service_loop",
                fix=f"use the address of the {role.lower()}: this one is the service itself",
                at=start,
                end=end,
                is_error=role != "BACKEND",
            )
        elif (
            meant is not None and siblings[meant].hosts[0] != host and hosts[host] in siblings and hosts[host] != meant
        ):
            yield Hit(
                problem="wrong_sibling_host",
                fix=f"use the address of {meant}: this one is {hosts[host]}'s",
                at=start,
                end=end,
                edits=_edit(start, end, siblings, meant),
            )
        elif variable.kind not in LISTS and case.context.path and not url.path.strip("/"):
            yield Hit(problem="missing_path", fix=f"append {case.context.path}", at=max(end - 1, 0), end=end)
        elif host in {one.hosts[0] for one in siblings.values()}:
            there = next(one for one in siblings.values() if one.hosts[0] == host)
            if there.path.strip("/") and not url.path.strip("/") and not url.query:
                yield Hit(
                    problem="missing_path",
                    fix=f"append {there.path}: that is where it answers",
                    at=max(end - 1, 0),
                    end=end,
                    edits=((end, len(variable.value), there.path),),
                )
        return
    if host.endswith(".localhost"):
        yield from _rehearsed(variable, host, start, meant, siblings, case)
        return
    domain = platform_domain(host)
    if not domain or not any(platform_domain(one) == domain for one in hosts):
        near = next((one for one in hosts if "." in host and one != host and _slip(one, host)), None)
        if near is not None:
            yield Hit(
                problem="wrong_sibling_host",
                fix=f"no service of the fleet has this host; {hosts[near]} is {near}",
                at=start,
                end=end,
                edits=_edit(start, end, siblings, hosts[near]),
            )
        return
    ranked = sorted(
        ((shared_stem(host, one.hosts[0]), name) for name, one in siblings.items()),
        key=lambda each: (-each[0], each[1]),
    )
    score, alike = ranked[0] if ranked else (0.0, "")
    if (
        own is not None
        and shared_stem(host, own.hosts[0]) > max(score, _ALIKE - 0.01)
        and variable.kind not in LISTS
        and meant is None
    ):
        yield Hit(
            problem="wrong_sibling_host",
            fix="no service has this host: it looks like an old name of the service itself",
            at=start,
            end=end,
        )
        return
    whose = meant if meant is not None else alike if score >= _ALIKE else None
    if whose is None:
        slipped = next((name for name, one in siblings.items() if _slip(one.hosts[0], host)), None)
        if slipped is None:
            return
        whose = slipped
    clear = len([each for each in ranked if each[0] == score]) == 1 or meant is not None
    yield Hit(
        problem="wrong_sibling_host", fix=f"no service of the fleet has this host; {whose} is {siblings[whose].hosts[0]}",
        at=start, end=end,
        edits=_edit(start, end, siblings, whose) if clear and score >= _ALIKE and alike == whose else (),
    )  # fmt: skip


def _role(key: str, host: str, case: Case) -> str:
    """What else than this service a variable's name names, or "": CHATBOT_URL in anything but the chatbot."""
    said = set(words_of(key))
    mine = {*words_of(case.context.service), *words_of(host.split(".")[0])}
    mine |= {word for word, same in _ROLES.items() if same in mine and word != "API"} | {
        _ROLES.get(word, "") for word in mine - {"API"}
    }
    named = sorted((said & _ANOTHER) - mine)
    if (
        said & (_OWN | {"WEBHOOK", "DOMAIN", "ISSUER", "ORIGIN"})
        or not named
        or (named == ["BACKEND"] and not case.context.service)
    ):
        return ""
    return named[0]


def _rehearsed(
    variable: Variable, host: str, start: int, meant: str | None, siblings: dict[str, Url], case: Case
) -> Iterator[Hit]:
    """On the simulated platform a service answers as NAME.localhost too; here it is written as its own address and port."""
    label = host.removesuffix(".localhost")
    if label in siblings or label == case.context.service:
        return
    whose = meant or next((name for name in siblings if label.startswith(f"{name}-")), None)
    if whose is None:
        return
    netloc = _NETLOC.match(variable.value, start)
    end = netloc.end() if netloc else start + len(host)
    there = siblings[whose].host + (f":{siblings[whose].port}" if siblings[whose].port else "")
    yield Hit(
        problem="wrong_sibling_host", fix=f"no service of the fleet has this host; {whose} is {there}", at=start, end=end,
        edits=((start, end, there),),
    )  # fmt: skip


def _slip(one: str, other: str) -> bool:
    from everwake.doctor.words import distance

    return len(one) > 10 and 0 < distance(one, other, 2) <= 2


def _edit(start: int, end: int, siblings: dict[str, Url], name: str) -> tuple[Edit, ...]:
    return ((start, end, siblings[name].host),) if name in siblings and start >= 0 else ()


def _named_by(key: str, siblings: dict[str, Url]) -> str | None:
    """The sibling that a variable's name names: CHATBOT_URL -> chatbot, VITE_API_URL -> backend."""
    said = set(words_of(key))
    exact = [
        name
        for name in siblings
        if set(words_of(name)) - {"SERVICE", "APP"} and set(words_of(name)) - {"SERVICE", "APP"} <= said
    ]
    if len(exact) == 1:
        return exact[0]
    roles = {_ROLES[word] for word in said if word in _ROLES} if not exact else set()
    found = [name for name in siblings if roles & set(words_of(name))]
    return found[0] if len(found) == 1 else None


def _forgotten(variable: Variable, siblings: dict[str, Url], own: Url | None) -> Iterator[Hit]:
    """A frontend of the fleet that the list of origins does not let in."""
    listed = {url.hosts[0] for text, _ in addresses(variable) if (url := dissect(text)) is not None}
    if "*" in variable.value or not listed:
        return
    for name, url in siblings.items():
        is_page = bool({"FRONTEND", "CLIENT", "WEB", "UI"} & set(words_of(name)))
        if is_page and url != own and not any(shared_stem(each, url.hosts[0]) >= _ALIKE for each in listed):
            yield Hit(
                problem="origin_forgets_sibling",
                fix=f"add the origin of {name}, or its pages cannot call",
                at=None,
                found=f"{name} is not in the list",
            )


RULE = Rule(
    name="siblings",
    about="An address of another service of the fleet that is nobody's, another's, or the service's own.",
    problems=("wrong_sibling_host", "service_loop", "missing_path", "origin_forgets_sibling"),
    look=look,
    order=48,
    examples=(
        Example(
            ("CHATBOT_URL wrong_sibling_host",),
            {"CHATBOT_URL": "https://my-chatbot-ww0z.onrender.com"},
            context={"siblings": {"chatbot": "https://my-chatbot.onrender.com"}},
        ),
        Example(
            ("API_URL wrong_sibling_host",),
            {"API_URL": "https://shop-backend.onrender.com"},
            context={"siblings": {"backend": "https://shop-backend-rsss.onrender.com"}},
        ),
        Example(
            ("CHATBOT_URL wrong_sibling_host",),
            {"CHATBOT_URL": "https://shop-redis.onrender.com"},
            context={
                "siblings": {"chatbot": "https://shop-bot.onrender.com", "redis": "https://shop-redis.onrender.com"}
            },
        ),
        Example(
            ("CHATBOT_URL service_loop",),
            {"CHATBOT_URL": "https://shop-api.onrender.com"},
            context={
                "service": "backend",
                "url": "https://shop-api.onrender.com",
                "siblings": {"chatbot": "https://shop-bot.onrender.com"},
            },
        ),
        Example(
            ("BACKEND_URL service_loop", "CHATBOT_URL service_loop", "UPSTREAM_URL service_loop"),
            {
                "UPSTREAM_URL": "https://shop-api.onrender.com",
                "CHATBOT_URL": "https://shop-api.onrender.com/ask",
                "BACKEND_URL": "https://shop-api.onrender.com",
                "API_URL": "https://shop-api.onrender.com",
                "PUBLIC_URL": "https://shop-api.onrender.com",
                "BASE_URL": "https://shop-api.onrender.com",
                "FRONTEND_URL": "https://shop-api.onrender.com",
                "BOT_WEBHOOK_URL": "https://shop-api.onrender.com/hook",
            },
            context={"service": "api", "url": "https://shop-api.onrender.com"},
        ),
        Example(
            (),
            {"CHATBOT_URL": "https://shop-bot.onrender.com", "BACKEND_URL": "https://shop-bot.onrender.com"},
            context={"url": "https://shop-bot.onrender.com"},
        ),
        Example(
            ("BACKEND_URL missing_path",),
            {"BACKEND_URL": "https://shop-api.onrender.com"},
            context={"siblings": {"backend": "https://shop-api.onrender.com/api/v1"}},
        ),
        Example(
            ("CORS_ORIGINS origin_forgets_sibling",),
            {"CORS_ORIGINS": "https://admin.example.com"},
            context={"siblings": {"frontend": "https://shop.onrender.com"}},
        ),
        Example(
            ("CORS_ORIGINS wrong_sibling_host",),
            {"CORS_ORIGINS": "https://shop-web-ab1c.onrender.com"},
            context={"siblings": {"frontend": "https://shop-web.onrender.com"}},
        ),
        Example(
            (),
            {"CHATBOT_URL": "https://my-chatbot.onrender.com", "WEATHER_API_URL": "https://open-weather.onrender.com"},
            context={"siblings": {"chatbot": "https://my-chatbot.onrender.com"}},
        ),
        Example(
            (),
            {"CHATBOT_URL": "https://chat.example.com"},
            context={"siblings": {"chatbot": "https://my-chatbot.onrender.com"}},
        ),
        Example(
            ("CHATBOT_URL wrong_sibling_host",),
            {"CHATBOT_URL": "http://chatbot-ww0z.localhost:8701"},
            context={"platform": "sim", "siblings": {"chatbot": "http://127.0.0.1:8702"}},
        ),
        Example(
            (),
            {"CHATBOT_URL": "http://chatbot.localhost:8701"},
            context={"platform": "sim", "siblings": {"chatbot": "http://127.0.0.1:8702"}},
        ),
        Example(
            (),
            {"PUBLIC_URL": "https://shop-api.onrender.com"},
            context={"service": "backend", "url": "https://shop-api.onrender.com"},
        ),
    ),
)
