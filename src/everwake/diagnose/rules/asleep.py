"""Its platform stopped it because nobody came."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Wake it with one GET that may take 180 s (Accept: application/json), not with HEAD, POST or quick retries."


def explain(facts: Facts) -> Finding | None:
    """The edge says so, a stage of the platform does, or the log ends with its going idle."""
    host, staged = facts.host, None
    if host is not None and host.stage in ("SLEEPING", "ASLEEP", "SUSPENDED_IDLE", "HIBERNATED"):
        staged = Finding(sure=0.93, because=(host.cite("stage", host.stage),), next=NEXT, remedy="wake")
    elif (
        host is not None
        and host.plan == "free"
        and host.instances == 0
        and host.live is not None
        and not host.suspenders
    ):
        staged = Finding(
            sure=0.8, because=(host.cite("instances", "no instance, one deploy live"),), next=NEXT, remedy="wake"
        )
    idle = facts.log.last(K.IDLING) if facts.log else None
    logged = None
    if idle is not None and facts.log is not None:
        after = facts.log.last(K.WAKING, K.STARTING, K.LISTENING, K.CRASHED, K.LIVE, K.SERVED)
        if after is None or after.seq < idle.seq:
            logged = by_signs(facts, (K.IDLING,), 0.85, NEXT, "wake")
    return surest(by_edge(facts, "asleep", NEXT, "wake"), staged, logged)


RULE = Rule(
    cause="asleep",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset({"benign_shutdown", "instance_unreachable", "crashed_at_start"}),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 503,
                "headers": {"x-render-routing": "dynamic-hibernate-error-503"},
            }
        },
        {
            "log": [
                "2024-01-01T10:00:00+00:00 heroku[web.1]: Idling",
                "2024-01-01T10:00:01+00:00 heroku[web.1]: State changed from up to down",
                "2024-01-01T10:00:02+00:00 heroku[web.1]: Stopping all processes with SIGTERM",
                "2024-01-01T10:00:03+00:00 heroku[web.1]: Process exited with status 143",
            ]
        },
        {"platform": "huggingface", "platform_state": {"stage": "SLEEPING"}},
        {"http": {"url": "https://a.hf.space/", "status": 503, "body": "This Space is sleeping due to inactivity."}},
    ),
    counter_examples=(
        {
            "log": [
                "2024-01-01T10:00:00+00:00 heroku[web.1]: Idling",
                '2024-01-03T10:00:00+00:00 heroku[router]: at=error code=H10 desc="App crashed" status=503',
            ]
        },
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend-by-user"}}},
    ),
)
