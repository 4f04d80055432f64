"""It could not be built, or its image could not be pulled; an older deploy may go on serving."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Mend the first error of the build's log and deploy again."


def explain(facts: Facts) -> Finding | None:
    """The platform's word, or an error that ends builds."""
    log, host = facts.log, facts.host
    is_over = log is not None and log.has(K.LIVE, K.LISTENING, K.SERVED) and not log.has(K.BUILD)
    told = None
    if host is not None:
        event = next(
            (
                one
                for one in host.events
                if one.type in ("image_pull_failed", "pipeline_minutes_exhausted", "build_failed")
                or one.reason.get("buildFailed")
            ),
            None,
        )
        if host.newest is not None and host.newest.status == "build_failed":
            told = Finding(sure=0.93, because=(host.cite_deploy(host.newest),), next=NEXT, remedy="deploy-clear-cache")
        elif event is not None:
            step = "Buy build minutes or wait for the next month." if "minutes" in event.type else NEXT
            told = Finding(sure=0.88, because=(event.cite(),), next=step, remedy="ask-person")
        elif host.stage == "BUILD_ERROR":
            told = Finding(sure=0.93, because=(host.cite("stage", host.stage),), next=NEXT, remedy="ask-person")
    return surest(
        told,
        by_edge(facts, "build_failed", NEXT, "ask-person"),
        by_signs(facts, (K.BUILD,), 0.8, NEXT, "deploy-clear-cache"),
        by_signs(facts, (K.IMAGE,), 0.88, "Give the platform the right image name and leave to pull it.", "ask-person"),
        None if is_over else by_signs(facts, (K.BUILD_ERROR,), 0.7, NEXT, "ask-person", beats=("crashed_at_start",)),
        by_signs(facts, (K.BLUEPRINT,), 0.5, "Mend render.yaml where it is named.", "ask-person"),
        by_signs(
            facts,
            (K.QUOTA,),
            0.7,
            "Buy build minutes or wait for the next month.",
            "ask-person",
            only=lambda sign: "minutes" in sign.text.lower(),
        ),
    )


RULE = Rule(
    cause="build_failed",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset({"no_live_deploy", "crashed_at_start", "wrong_port", "healthy", "crash_loop", "app_error"}),
    examples=(
        {
            "log": [
                "==> Running build command 'pip install -r requirements.txt'...",
                "ERROR: No matching distribution found for torch==9.9",
                "==> Build failed",
            ]
        },
        {"log": ["npm error code ERESOLVE", "npm error ERESOLVE unable to resolve dependency tree"]},
        {
            "log": [
                'Warning  Failed  kubelet  Failed to pull image "app:1": pull access denied',
                "Error: ImagePullBackOff",
            ]
        },
        {"platform_state": {"events": [{"type": "image_pull_failed"}]}},
    ),
    counter_examples=(
        {
            "log": [
                "==> Build successful",
                "==> Deploying...",
                "Error: Cannot find module './db'",
                "==> Exited with status 1",
            ]
        },
    ),
)
