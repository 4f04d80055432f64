"""A variable is there, and its value cannot be used."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.diagnose.rules._seen import MISSING_PROBLEMS, doctors, name_is_known
from everwake.model import Evidence, VariableProblem

__all__ = ["RULE", "explain"]

# Other rules draw on these: what they say is about whom the variable points to.
ELSEWHERE = frozenset({"wrong_sibling_host", "tls_required", "tls_not_supported", "missing_sslmode"})
NEXT = "Write the value as its reader wants it and deploy."


def explain(facts: Facts) -> Finding | None:
    """The log names it, the doctor finds it; both together are as good as certain."""
    noisy = by_signs(
        facts,
        (K.NOISE,),
        0.42,
        "Look at that line of the .env file: it has no `=`.",
        "fix-variables",
        only=lambda sign: _half_line(sign.text),
    )
    found = surest(
        by_signs(facts, (K.BAD_VARIABLE,), 0.88, NEXT, "fix-variables"),
        by_signs(facts, (K.BLUEPRINT,), 0.75, "Mend the entries of render.yaml that are named.", "ask-person"),
        by_signs(
            facts,
            (K.PATH_BROKEN,),
            0.8,
            "Remove the variable PATH: it hides the one the image brings.",
            "fix-variables",
        ),
        by_signs(
            # Where the doctor has seen the key and finds that it looks like one, it is the provider who says no to it.
            facts,
            (K.KEY_REFUSED,),
            0.5 if facts.has_variables else 0.8,
            "Put the provider's real key into that variable and deploy.",
            "ask-person",
        ),
        by_signs(
            facts,
            (K.COMPOSE_HOST,),
            0.72,
            "Replace the compose file's host name by the real one.",
            "fix-variables",
            only=lambda sign: not name_is_known(facts, sign),
        ),
        noisy,
        _django(facts),
        _doctor(facts),
    )
    if found is None:
        return None
    problems = _problems(facts)
    named = {sign.key for sign in facts.signs(K.BAD_VARIABLE) if sign.key}
    agreed = [one for one in problems if one.key in named]
    sure, step = found.sure, found.next
    if agreed:
        sure, step = 0.97, f"{agreed[0].key}: {agreed[0].fix}"[:300]
    elif problems and found.because and found.because[0].source.startswith("variables"):
        step = f"{problems[0].key}: {problems[0].fix}"[:300]
    elif named and found.next == NEXT:
        step = f"Write {', '.join(sorted(named))[:120]} as its reader wants it and deploy."
    return Finding(sure=sure, because=found.because, next=step, remedy=found.remedy)


def _half_line(text: str) -> bool:
    """dotenv warns of every line end of Windows; only where something stands after the colon a line is really bad."""
    return "did not match key" in text and bool(text.rpartition(":")[2].strip())


def _problems(facts: Facts) -> list[VariableProblem]:
    return [one for one in facts.problems if one.is_error and one.problem not in MISSING_PROBLEMS | ELSEWHERE]


def _doctor(facts: Facts) -> Finding | None:
    errors = _problems(facts)
    if not errors:
        return None
    because = tuple(
        Evidence(
            source=f"variables.{one.key}",
            quote=f"{one.problem}{f', column {one.column}' if one.column else ''}: {one.found}"[:300],
        )
        for one in errors[:3]
    )
    return Finding(sure=doctors(facts, 0.65), because=because, next=NEXT, remedy="fix-variables")


def _django(facts: Facts) -> Finding | None:
    """Django's plain page for a host it does not know."""
    look = facts.look
    if look is not None and look.status == 400 and "<h1>bad request (400)</h1>" in look.low:
        return Finding(
            sure=0.6,
            because=(look.cite_status(), look.cite_body()),
            next="Add the host to ALLOWED_HOSTS.",
            remedy="fix-variables",
        )
    return None


def ruled_out(facts: Facts) -> str | None:
    """The doctor has looked."""
    return "the doctor finds nothing wrong with its variables" if facts.has_variables and not facts.problems else None


RULE = Rule(
    cause="bad_env_var",
    explain=explain,
    needs=frozenset({"http", "log", "variables"}),
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
            "healthy",
        }
    ),
    examples=(
        {
            "log": [
                "ValidationError: 1 validation error for Settings - BACKEND_CORS_ORIGINS: Extra data at position 88",
                "==> Exited with status 1",
            ]
        },
        {
            "log": [
                "pydantic.error_wrappers.ValidationError: 1 validation error for Settings",
                "PORT",
                "  value is not a valid integer (type=type_error.integer)",
            ]
        },
        {
            "log": [
                "TypeError [ERR_INVALID_URL]: Invalid URL",
                "    at new URL (node:internal/url:797:36)",
                "==> Exited with status 1",
            ]
        },
        {
            "log": [
                "error: Error validating datasource `db`: the URL must start with the protocol `postgresql://` or `postgres://`."
            ]
        },
        {"log": ["ValueError: invalid literal for int() with base 10: '\"8000\"'", "==> Exited with status 1"]},
        {"log": ["Error: getaddrinfo ENOTFOUND redis", "    at GetAddrInfoReqWrap.onlookup"]},
        {
            "log": [
                'MongoParseError: Invalid scheme, expected connection string to start with "mongodb://" or "mongodb+srv://"'
            ]
        },
    ),
    counter_examples=(
        {"log": ["KeyError: 'DATABASE_URL'"]},
        {
            "log": ["1 validation error for Request", "body -> name field required"],
            "http": {"status": 200, "url": "https://a.example.com/health"},
        },
    ),
    ruled_out=ruled_out,
)
