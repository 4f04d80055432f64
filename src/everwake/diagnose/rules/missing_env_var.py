"""A variable that it needs is absent or empty."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.diagnose.rules._seen import MISSING_PROBLEMS, doctors
from everwake.model import Evidence, VariableProblem

__all__ = ["RULE", "explain"]


def explain(facts: Facts) -> Finding | None:
    """The log names it, the doctor misses it, or a store is looked for on the machine itself, as without a setting."""
    named = by_signs(facts, (K.MISSING_VARIABLE,), 0.88, "", "fix-variables")
    is_hosted = facts.where not in ("", "generic", "docker", "local")
    local = by_signs(
        facts,
        (K.LOOPBACK_REFUSED,),
        0.66 if is_hosted else 0.5,
        "Set the address of that store: without one the program looks on its own machine.",
        "fix-variables",
    )
    found = surest(named, local, _doctor(facts))
    if found is None:
        return None
    keys = [sign.key for sign in facts.signs(K.MISSING_VARIABLE) if sign.key]
    which = ", ".join(dict.fromkeys(keys)) or next((one.key for one in _problems(facts)), "")
    step = found.next or (
        f"Set {which[:120]} and deploy." if which else "Set the variable that the line names and deploy."
    )
    sure = min(0.97, found.sure + 0.06) if {one.key for one in _problems(facts)} & set(keys) else found.sure
    return Finding(sure=sure, because=found.because, next=step, remedy=found.remedy)


def _problems(facts: Facts) -> list[VariableProblem]:
    return [one for one in facts.problems if one.is_error and one.problem in MISSING_PROBLEMS]


def _doctor(facts: Facts) -> Finding | None:
    errors = _problems(facts)
    if not errors:
        return None
    because = tuple(
        Evidence(source=f"variables.{one.key}", quote=f"{one.problem}: {one.fix}"[:300]) for one in errors[:3]
    )
    return Finding(
        sure=doctors(facts, 0.6),
        because=because,
        next=f"Set {', '.join(one.key for one in errors[:4])} and deploy.",
        remedy="fix-variables",
    )


def ruled_out(facts: Facts) -> str | None:
    """The doctor has looked."""
    return "all that it is known to need are set" if facts.has_variables and not _problems(facts) else None


RULE = Rule(
    cause="missing_env_var",
    explain=explain,
    needs=frozenset({"log", "variables"}),
    beats=frozenset(
        {
            "crashed_at_start",
            "crash_loop",
            "wrong_port",
            "slow_start",
            "health_check_failing",
            "no_live_deploy",
            "instance_unreachable",
            "build_failed",
            "wake_failed",
            "app_error",
            "dependency_service",
        }
    ),
    examples=(
        {"log": ["    raise KeyError(key) from None", "KeyError: 'OPENAI_API_KEY'", "==> Exited with status 1"]},
        {
            "log": [
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
                "database_url",
                "  Field required [type=missing, input_value={}, input_type=dict]",
            ]
        },
        {
            "log": [
                "Error: Missing required environment variable: JWT_SECRET",
                "    at Object.<anonymous> (/app/config.js:3:9)",
            ]
        },
        {"log": ["django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty."]},
        {"platform": "render", "log": ["Error: connect ECONNREFUSED 127.0.0.1:5432"]},
        {"log": ['MongooseError: The `uri` parameter to `openUri()` must be a string, got "undefined".']},
        {"log": ["panic: environment variable PORT is not set"]},
        {"log": ["RuntimeException: No application encryption key has been specified."]},
        {
            "log": [
                "❌ Invalid environment variables: {",
                "  DATABASE_URL: [ 'Required' ]",
                "}",
                "Error: Invalid environment variables",
            ]
        },
        {
            "log": [
                "❌ Invalid environment variables: [",
                "  {",
                "    code: 'invalid_type',",
                "    received: 'undefined',",
                "    path: [ 'NEXTAUTH_SECRET' ],",
                "    message: 'Required'",
                "  }",
                "]",
                "Error: Invalid environment variables",
            ]
        },
    ),
    counter_examples=(
        {"log": ["❌ Invalid environment variables: {", "  DATABASE_URL: [ 'Invalid url' ]", "}"]},
        {"log": ["KeyError: 'name'", 'INFO: 127.0.0.1 - "POST /x HTTP/1.1" 500 Internal Server Error']},
        {"log": ["SENTRY_DSN is not set, using default value", "Server listening on port 10000"]},
    ),
    ruled_out=ruled_out,
)
