"""What can be broken on purpose: one row for each drill, and what it changes, as values. Pure; `drilling` carries it out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

__all__ = ["DRILLS", "HEAL", "Changes", "Drill", "Places", "changed_variables", "faulty_command"]

HEAL = "heal"
LEFTOVER = " -rsss"  # what a copied host name once left behind a JSON list
BAD_HEALTH_PATH = "/healthz-that-is-not-there"
PLACEHOLDER = "your-openai-api-key-here"
_HOST = re.compile(r"https?://[^\s\"'/]+")


class Changes(StrEnum):
    """What of a service a drill touches."""

    VARIABLE = "variable"
    COMMIT = "commit"
    SETTING = "setting"
    PROCESS = "process"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """how: its name.   says: what happens, in a sentence.   cause: what it should be called (the names of `why`).

    remedy: what cures it (mend, rollback, restart, resume, wake, wait), or "" where only `person` can.
    takes_down: what serves now is stopped first, as when a free instance is moved: else a deploy that fails would change nothing
    for anybody.
    """

    how: str
    changes: Changes
    says: str
    cause: str
    remedy: str = ""
    person: str = ""
    takes_down: bool = False


def _variable(
    how: str, says: str, cause: str, remedy: str = "mend", person: str = "", takes_down: bool = True
) -> Drill:
    return Drill(
        how=how, changes=Changes.VARIABLE, says=says, cause=cause, remedy=remedy, person=person, takes_down=takes_down
    )  # fmt: skip


def _commit(how: str, says: str, cause: str, takes_down: bool = False) -> Drill:
    return Drill(how=how, changes=Changes.COMMIT, says=says, cause=cause, remedy="rollback", takes_down=takes_down)


_OWNER = "the owner of the service"

DRILLS: Mapping[str, Drill] = {
    each.how: each
    for each in (
        _variable("bad-env", f"BACKEND_CORS_ORIGINS gets {LEFTOVER!r} behind its JSON list; it cannot start", "bad_env_var"),
        _variable(
            "placeholder-key", "OPENAI_API_KEY is the placeholder of an example file, and needed", "bad_env_var", "",
            "who has the key",
        ),
        _variable(
            "wrong-sibling-url", "the address of a sibling service names a host that does not exist", "wrong_service_url",
            takes_down=False,
        ),
        _commit("crash-at-start", "the new commit imports a module that is not there", "crashed_at_start", takes_down=True),
        _commit("crash-loop", "the new commit starts well and dies some seconds later, again and again", "crash_loop"),
        _commit("out-of-memory", "the new commit takes ever more memory, until the plan's limit ends it", "out_of_memory"),
        Drill(
            how="hang", changes=Changes.PROCESS, says="the process is frozen (SIGSTOP): it accepts and never answers",
            cause="health_check_failing", remedy="restart",
        ),
        _commit("slow-start", "the new commit prepares for longer than the platform waits", "slow_start", takes_down=True),
        _commit("wrong-port", "the new commit listens on another port than PORT says", "wrong_port", takes_down=True),
        Drill(
            how="wrong-health-path", changes=Changes.SETTING, says=f"the health check path becomes {BAD_HEALTH_PATH}",
            cause="health_check_failing", person=_OWNER,
        ),
        _variable("redis-down", "REDIS_URL leads to a port where nobody listens", "dependency_redis", "", "who runs Redis"),
        _variable("redis-wrong-password", "REDIS_URL has a wrong password", "dependency_redis", "", "who has the password"),
        _variable(
            # That rediss:// is wanted is found; that the port speaks it, and with which certificate, only its owner knows.
            "redis-needs-tls", "REDIS_URL leads to a Redis that speaks TLS only, without TLS", "dependency_tls", "",
            "who runs Redis",
        ),
        _variable(
            "provider-rejects-key", "the AI provider answers 401 to the key", "dependency_external", "",
            "who has an account there",
        ),
        Drill(
            how="sleep", changes=Changes.PLATFORM, says="the free instance is spun down now", cause="asleep", remedy="wake",
        ),
        Drill(
            how="suspend-by-owner", changes=Changes.PLATFORM, says="the owner suspends it", cause="suspended_by_owner",
            person=_OWNER,
        ),
        Drill(
            how="hours-exhausted", changes=Changes.PLATFORM, says="the workspace has used its free hours of the month",
            cause="suspended_free_quota", person="the owner of the workspace (a plan), or the 1st of the month",
        ),
        Drill(
            how="deploy-superseded", changes=Changes.PLATFORM, says="a deploy is canceled by a newer one",
            cause="deploy_superseded", remedy="wait",
        ),
        Drill(
            how="build-fails", changes=Changes.COMMIT, says="the new commit's build command fails; the old one serves on",
            cause="build_failed", remedy="rollback",
        ),
        Drill(
            how="flapping", changes=Changes.PLATFORM, says="the edge loses and finds the instance in turns",
            cause="instance_unreachable", remedy="wait",
        ),
        Drill(
            how="edge-502", changes=Changes.PLATFORM, cause="instance_unreachable", remedy="restart",
            says="the edge has lost its way to an instance that is well; not to a new one",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Ports of loopback that drills lead to. closed: nobody listens.   tls: a Redis that hangs up on plain text.

    refuser: a provider that answers 401.   edge: the shared port, where any host is asked for.   siblings: other services' URLs.
    """

    closed: int = 0
    tls: int = 0
    refuser: int = 0
    edge: int = 0
    siblings: tuple[str, ...] = ()


def changed_variables(how: str, env: Mapping[str, str], places: Places) -> dict[str, str]:
    """The variables that a drill writes. env: all of the service, groups included.

    Raises:
        LookupError: the service has nothing that could be broken so; in words.
    """
    if how == "bad-env":
        return {"BACKEND_CORS_ORIGINS": _there(env, "BACKEND_CORS_ORIGINS").removesuffix(LEFTOVER) + LEFTOVER}
    if how == "placeholder-key":
        return {"OPENAI_API_KEY": PLACEHOLDER, "AI_PROVIDER": "openai"}
    if how == "provider-rejects-key":
        url = f"http://127.0.0.1:{places.refuser}/v1"
        return {"OPENAI_API_KEY": "a-key-that-was-revoked-0123456789", "OPENAI_BASE_URL": url, "AI_PROVIDER": "openai"}
    if how == "wrong-sibling-url":
        return _misled(env, places)
    url = _there(env, "REDIS_URL")
    parts = urlsplit(url)
    user = parts.username or "default"
    if how == "redis-wrong-password":
        host = parts.netloc.rpartition("@")[2]
        return {"REDIS_URL": urlunsplit(parts._replace(netloc=f"{user}:not-the-password@{host}"))}
    port = places.closed if how == "redis-down" else places.tls
    return {"REDIS_URL": f"redis://{parts.netloc.rpartition('@')[0] or user}@127.0.0.1:{port}/0"}


def _there(env: Mapping[str, str], key: str) -> str:
    if not env.get(key):
        raise LookupError(f"the service has no {key} that could be broken")
    return env[key]


def _misled(env: Mapping[str, str], places: Places) -> dict[str, str]:
    """The first variable that holds a sibling's address, with a host that is nobody's."""
    for key, value in env.items():
        for found in _HOST.findall(value):
            if any(found.rstrip("/") == sibling for sibling in places.siblings):
                name = key.lower().partition("_")[0] or "service"
                return {key: value.replace(found, f"http://{name}-ww0z.localhost:{places.edge}")}
    raise LookupError("no variable of the service holds the address of a sibling")


def faulty_command(how: str, start_command: str, python: str) -> str:
    """The start command of a bad commit. python: the interpreter, quoted for the shell where it needs to be."""
    return f"{python} -P -m everwake.sim.faulty {how} -- {start_command}"
