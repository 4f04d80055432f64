"""Why a service is not up, as one closed set of names: what each means, the state it puts a service in, who can mend it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from everwake.model import State

__all__ = ["CAUSES", "HEALTHY", "UNKNOWN", "About", "is_fault", "state_of"]

HEALTHY = "healthy"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One cause. meaning: in a clause.   state: what a service with it is in, when nothing more is known.

    needs_person: no playbook can mend it.   is_fault: whether anything is wrong at all.
    """

    name: str
    meaning: str
    state: State
    needs_person: bool = False
    is_fault: bool = True


def _down(name: str, meaning: str, *, person: bool = False) -> About:
    return About(name=name, meaning=meaning, state=State.DOWN, needs_person=person)


_ALL = (
    About(name=HEALTHY, meaning="it answers as it should; what looks odd is noise", state=State.UP, is_fault=False),
    About(name="asleep", meaning="its platform stopped it for want of traffic; a request wakes it", state=State.ASLEEP),
    About(name="waking", meaning="it is starting after sleep", state=State.WAKING),
    _down("wake_failed", "the edge tried to wake it and gave up"),
    About(name="wake_throttled", meaning="the edge refuses further wake-ups for now", state=State.ASLEEP),
    _down("crashed_at_start", "its process ends by itself before it serves"),
    _down("crash_loop", "it starts and dies again and again"),
    _down("slow_start", "its start takes longer than the platform waits"),
    _down("missing_env_var", "a variable that it needs is absent or empty"),
    _down("bad_env_var", "a variable is there, and its value cannot be used"),
    _down("suspended_by_owner", "a member of its workspace paused it"),
    _down("suspended_by_platform", "the platform paused it", person=True),
    _down("suspended_free_quota", "its free hours or credit are used up", person=True),
    _down("no_such_service", "its host name belongs to nothing", person=True),
    _down("no_live_deploy", "the service exists, and no instance of it is ready"),
    About(name="deploy_in_progress", meaning="a deploy is starting or replacing its instances", state=State.WAKING),
    About(
        name="deploy_superseded", meaning="a deploy was dropped because a newer one came", state=State.UP, is_fault=False
    ),
    _down("build_failed", "it could not be built, or its image could not be pulled"),
    _down("health_check_failing", "it runs, and the path its platform checks answers wrongly or late"),
    _down("wrong_port", "nothing listens where its platform looks"),
    _down("out_of_memory", "it was killed for memory, or ran into its runtime's own limit"),
    _down("dependency_redis", "it cannot reach its Redis, or is not let in"),
    _down("dependency_database", "it cannot reach its database, or is not let in"),
    _down("dependency_tls", "a connection it needs works only with TLS, only without, or has certificate trouble"),
    About(
        name="dependency_external", meaning="an API of somebody else refuses it", state=State.DEGRADED, needs_person=True
    ),
    About(name="dependency_service", meaning="another service of the same owner is down", state=State.DEGRADED),
    About(
        name="wrong_service_url", meaning="a wrong address of a sibling service is used", state=State.DOWN, needs_person=True
    ),
    About(name="cors_only", meaning="it answers; only a browser refuses, for its origin is not allowed", state=State.DEGRADED),
    About(name="app_error", meaning="it is up and answers with an error of its own", state=State.DEGRADED, needs_person=True),
    _down("instance_unreachable", "the edge knows a live instance, and got no answer from it"),
    _down("scaled_to_zero", "no web process is configured, or it was scaled to none by hand", person=True),
    About(
        name="edge_blocked", meaning="a bot check or firewall answered, not the service", state=State.UNKNOWN, needs_person=True
    ),
    _down("platform_incident", "the platform itself is at fault"),
    _down("static_assets_missing", "a static site is up, and the file is not in its folder", person=True),
    _down("domain_misrouted", "the domain points elsewhere, or has no certificate for it", person=True),
    _down("tunnel_down", "the tunnel in front of it is not connected", person=True),
    About(name="maintenance_mode", meaning="its owner switched on a maintenance page", state=State.PAUSED, needs_person=True),
    About(
        name="benign_shutdown", meaning="an instance was stopped on purpose; nothing is wrong", state=State.UP, is_fault=False
    ),
    About(name=UNKNOWN, meaning="what was seen supports no name", state=State.UNKNOWN, needs_person=True),
)  # fmt: skip

CAUSES: Mapping[str, About] = MappingProxyType({about.name: about for about in _ALL})


def is_fault(cause: str) -> bool:
    """Whether something is wrong when this is the cause; of a third party's name it is so."""
    return cause not in CAUSES or CAUSES[cause].is_fault


def state_of(cause: str) -> State:
    """The state a cause implies; unknown names (third parties' rules) count as down."""
    about = CAUSES.get(cause)
    return about.state if about else State.DOWN
