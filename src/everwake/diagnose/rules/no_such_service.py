"""Its host name belongs to nothing: deleted, renamed or mistyped."""

from urllib.parse import urlsplit

from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge, surest
from everwake.model import FailureKind

__all__ = ["RULE", "explain"]

NEXT = "Compare the host name with the platform's list of services, letter by letter."


def explain(facts: Facts) -> Finding | None:
    """The name does not exist, or the edge knows nobody of that name; a fleet that has another such host makes it sure."""
    look, named = facts.look, None
    if look is not None and look.failure is not None and look.failure.kind is FailureKind.DNS_NO_SUCH_NAME:
        named = Finding(sure=0.8, because=(look.cite_status(),), next=NEXT, remedy="ask-person")
    edge = by_edge(facts, "no_such_service", NEXT, "ask-person")
    if edge is not None and look is not None and facts.siblings and look.host:
        hosts = {(urlsplit(one).hostname or one).lower() if "://" in one else one.lower() for one in facts.siblings}
        if not any(look.host == host or look.host.split(".")[0] == host for host in hosts):
            edge = Finding(
                sure=max(edge.sure, 0.75),
                because=edge.because,
                next=NEXT,
                remedy="ask-person",
                beats=frozenset({"no_live_deploy"}),
            )
    return surest(named, edge)


RULE = Rule(
    cause="no_such_service",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset(),
    examples=(
        {
            "http": {
                "url": "https://a.herokuapp.com/",
                "status": 404,
                "body": '<iframe src="//www.herokucdn.com/error-pages/no-such-app.html">',
            }
        },
        {
            "http": {
                "url": "https://gone.onrender.com/",
                "status": None,
                "failure": {"kind": "dns_no_such_name", "phase": "dns"},
            }
        },
        {
            "http": {
                "url": "https://api-ww0z.onrender.com/health",
                "status": 404,
                "headers": {"x-render-routing": "no-server"},
            },
            "context": {"siblings": ["https://api-rsss.onrender.com"]},
        },
        {
            "http": {
                "url": "https://a.vercel.app/",
                "status": 404,
                "headers": {"x-vercel-error": "DEPLOYMENT_NOT_FOUND"},
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.onrender.com/x",
                "status": 404,
                "headers": {"x-render-origin-server": "Render"},
                "body": "Cannot GET /x",
            }
        },
    ),
)
