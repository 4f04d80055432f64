"""What is known besides the variables themselves: who reads them, where they run, what is expected of them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from everwake.doctor.declared import Declared, NotASchema
from everwake.doctor.declared import read as read_declared

__all__ = ["HOSTED", "Context"]

# Where an application runs as one of many on somebody's machines: its own localhost holds nothing but itself.
HOSTED = frozenset({
    "render", "railway", "heroku", "fly", "koyeb", "vercel", "netlify", "cloud_run", "app_engine", "huggingface", "cloudflare",
    "northflank", "digitalocean", "azure", "elastic_beanstalk", "deta", "glitch", "zeabur", "streamlit", "replit",
})  # fmt: skip
_CALLED = (
    (r"\bsim\b|simulat", "sim"),
    (r"render", "render"), (r"railway", "railway"), (r"heroku|dokku", "heroku"), (r"\bfly", "fly"), (r"koyeb", "koyeb"),
    (r"vercel|\bnow\b", "vercel"), (r"netlify", "netlify"), (r"cloud[ _-]?run|\bgcp\b|knative", "cloud_run"),
    (r"app[ _-]?engine|\bgae\b", "app_engine"), (r"hugging|spaces|\bhf\b", "huggingface"), (r"cloudflare|workers", "cloudflare"),
    (r"northflank", "northflank"), (r"digital[ _-]?ocean|app platform", "digitalocean"), (r"azure", "azure"),
    (r"beanstalk", "elastic_beanstalk"), (r"zeabur", "zeabur"), (r"streamlit", "streamlit"), (r"replit", "replit"),
    (r"compose|docker|podman|swarm|coolify|dokploy|portainer|caprover", "docker"),
    (r"kube|k8s|openshift|\bgke\b|\beks\b", "kubernetes"),
)  # fmt: skip
_PRODUCTION = frozenset({"production", "prod", "live", "release"})
_DEVELOPMENT = frozenset({"development", "dev", "local", "localhost", "test", "testing", "ci"})
_SAYS_ENVIRONMENT = (
    "ENVIRONMENT", "APP_ENV", "NODE_ENV", "ENV", "FLASK_ENV", "DJANGO_ENV", "RAILS_ENV", "RACK_ENV", "PYTHON_ENV", "GO_ENV",
    "ASPNETCORE_ENVIRONMENT", "DEPLOY_ENV", "STAGE", "MIX_ENV",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Every part is optional; a rule that needs one that is not known keeps silent.

    platform: a name of `HOSTED`, "docker", "kubernetes", "sim" (processes of this machine) or "".
    reader: who reads the file, or takes the values, in any words.
    type: what the one variable that is looked at must be, as its program declares it (`list[str]`, `bool`, ..).
    environment: "production", "development" or "".   siblings: name of another service -> its URL.   service, url: this one's.
    target_port: where the platform sends requests.   listens_on: where the program listens.   memory_mb: of the instance.
    resolved: whether references such as `${{Postgres.URL}}` have been replaced.   managed: the platform writes these variables.
    used_as: what the value serves for ("CORS origin").   path: what a URL must end with.   files: those the instance has.
    is_public: the text lies in a file under version control.
    """

    platform: str = ""
    reader: str = ""
    type: str = ""
    environment: str = ""
    expected_keys: tuple[str, ...] = ()
    siblings: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    url: str = ""
    target_port: int | None = None
    listens_on: int | None = None
    memory_mb: int | None = None
    resolved: bool = True
    managed: bool = False
    used_as: str = ""
    path: str = ""
    files: tuple[str, ...] | None = None
    is_public: bool = False
    declared: Mapping[str, Declared] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, Any], platform: str = "") -> Self:
        """From data (`context` of contract.md's facts); what is of no use in it is passed over."""

        def text(*names: str) -> str:
            return next((found for name in names if isinstance(found := facts.get(name), str) and found), "")

        def number(*names: str) -> int | None:
            found = next((facts[name] for name in names if isinstance(facts.get(name), int | float | str)), None)
            digits = re.match(r"\s*(\d{1,9})", str(found)) if found is not None else None
            return int(digits[1]) if digits else None

        files = facts.get("files")
        return cls(
            platform=platform_of(platform or text("platform", "host", "runs_on")),
            reader=text("reader", "read_by", "parser"),
            type=text("type", "field_type", "declared_type"),
            environment=environment_of(text("environment", "env")),
            expected_keys=_texts(facts.get("expected_keys")),
            siblings=_siblings(facts.get("siblings")),
            service=text("service", "name", "self"),
            url=text("url", "own_url", "public_url", "service_url"),
            target_port=number("target_port", "internal_port", "app_port", "routed_port", "health_check_port"),
            listens_on=number("listens_on", "listening_port", "listening_on", "app_listens_on"),
            memory_mb=_memory(facts)
            or _memory_of_plan(text("plan", "instance_type"), platform_of(platform or text("platform"))),
            resolved=facts.get("resolved") is not False,
            managed=facts.get("managed_by_platform") is True,
            used_as=text("used_as", "purpose"),
            path=text("expected_path", "base_path", "required_path", "api_prefix"),
            files=_texts(files) if isinstance(files, list) else None,
            is_public=facts.get("is_public") is True,
            declared=_declared(facts.get("declared") or facts.get("variables_schema")),
        )

    @property
    def runs_on(self) -> str:
        """Whose manual counts: the simulated platform keeps Render's, though its services are processes of this machine."""
        return "render" if self.platform == "sim" else self.platform

    def is_production(self, variables: Mapping[str, str]) -> bool:
        """Whether these variables are for people's use: said so, or written in them, or run by a platform."""
        said = self.environment or environment_in(variables)
        return said == "production" or (not said and self.platform in HOSTED)

    def is_development(self, variables: Mapping[str, str]) -> bool:
        """Whether these are a developer's own."""
        return (self.environment or environment_in(variables)) == "development"


def environment_of(word: str) -> str:
    """ "production", "development", or "" for a word that says neither; what is between (staging) counts as production."""
    plain = word.strip().strip("\"'").lower()
    if plain in _PRODUCTION or plain.startswith(("stag", "preprod", "preview")):
        return "production"
    return "development" if plain in _DEVELOPMENT else ""


def environment_in(variables: Mapping[str, str]) -> str:
    """What the variables themselves say."""
    said = (environment_of(variables[name]) for name in _SAYS_ENVIRONMENT if name in variables)
    return next((word for word in said if word), "")


def platform_of(word: str) -> str:
    """The platform that a name in any spelling means, or ""."""
    plain = word.lower()[:100].replace("_", " ")
    return next((name for pattern, name in _CALLED if re.search(pattern, plain)), "")


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list | tuple) else ()


def _siblings(found: Any) -> dict[str, str]:
    if isinstance(found, Mapping):
        urls = {str(name): each.get("url") if isinstance(each, Mapping) else each for name, each in found.items()}
        return {name: url for name, url in urls.items() if isinstance(url, str)}
    named = {}
    for each in found if isinstance(found, list | tuple) else ():
        if isinstance(each, Mapping) and isinstance(each.get("url"), str):
            named[str(each.get("name", each["url"]))] = each["url"]
        elif isinstance(each, str):
            named[re.sub(r"^\w+://", "", each).split(".")[0]] = each
    return named


def _memory(facts: Mapping[str, Any]) -> int | None:
    for name in ("memory_mb", "memory", "ram_mb", "ram", "instance_memory_mb", "memory_limit", "memory_limit_mb"):
        found = facts.get(name)
        if isinstance(found, int | float):
            return int(found)
        amount = re.match(r"\s*(\d{1,7}(?:\.\d{1,3})?)\s*([GgMm]?)", found) if isinstance(found, str) else None
        if amount:
            return int(float(amount[1]) * (1024 if amount[2] in "Gg" and amount[2] else 1))
    return None


def _memory_of_plan(plan: str, platform: str) -> int | None:
    """Render's smallest instances (render.com/pricing, read 2026-11)."""
    return {"free": 512, "starter": 512, "standard": 2048}.get(plan.lower()) if platform == "render" else None


def _declared(found: Any) -> Mapping[str, Declared]:
    try:
        return read_declared(found) if isinstance(found, Mapping) else {}
    except NotASchema:
        return {}
